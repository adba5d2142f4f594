// Package child starts processes that end with this one, and speaks with them
// on sockets that have no name.
package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Launch starts cmd and calls ended with what its Wait returned once it is over.
//
// The death signal of prctl(2), which cmd.SysProcAttr may ask for, comes when the
// thread ends that forked, not when the process does: a goroutine keeps that
// thread until then (golang/go#27505).
func Launch(cmd *exec.Cmd, ended func(error)) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended(cmd.Wait())
		}
	}()
	return <-started
}

// SocketPair returns the two ends of a connection that has no name: of kind
// syscall.SOCK_STREAM, or SOCK_SEQPACKET, which keeps packets apart. name is what
// errors call it.
func SocketPair(kind int, name string) (near, far *os.File, err error) {
	syscall.ForkLock.RLock() // no child of another goroutine may inherit them
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}
