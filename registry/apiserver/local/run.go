package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Stdio are the streams of a command.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run runs a command with the kubeconfig in its environment, until it ends,
// and returns its exit code; 128 + n for one that signal n ended. Signals that
// this process gets go to it; Ctrl-C on a terminal reaches it by itself.
func (s *Server) Run(ctx context.Context, command []string, stdio Stdio) (int, error) {
	child := exec.Command(command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = stdio.In, stdio.Out, stdio.Err
	child.Env = s.Environment(os.Environ())

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := s.network.start(child); err != nil {
		return 0, fmt.Errorf("running %q: %w", command[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for done := ctx.Done(); ; {
		select {
		case sig := <-signals:
			if sig != syscall.SIGINT || !fromTerminal() {
				_ = child.Process.Signal(sig) // it may have ended just now
			}
			done = nil // who cancels because of the signal has been heard
		case <-done:
			done = nil
			select {
			case sig := <-signals: // because of which ctx ended
				signals <- sig
			case <-time.After(100 * time.Millisecond):
				_ = child.Process.Signal(syscall.SIGTERM)
			}
		case err := <-ended:
			return exitCode(child, err)
		}
	}
}

// fromTerminal tells whether a Ctrl-C was typed, which the kernel sends to all
// processes of the foreground.
func fromTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

func exitCode(child *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("running %q: %w", child.Path, err)
	}
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return child.ProcessState.ExitCode(), nil
}

// Environment is env with the kubeconfig, and with a cache folder that nobody
// else has seen.
func (s *Server) Environment(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		return strings.HasPrefix(entry, "KUBECONFIG=") || strings.HasPrefix(entry, "KUBECACHEDIR=")
	})
	return append(env, "KUBECONFIG="+s.Kubeconfig, "KUBECACHEDIR="+filepath.Join(s.folder.path, "cache"))
}
