package proof

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// poll is how often a server is asked whether it is there.
const poll = 50 * time.Millisecond

// etcdPatience is how long etcd may take to answer: it reads its whole log.
func (r *runner) etcdPatience() time.Duration { return max(r.opts.Timeout, time.Minute) }

func (r *runner) startEtcd(ctx context.Context) (string, error) {
	program, err := r.etcdProgram()
	if err != nil {
		return "", r.fail("etcd", "its flags: %v", err)
	}
	if r.etcd, err = r.sandbox.Run(program); err != nil {
		return "", err
	}
	r.report.Programs[0].Command = append([]string{program.Path}, program.Args...)
	address, err := r.layout.etcdAddress()
	if err != nil {
		return "", r.fail("etcd", "%v", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.etcdPatience(), fmt.Errorf("no answer on %s after %s", address, r.etcdPatience()))
	defer cancel()
	for {
		conn, err := r.sandbox.Dial(ctx, address)
		if err == nil {
			_ = conn.Close()
			r.say(lifeboat.Good("etcd", 1, "servers", "it serves on %s", address))
			return "it serves on " + address, nil
		}
		select {
		case <-r.etcd.Done():
			return "", r.ended("etcd", r.etcd)
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return "", context.Cause(ctx)
			}
			return "", r.fail("etcd", "%v; %s", context.Cause(ctx), r.words(r.etcd))
		case <-time.After(poll):
		}
	}
}

// etcdProgram is the archived command with the binary that was given, or this
// program itself with the same flags.
func (r *runner) etcdProgram() (sandbox.Program, error) {
	c := r.layout.etcd
	p := r.program(c)
	if c.binary.Path != "" {
		return p, nil
	}
	args, env, dropped, err := etcdproc.ArchivedServer(c.flags)
	if len(dropped) > 0 {
		r.weaker("flags of etcd's manifest that the linked etcd is started without: --%s", strings.Join(dropped, ", --"))
	}
	p.Path, p.Args, p.Env = sandbox.SelfPath, args, append(environment(), env...)
	if r.sandbox.Way() == sandbox.Loopback {
		p.Path = "/proc/self/exe"
	}
	return p, err
}

// environment is what every container has.
func environment() []string { return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/"} }

func (r *runner) startServer(ctx context.Context) (string, error) {
	program := r.program(r.layout.server)
	r.report.Programs[1].Command = append([]string{program.Path}, program.Args...)
	took, who, err := r.serve(ctx, program)
	if err != nil {
		return "", err
	}
	r.say(lifeboat.Good("kube-apiserver", 1, "servers", "it is ready, after %s", took))
	return fmt.Sprintf("ready after %s, asked as %s", took, who), nil
}

// serve starts the API server and waits until it says that it is ready.
func (r *runner) serve(ctx context.Context, program sandbox.Program) (took time.Duration, who string, err error) {
	if r.server, err = r.sandbox.Run(program); err != nil {
		return 0, "", err
	}
	a, err := r.api()
	if err != nil {
		return 0, "", err
	}
	defer a.close()
	begun := time.Now()
	for {
		body, last := a.get(ctx, "/readyz?verbose", "text/plain")
		if last == nil {
			return time.Since(begun).Round(10 * time.Millisecond), a.who(), nil
		}
		if denied(last) {
			a.next()
		}
		select {
		case <-r.server.Done():
			return 0, "", r.ended(controlplane.APIServer, r.server)
		case <-r.etcd.Done():
			return 0, "", r.ended(controlplane.Etcd, r.etcd)
		case <-ctx.Done():
			return 0, "", context.Cause(ctx)
		case <-time.After(poll):
		}
		if time.Since(begun) > r.opts.Timeout {
			return 0, "", r.neverReady(last, body)
		}
	}
}

func (r *runner) api() (*api, error) {
	address, name := r.layout.serverAddress()
	return newAPI(r.sandbox, r.layout.control, address, name)
}

// neverReady says which of the server's own checks hold it back.
func (r *runner) neverReady(last error, body []byte) error {
	var failing []string
	for line := range strings.Lines(string(body)) {
		if name, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
			failing = append(failing, name)
		}
	}
	if err := r.fault(controlplane.APIServer, r.server); err != nil {
		return err
	}
	words := r.words(r.server)
	if len(failing) > 0 {
		return r.fail("kube-apiserver", "kube-apiserver is not ready after %s: %s; %s", r.opts.Timeout, strings.Join(failing, ", "), words)
	}
	return r.fail("kube-apiserver", "kube-apiserver is not ready after %s: %v; %s", r.opts.Timeout, clip(last.Error()), words)
}

// ended says why a server is gone.
func (r *runner) ended(name string, p *sandbox.Process) error {
	words := r.words(p)
	switch p.State() {
	case killed:
		return r.cannotTry("%s was killed, as the kernel does when memory is short; %s", name, words)
	case sandbox.StateLost:
		return r.cannotTry("%s has %s", name, p.State())
	}
	if err := r.fault(name, p); err != nil {
		return err
	}
	return r.fail(name, "%s ended with %q: %s", name, p.State(), words)
}

// killed is the state of a process that SIGKILL has ended. The proof kills none
// before it is done with it.
const killed = "signal: killed"

// fault is an error where a server's log says what is no fault of the backup, or
// need not be one: another version of the program may know what this one does
// not.
func (r *runner) fault(name string, p *sandbox.Process) error {
	log, err := tailOf(p.Log())
	if err != nil {
		return err
	}
	cause := Diagnose(log)
	if cause.Meaning == noRoom || cause.Meaning == noKMS {
		return r.cannotTry("%s: %s", name, r.words(p))
	}
	if cause.ofVersion {
		for _, program := range r.report.Programs {
			if program.Name == name && program.Other {
				return r.cannotTry("%s is %q, and the manifest's image is %q: %s", name, program.Version, program.Image, r.words(p))
			}
		}
	}
	return nil
}

// cannotTry ends the proof without a verdict.
func (r *runner) cannotTry(format string, args ...any) error {
	return &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("not provable here: "+format, args...)}
}

// words are what a server's log says, and what that means.
func (r *runner) words(p *sandbox.Process) string {
	log, err := tailOf(p.Log())
	if err != nil {
		return err.Error()
	}
	cause := Diagnose(log)
	switch {
	case cause.Line == "":
		return "its log is empty"
	case cause.Meaning == "":
		return fmt.Sprintf("the last that it said: %q", cause.Line)
	}
	return fmt.Sprintf("%s (%q)", cause.Meaning, cause.Line)
}

// logTail is how much of a log is looked at. A server that waits for ever says
// the same again and again.
const logTail = 1 << 20

func tailOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-logTail)
	data := make([]byte, info.Size()-from)
	n, _ := f.ReadAt(data, from) // it may grow and be cut meanwhile
	return data[:n], nil
}

// fail says that the backup cannot start, and ends the proof.
func (r *runner) fail(name, format string, args ...any) error {
	r.say(lifeboat.Bad(name, format, args...))
	return errStopped
}
