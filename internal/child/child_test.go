package child_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// A child has its end of the socket as a file, and its end is told.
func Example() {
	near, far, err := child.SocketPair(syscall.SOCK_STREAM, "greetings")
	if err != nil {
		fmt.Println(err)
		return
	}
	cmd := exec.Command("/bin/sh", "-c", "echo hello >&3; exit 3")
	cmd.ExtraFiles = []*os.File{far}
	over := make(chan error, 1)
	if err := child.Launch(cmd, func(err error) { over <- err }); err != nil {
		fmt.Println(err)
		return
	}
	_ = far.Close() // the child has its own
	said, err := io.ReadAll(near)
	fmt.Printf("%s%v %v\n", said, <-over, err)
	// Output:
	// hello
	// exit status 3 <nil>
}

// What cannot be started is told at once, and has no end.
func TestLaunchFails(t *testing.T) {
	t.Parallel()
	err := child.Launch(exec.Command("/no/such/program"), func(error) { t.Error("it never began") })
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = child.SocketPair(-1, "nothing")
	require.ErrorContains(t, err, "socketpair")
}
