package etcdproc_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func init() { helpers["lab"] = helpLab }

func lab(t *testing.T, dir string) *etcdproc.Lab {
	t.Helper()
	l, err := etcdproc.NewLab(dir)
	require.NoError(t, err)
	return l
}

// alone is the first start of a cluster of one.
func alone(name string) etcdproc.MemberConfig {
	return etcdproc.MemberConfig{Name: name, InitialCluster: name + "=" + etcdproc.PeerURL(name), Token: "test"}
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A member's data outlive its deaths, in order and otherwise; nothing outlives
// the lab. Its folder may be deeper than a socket's name may be long.
func TestMemberLives(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	require.NoError(t, os.MkdirAll(dir, 0o700))
	l := lab(t, dir)
	for range 2 {
		m, err := l.StartMember(alone("m1"))
		require.NoError(t, err)
		require.NoError(t, m.Ready(deadline(t)))
		require.True(t, m.Serving())
		require.NoError(t, m.Stop(deadline(t)))
		require.Equal(t, "exit status 0", m.Exit().State)
		require.False(t, m.Serving())

		m, err = l.StartMember(alone("m1"))
		require.NoError(t, err)
		require.NoError(t, m.Ready(deadline(t)))
		m.Kill()
		require.Equal(t, "signal: killed", m.Exit().State)
	}
	require.FileExists(t, filepath.Join(l.DataDir("m1"), "member", "snap", "db"))
	require.NoError(t, l.Close())
	requireNothing(t, dir)
}

// What etcd refuses to start over is the error.
func TestMemberRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := lab(t, dir)
	for _, name := range []string{"", "M1", "../m1", "client", "m/1", strings.Repeat("m", 33)} {
		_, err := l.StartMember(alone(name))
		require.ErrorContains(t, err, "is not a name for a member", "%q", name)
	}
	cfg := alone("m1")
	cfg.InitialCluster = "m2=" + etcdproc.PeerURL("m2")
	m, err := l.StartMember(cfg)
	require.NoError(t, err)
	err = m.Up(deadline(t))
	var died *etcdproc.DiedError
	require.ErrorAs(t, err, &died)
	require.ErrorContains(t, err, `starting member "m1": booting: etcd ended with exit status 1: `)
	require.ErrorContains(t, err, `couldn't find local name "m1" in the initial cluster configuration`)
	require.NoError(t, l.Close())
	requireNothing(t, dir)
}

// helpLab runs two members: one serves, the other stands still.
func helpLab(_, dir string) error {
	l, err := etcdproc.NewLab(dir)
	if err != nil {
		return err
	}
	for _, name := range []string{"m1", "m2"} {
		m, err := l.StartMember(alone(name))
		if err != nil {
			return err
		}
		if err := m.Ready(context.Background()); err != nil {
			return err
		}
		if name == "m2" {
			if err := m.Pause(); err != nil {
				return err
			}
		}
	}
	fmt.Println("serving")
	_, err = io.Copy(io.Discard, os.Stdin) // until it is killed
	return err
}

func holdLab(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := helper(t, "lab", "", dir)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "serving\n", line)
	return cmd
}

// The members of a parent that was killed go, the one that stands still as
// well, and take the folder along.
func TestMembersOfKilledParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := holdLab(t, dir)
	require.Len(t, children(t, dir), 2)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	eventuallyNothing(t, dir)
}

// When all are killed together the next run finds the folder.
func TestSweepLab(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := holdLab(t, dir)
	own := children(t, dir)
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	for _, pid := range own {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	swept, err := etcdproc.Sweep(dir)
	require.NoError(t, err)
	require.Empty(t, swept, "the parent is alive")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool {
		swept, err = etcdproc.Sweep(dir)
		return err != nil || len(swept) > 0
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, err)
	requireNothing(t, dir)
}
