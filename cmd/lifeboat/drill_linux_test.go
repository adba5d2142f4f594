package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// processesIn are those that work in dir or below it.
func processesIn(t *testing.T, dir string) (pids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || cwd != dir && !strings.HasPrefix(cwd, dir+"/") {
			continue // gone since, or not of this test
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// startDrill starts a drill in dir, in a group of processes of its own, and
// waits until so many processes are at work.
func startDrill(t *testing.T, dir string, processes int, args ...string) *exec.Cmd {
	t.Helper()
	cmd := self(t, append([]string{"drill", "run"}, args...)...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // where the test has failed
	require.Eventually(t, func() bool { return len(processesIn(t, dir)) >= processes }, time.Minute, 20*time.Millisecond)
	return cmd
}

// Ctrl-C reaches the whole group; afterwards there is no process and no file,
// neither of real members nor of workers.
func TestDrillInterrupted(t *testing.T) {
	t.Parallel()
	for engine, args := range map[string][]string{
		"embedded": {"lose-1-of-3", "--engine", "embedded", "--to", "report"},
		"virtual":  {"rolling-replacement", "--seeds", "1..100000", "--to", "report"},
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			processes := 2 // the program, and a worker
			if engine == "embedded" {
				processes = 4
			}
			cmd := startDrill(t, dir, processes, args...)
			require.Len(t, filesIn(t, dir), 1, "before")
			require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
			require.Error(t, cmd.Wait())
			require.Equal(t, int(console.ExitInterrupted), cmd.ProcessState.ExitCode())
			require.Empty(t, processesIn(t, dir), "after")
			require.Empty(t, filesIn(t, dir), "after")
		})
	}
}

// What a SIGKILL of all processes at once leaves is named and removed by the
// next run in the same folder.
func TestDrillKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := startDrill(t, dir, 4, "lose-1-of-3", "--engine", "embedded", "--to", "report")
	for _, pid := range processesIn(t, dir) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // the members end with their parent, too
	}
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return len(processesIn(t, dir)) == 0 }, time.Minute, 20*time.Millisecond)
	left := filesIn(t, dir)
	require.Len(t, left, 1)

	r := lifeboat("drill", "run", "lose-1-of-3", "--seeds", "1", "--to", filepath.Join(dir, "report"))
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stderr, left[0])
	require.Contains(t, r.stderr, "which a killed run had left")
	require.Equal(t, []string{"report"}, filesIn(t, dir))
}
