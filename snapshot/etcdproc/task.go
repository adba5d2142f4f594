package etcdproc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Task is a piece of work on files of ours that etcd's own code does, in a
// child process: that code ends the process over what it does not expect.
type Task struct {
	Name string // unique; the child is told by it what to do

	// Do runs in the child. Its answer travels as JSON; its error keeps its
	// text, and its identity as far as message.go's kinds go. A panic, also
	// that of lg.Fatal and lg.Panic, becomes an error that names the phase.
	Do func(c *Call) (answer any, err error)
}

// Call is one call of a Task, as the child sees it.
type Call struct {
	Log *zap.Logger // errors alone; the last lines reach the parent in a DiedError

	request json.RawMessage
	say     *json.Encoder
	phase   string
	scratch atomic.Pointer[scratch] // what goes with a parent that is gone
}

// Request decodes what the parent asked for.
func (c *Call) Request(into any) error {
	if err := json.Unmarshal(c.request, into); err != nil {
		return fmt.Errorf("parsing the parent's request: %w", err)
	}
	return nil
}

// Enter tells the parent what the child does next; an error that follows is
// reported under that name.
func (c *Call) Enter(phase string) {
	c.phase = phase
	c.say.Encode(message{Phase: phase}) //nolint:errcheck // a parent that is gone ends the child
}

// FilePath is the name by which a Task opens the i-th file that it was given;
// the file may have no other.
func FilePath(i int) string { return fdPath(fdDatabase + i) }

// Do has a child do the task of that name and decodes its answer. The child
// ends with ctx. Files are only handed down; the caller closes them.
func Do(ctx context.Context, task string, request, answer any, files ...*os.File) error {
	return Patience{}.do(ctx, task, request, answer, nil, files)
}

// Do is the function [Do], for a child that is ended when it gets nowhere.
func (p Patience) Do(ctx context.Context, task string, request, answer any, files ...*os.File) error {
	return p.do(ctx, task, request, answer, nil, files)
}

func (p Patience) do(ctx context.Context, task string, request, answer any, s *scratch, files []*os.File) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return do(ctx, task, request, answer, s, func(pid int) { go p.watch(ctx, pid, cancel) }, files)
}

// do is Do in a scratch folder, if there is one; started, unless nil, is told the
// child's process id.
func do(ctx context.Context, task string, request, answer any, s *scratch, started func(pid int), files []*os.File) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	exe, err := executable()
	if err != nil {
		return err
	}
	said, log := &wire{messages: make(chan message, 1)}, &logTail{}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Args = []string{childName, task}
	cmd.Env = append(childEnviron(), childEnv+"="+task)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = said, log, files
	cmd.SysProcAttr = childAttr()
	if s != nil {
		cmd.Dir = s.dir
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer stdin.Close()

	// The death signal of prctl(2) comes when the thread ends that forked
	// (golang/go#27505).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running %s: %w", exe, err)
	}
	if started != nil {
		started(cmd.Process.Pid)
	}
	_, writeErr := stdin.Write(append(body, '\n'))
	err = cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	select {
	case m := <-said.messages:
		if err := m.err(); err != nil {
			return err
		}
		return json.Unmarshal(m.Answer, answer)
	default:
	}
	if err == nil {
		err = writeErr
	}
	return &DiedError{Phase: said.phase, State: stateOf(cmd, err), Log: log.lines()}
}

// childEnviron leaves out what would change how etcd's libraries behave:
// ETCD_VERIFY=all panics where the etcd server itself does not stand around
// them (etcd client/pkg/verify).
func childEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ETCD_") })
}

// runTask is the life of a child that does one task; it returns the exit status.
func runTask(name string, tasks []Task) int {
	say := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	syscall.Umask(0o077)

	i := slices.IndexFunc(tasks, func(t Task) bool { return t.Name == name })
	in := json.NewDecoder(os.Stdin)
	c := &Call{Log: newTaskLogger(), say: say}
	if i < 0 || in.Decode(&c.request) != nil {
		fmt.Fprintf(os.Stderr, "%s=%q is set, but this is not a child of lifeboat\n", childEnv, name)
		return 2
	}
	go c.exitWithParent(io.MultiReader(in.Buffered(), os.Stdin))

	answer, err := call(tasks[i].Do, c)
	var m message
	if err == nil {
		m.Answer, err = json.Marshal(answer)
	}
	if err != nil {
		m = failure(err)
	}
	if say.Encode(m) != nil || err != nil {
		return 1
	}
	return 0
}

// call runs do; what etcd's code panics with in this goroutine is an error.
func call(do func(*Call) (any, error), c *Call) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("etcd gave up: %v", p)
		}
		if err != nil && c.phase != "" {
			err = fmt.Errorf("%s: %w", c.phase, err)
		}
	}()
	return do(c)
}

// exitWithParent ends the child when the parent is gone or gives up, and takes
// the plaintext along that the parent cannot remove any more.
func (c *Call) exitWithParent(stdin io.Reader) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	eof := make(chan struct{})
	go func() {
		io.Copy(io.Discard, stdin) //nolint:errcheck // the end is all that counts
		close(eof)
	}()
	select {
	case <-term:
	case <-eof:
	}
	if s := c.scratch.Load(); s != nil {
		s.abandon()
	}
	os.Exit(1)
}

// adopt takes the scratch folder that the child stands in.
func (c *Call) adopt() (*scratch, error) {
	s, err := adoptScratch(os.NewFile(fdDatabase, ownerFile))
	if err == nil {
		c.scratch.Store(s)
	}
	return s, err
}

// newTaskLogger panics where etcd would end the process, so that the phase of
// the end is known.
func newTaskLogger() *zap.Logger {
	return newLogger().WithOptions(zap.WithFatalHook(zapcore.WriteThenPanic))
}
