package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// stepClone is the first step of a set-up: clone(2), with the namespaces.
const stepClone = "starting the first process"

// setUpLimit is how long the first process may take until its file system and
// network stand. It works for some milliseconds.
const setUpLimit = 30 * time.Second

// Start makes the sandbox in the first way of spec.Ways that this host allows,
// and returns when it stands. It lives as long as ctx at most. If no way is
// allowed the error is a *ForbiddenError.
func Start(ctx context.Context, spec Spec) (*Sandbox, error) {
	s, err := start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("making a sandbox in %q: %w", spec.Dir, err)
	}
	return s, nil
}

func start(ctx context.Context, spec Spec) (*Sandbox, error) {
	if !filepath.IsAbs(spec.Dir) {
		return nil, errors.New("the folder has no absolute path")
	}
	ways := spec.Ways
	if ways == nil {
		if ways = []Way{Namespaces}; os.Geteuid() == 0 {
			ways = append(ways, RootNamespaces)
		}
	}
	if err := os.MkdirAll(filepath.Join(spec.Dir, "logs"), 0o700); err != nil {
		return nil, err
	}
	refused := &ForbiddenError{}
	for _, way := range ways {
		s, err := startIn(ctx, spec, way)
		if err == nil {
			return s, nil
		}
		reason := forbidden(way, err)
		if reason == "" {
			return nil, err
		}
		refused.Reasons = append(refused.Reasons, reason)
	}
	return nil, refused
}

// startIn makes the sandbox in one way.
func startIn(ctx context.Context, spec Spec, way Way) (*Sandbox, error) {
	near, far, err := child.SocketPair(syscall.SOCK_SEQPACKET, "sandbox")
	if err != nil {
		return nil, err
	}
	conn, err := packetConn(near)
	if err != nil {
		return nil, errors.Join(err, far.Close())
	}
	s := newSandbox(conn, spec.Dir, way)
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{initName}
	cmd.Env = append(os.Environ(), initEnv+"=1")
	cmd.ExtraFiles = []*os.File{far}
	cmd.Stderr = &s.stderr
	cmd.SysProcAttr = attributes(way)
	err = child.Launch(cmd, func(error) { close(s.gone) }) // its last words are in stderr
	_ = far.Close()                                        // the child's copy counts
	if err != nil {
		_ = conn.Close()
		return nil, &stepError{stepClone, errnoOf(err), err.Error()}
	}
	s.kill = func() { _ = cmd.Process.Kill() } // fails only when it has ended
	go s.listen()

	ctx, cancel := context.WithTimeout(ctx, setUpLimit)
	defer cancel()
	answer, _, err := s.ask(ctx, request{Op: opSetUp, SetUp: &setUp{Dir: spec.Dir, Way: way, Addresses: spec.Addresses, Roots: spec.Roots}})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.notes = answer.Notes
	return s, nil
}

// attributes are the namespaces of a way, and the signal that ends the first
// process when its parent is gone.
func attributes(way Way) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	if way == Loopback {
		return attr
	}
	attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	if way == Namespaces {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}
