package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serving starts `lifeboat serve SRC -- sh -c script` with a private place for
// its folder, and waits for the script's first line.
func serving(t *testing.T, script string) (cmd *exec.Cmd, parent string, out *bufio.Reader) {
	parent = t.TempDir()
	cmd = self(t, "serve", harbourArchive, "--", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+parent)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out = bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return cmd, parent, out
}

// A signal to lifeboat reaches the command, whose exit code counts; nothing is
// left.
func TestServeHandsSignalsOn(t *testing.T) {
	t.Parallel()
	cmd, parent, out := serving(t, `trap 'echo heard; exit 9' TERM; echo ready; while :; do sleep 0.05; done`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "heard\n", line)
	_ = cmd.Wait()
	require.Equal(t, 9, cmd.ProcessState.ExitCode())
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

// After SIGKILL at most a private folder stays, which the next run removes and
// names.
func TestServeKilled(t *testing.T) {
	t.Parallel()
	cmd, parent, _ := serving(t, `echo ready; exec sleep 5`)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, 1)
	info, err := left[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())

	again := self(t, "serve", harbourArchive, "--", "true")
	again.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+parent)
	output, err := again.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Contains(t, string(output), filepath.Join(parent, left[0].Name()))
	left, err = os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Where there is no network but loopback, it serves; and it listens on no other
// address.
func TestServeListensOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	ip, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("no ip(8) on this host to bring a new loopback up")
	}
	program := self(t).Path
	script := ip + ` link set lo up && exec "$0" serve "$1" -- sh -c 'cat /proc/net/tcp /proc/net/tcp6'`
	cmd := exec.Command("sh", "-c", script, program, harbourArchive)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	started := time.Now()
	output, err := cmd.CombinedOutput()
	if errorsIsPermission(err) {
		t.Skip("this host lets nobody make a network namespace")
	}
	require.NoError(t, err, "after %s: %s", time.Since(started), output)
	listening := regexp.MustCompile(`(?m)^\s*\d+: ([0-9A-F]+):[0-9A-F]{4} [0-9A-F]+:0000 0A `).FindAllStringSubmatch(string(output), -1)
	require.Len(t, listening, 1, string(output))
	require.True(t, strings.EqualFold("0100007F", listening[0][1]), listening[0][1])
}
