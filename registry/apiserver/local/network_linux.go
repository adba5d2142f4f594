package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// network is where a server and its command are: the host's, or a namespace of
// their own with a loopback that is up.
type network struct{ namespace *os.File }

// errDown is the loopback of a rescue shell, or of `unshare -n`.
var errDown = errors.New("the loopback device is down; it comes up with: ip link set lo up")

// onLoopback listens where a client can reach it. A private server may have a
// network that nobody else is in, which takes root's rights.
func onLoopback(private bool) (net.Listener, network, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, network{}, err
	}
	if conn, err := net.Dial("tcp4", listener.Addr().String()); err == nil {
		return listener, network{}, conn.Close()
	} else if !errors.Is(err, unix.ENETUNREACH) {
		return nil, network{}, errors.Join(err, listener.Close())
	}
	listener.Close()
	if !private {
		return nil, network{}, errDown
	}
	var n network
	err = onThread(func() (err error) {
		listener, n, err = ownNetwork()
		return err
	})
	if err != nil {
		return nil, network{}, fmt.Errorf("%w (a network of its own could not be made: %w)", errDown, err)
	}
	return listener, n, nil
}

// ownNetwork takes the calling thread, which has to end afterwards, to a new
// network namespace and listens there.
func ownNetwork() (listener net.Listener, n network, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, n, os.NewSyscallError("unshare", err)
	}
	if err := loopbackUp(); err != nil {
		return nil, n, err
	}
	if n.namespace, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, n, err
	}
	if listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		n.close()
	}
	return listener, n, err
}

// loopbackUp brings the thread's loopback device up (netdevice(7)).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd) // it was only asked
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}

// start starts a command in the network.
func (n network) start(command *exec.Cmd) error {
	if n.namespace == nil {
		return command.Start()
	}
	return onThread(func() error {
		if err := unix.Setns(int(n.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("setns", err)
		}
		return command.Start()
	})
}

func (n network) close() {
	if n.namespace != nil {
		n.namespace.Close()
	}
}

// onThread calls f on a thread of its own, which ends with it and takes along what
// f made of it.
func onThread(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		result <- f()
	}()
	return <-result
}
