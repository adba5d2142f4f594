package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	initEnv  = "LIFEBOAT_SANDBOX" // set for the first process, and for nothing else
	initName = "lifeboat-sandbox" // its name in a process list
	fdSocket = 3                  // the connection to its parent
)

// Main runs this process as the first of a sandbox if it was started as one,
// and does not return then.
func Main() {
	if os.Getenv(initEnv) == "" {
		return
	}
	// Terminals send these to whole groups, and the parent decides.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	syscall.Umask(0o077)
	conn, err := packetConn(os.NewFile(fdSocket, "sandbox"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is set, but this is not a child of lifeboat: %v\n", initEnv, err)
		os.Exit(2)
	}
	null, err := os.Open(os.DevNull) // which the root to come does not have
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	f := &first{conn: conn, null: null, running: map[string]*exec.Cmd{}}
	f.serve()
	f.killAll()
	os.Exit(0)
}

// first is the first process of a sandbox.
type first struct {
	conn  *net.UnixConn
	null  *os.File
	dir   string // logs stand below it
	roots bool   // programs are put into their Root

	sending sync.Mutex
	mu      sync.Mutex
	running map[string]*exec.Cmd
	ended   sync.WaitGroup
}

// serve obeys until the parent is gone.
func (f *first) serve() {
	packet := make([]byte, maxPacket)
	for {
		n, err := f.conn.Read(packet)
		if err != nil || n == 0 {
			return
		}
		var r request
		if json.Unmarshal(packet[:n], &r) != nil {
			return
		}
		switch r.Op {
		case opSetUp:
			f.setUp(r)
		case opRun:
			pid, err := f.run(*r.Program)
			f.send(reply{ID: r.ID, Pid: pid, Error: failureOf("starting "+r.Program.Path, err)}, nil)
		case opKill:
			f.send(reply{ID: r.ID, Error: failureOf("killing "+r.Name, f.killOne(r.Name))}, nil)
		case opDial:
			go f.dial(r)
		}
	}
}

func (f *first) setUp(r request) {
	f.dir = r.SetUp.Dir
	if r.SetUp.Way == Loopback {
		f.send(reply{ID: r.ID}, nil)
		return
	}
	b := &builder{spec: *r.SetUp}
	err := b.build()
	if err == nil {
		f.dir, f.roots = "/", true
	}
	f.send(reply{ID: r.ID, Notes: b.notes, Error: failureOf(b.step, err)}, nil)
}

// run starts a program; its end is news. As with the first process itself, the
// death signal belongs to a thread.
func (f *first) run(p Program) (pid int, err error) {
	log, err := os.OpenFile(filepath.Join(f.dir, "logs", p.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close() // the child has its own
	cmd := &exec.Cmd{Path: p.Path, Args: append([]string{p.Path}, p.Args...), Env: p.Env, Stdin: f.null, Stdout: log, Stderr: log, Dir: "/"}
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if f.roots {
		cmd.SysProcAttr.Chroot = filepath.Join("/roots", p.Root)
	}
	started := make(chan error)
	f.ended.Add(1)
	go func() {
		defer f.ended.Done()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f.mu.Lock()
		err := cmd.Start()
		if err == nil {
			f.running[p.Name] = cmd
		}
		f.mu.Unlock()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // its state says it
		f.mu.Lock()
		delete(f.running, p.Name)
		f.mu.Unlock()
		f.send(reply{Ended: p.Name, State: cmd.ProcessState.String(), Code: cmd.ProcessState.ExitCode()}, nil)
	}()
	if err := <-started; err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

func (f *first) killOne(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cmd := f.running[name]; cmd != nil {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// killAll ends what runs, and waits for that.
func (f *first) killAll() {
	f.mu.Lock()
	for _, cmd := range f.running {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	f.mu.Unlock()
	f.ended.Wait()
}

// dial makes a connection and hands it to the parent.
func (f *first) dial(r request) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		f.send(reply{ID: r.ID, Error: failureOf("dialling "+r.Address, err)}, nil)
		return
	}
	defer conn.Close()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		f.send(reply{ID: r.ID, Error: failureOf("dialling "+r.Address, errors.ErrUnsupported)}, nil)
		return
	}
	file, err := tcp.File()
	if err != nil {
		f.send(reply{ID: r.ID, Error: failureOf("dialling "+r.Address, err)}, nil)
		return
	}
	defer file.Close()
	f.send(reply{ID: r.ID}, syscall.UnixRights(int(file.Fd())))
}

// send tells the parent; one that is gone need not be told.
func (f *first) send(r reply, oob []byte) {
	packet, err := json.Marshal(r)
	if err != nil {
		return
	}
	f.sending.Lock()
	defer f.sending.Unlock()
	_, _, _ = f.conn.WriteMsgUnix(packet, oob, nil)
}

func failureOf(step string, err error) *failure {
	if err == nil {
		return nil
	}
	return &failure{Step: step, Text: err.Error(), Errno: errnoOf(err)}
}
