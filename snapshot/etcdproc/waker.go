package etcdproc

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// wakerTask is the value of childEnv for a waker.
const wakerTask = "waker"

// waker is a process that has a paused member go on when the parent is gone: a
// process that stands still takes neither the death signal of its parent nor
// the end of its input, and would stand there for ever.
type waker struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// newWaker starts a waker for a process.
func newWaker(pid int) (*waker, error) {
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Args = []string{childName, strconv.Itoa(pid)}
	cmd.Env = append(childEnviron(), childEnv+"="+wakerTask)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &waker{cmd: cmd, stdin: stdin}, nil
}

// close has the process go on, and waits for the waker's end.
func (w *waker) close() {
	_ = w.stdin.Close()
	_ = w.cmd.Wait() // it has nothing to say
}

// runWaker is the life of a waker: until its input ends.
func runWaker() int {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTERM)
	pid := 0
	if len(os.Args) == 2 {
		pid, _ = strconv.Atoi(os.Args[1]) // 0 is refused below
	}
	if pid <= 1 {
		return 2
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // the end is all that counts
	_ = syscall.Kill(pid, syscall.SIGCONT)
	return 0
}
