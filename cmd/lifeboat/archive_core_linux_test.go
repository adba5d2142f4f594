package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who asks a store for something has its credentials in memory and in the
// environment: neither in the arguments, nor in a core file when it crashes.
func TestCredentialsInNoCore(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2-hunter2"
	crash := func(dir string, shell ...string) *exec.Cmd {
		cmd := exec.Command("sh", append([]string{"-c", `ulimit -c unlimited; exec "$0" "$@"`}, shell...)...)
		cmd.Dir = dir
		return cmd
	}
	control := crash(t.TempDir(), "sh", "-c", "kill -ABRT $$")
	_ = control.Run() // it is killed
	if !control.ProcessState.Sys().(syscall.WaitStatus).CoreDump() {
		t.Skip("this host makes no core files")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes every call and answers none
	require.NoError(t, err)
	defer listener.Close()
	dir := t.TempDir()
	cmd := crash(dir, self(t).Path, "archive", "catalog", "s3://backups/prod")
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "AWS_ENDPOINT_URL=http://"+listener.Addr().String(),
		"AWS_ACCESS_KEY_ID=lifeboat", "AWS_SECRET_ACCESS_KEY="+secret, "HOME="+dir)
	said, err := os.Create(filepath.Join(dir, "said"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	called, err := listener.Accept() // it has read its credentials
	require.NoError(t, err)
	defer called.Close()
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	require.NoError(t, err)
	require.Contains(t, string(arguments), "s3://backups/prod")
	require.NotContains(t, string(arguments), secret)
	require.NoError(t, cmd.Process.Signal(syscall.SIGABRT))
	require.Error(t, cmd.Wait())
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.Equal(t, syscall.SIGABRT, status.Signal(), "it has crashed")
	require.False(t, status.CoreDump())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "%v", left)
	text, err := os.ReadFile(filepath.Join(dir, "said"))
	require.NoError(t, err)
	require.NotContains(t, string(text), secret)
}
