package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
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

// Ctrl-C on a terminal reaches all processes of the foreground, the command
// among them: it hears it once, and its exit code counts.
func TestServeLeavesCtrlCToTheCommand(t *testing.T) {
	t.Parallel()
	terminal, side := openTerminal(t)
	parent := t.TempDir()
	cmd := self(t, "serve", harbourArchive, "--", "sh", "-c", `n=0; trap 'n=$((n+1))' INT; echo ready; i=0; while [ $i -lt 40 ]; do sleep 0.05; i=$((i+1)); done; echo "heard $n"; exit 9`)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+parent)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, side.Close())
	lines := bufio.NewScanner(terminal)
	seen := func(want string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		require.Fail(t, "the terminal never showed "+want)
	}
	seen("ready")
	_, err := terminal.WriteString("\x03")
	require.NoError(t, err)
	seen("heard 1")
	_ = cmd.Wait()
	require.Equal(t, 9, cmd.ProcessState.ExitCode())
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

// openTerminal makes a pseudo-terminal: the end that a person sits at, and the
// end that is a program's terminal.
func openTerminal(t *testing.T) (person, program *os.File) {
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals on this host:", err)
	}
	t.Cleanup(func() { person.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return person, program
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
	cmd := withoutNetwork(exec.Command("sh", "-c", script, program, harbourArchive))
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

// withoutNetwork has a command run as `unshare -n` does: with no device but a
// loopback that is down.
func withoutNetwork(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	return cmd
}

// Where not even loopback is up, a command still finds its server; and a server
// for everybody says what to do.
func TestServeWhereLoopbackIsDown(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	require.NoError(t, err)
	client := filepath.Join(t.TempDir(), "kubeget")
	require.NoError(t, os.Symlink(binary, client))
	output, err := withoutNetwork(self(t, "serve", harbourArchive, "--", client, "/version")).CombinedOutput()
	if errorsIsPermission(err) {
		t.Skip("this host lets nobody make a network namespace")
	}
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "v1.37.1+lifeboat")
	output, err = withoutNetwork(self(t, "serve", harbourArchive)).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(output), "listening on loopback: the loopback device is down; it comes up with: ip link set lo up")
}

// BenchmarkServeStart measures `lifeboat serve SRC -- true`: a process from its start,
// by way of a server that answers, to its end; a quarter of a second is what it
// may take. Beside it stands the start of the program alone.
func BenchmarkServeStart(b *testing.B) {
	for name, args := range map[string][]string{"harbour": {"serve", harbourArchive, "--", "true"}, "the program alone": {"version"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				output, err := self(b, args...).CombinedOutput()
				require.NoError(b, err, "%s", output)
			}
		})
	}
}
