package members

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// drillEnv makes the test binary a program that runs three members in the
// folder that it names, until it is interrupted.
const drillEnv = "LIFEBOAT_TEST_DRILL"

func runDrill(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	g := given(3)
	g.Load = sim.Workload{Writes: 20, Clients: 2}
	c, err := Engine{Dir: dir}.Start(ctx, g, 0)
	if err != nil {
		return err
	}
	if err := c.Do(ctx, sim.Action{Verb: sim.ClockPause, Targets: []sim.Selector{"m2"}, By: sim.Duration(time.Minute)}); err != nil {
		return err
	}
	fmt.Println("running")
	if err := c.Advance(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the drill ended with %w", err)
	}
	return c.Close()
}

// Ctrl-C reaches the whole group of processes; afterwards there is no process
// and no file.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), drillEnv+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "running\n", line)
	require.Len(t, processes(t, dir), 3)
	left, err := filepath.Glob(dir + "/*")
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	require.NoError(t, cmd.Wait())
	requireNothing(t, dir)
}

// A start that is given up leaves nothing, whenever that is.
func TestCancelledStart(t *testing.T) {
	t.Parallel()
	for after := time.Duration(0); after < 300*time.Millisecond; after += 50 * time.Millisecond {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), after)
		c, err := Engine{Dir: dir}.Start(ctx, given(2), 0)
		if err == nil {
			require.NoError(t, c.Close())
		} else {
			var fatal *sim.FatalError
			require.ErrorAs(t, err, &fatal)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		requireNothing(t, dir)
		cancel()
	}
}

// What cannot be done is refused with a word that the caller understands.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 10} {
		_, err := Engine{Dir: t.TempDir()}.Start(t.Context(), given(n), 0)
		require.ErrorContains(t, err, "1 to 9")
	}
	g := given(1)
	g.Snapshot = filepath.Join(t.TempDir(), "missing")
	dir := t.TempDir()
	_, err := Engine{Dir: dir}.Start(t.Context(), g, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	requireNothing(t, dir)
	require.NoError(t, os.WriteFile(g.Snapshot, []byte("no database"), 0o600))
	_, err = Engine{Dir: dir}.Start(t.Context(), g, 0)
	require.Error(t, err)
	requireNothing(t, dir)

	c := start(t, given(1))
	require.ErrorIs(t, c.try(t.Context(), sim.SlowDisk, "m1"), sim.ErrUnsupported)
	var fatal *sim.FatalError
	require.ErrorAs(t, c.try(t.Context(), sim.Kill, "m7"), &fatal)
	require.ErrorContains(t, c.try(t.Context(), sim.Start, "m1"), "it runs")
}
