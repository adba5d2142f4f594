package main

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func TestInterruptedRunSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"lifeboat", "no-such-verb"}, &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, console.ExitInterrupted, code, "whatever broke on the way out")
	code = run(ctx, []string{"lifeboat", "version"}, &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, console.ExitDone, code, "it was done before the signal mattered")
}

// The first signal cancels; clean-up runs. Not parallel: it is sent to all.
func TestFirstSignalCancels(t *testing.T) {
	ctx, stop := untilSignal(t.Context())
	defer stop()
	require.NoError(t, ctx.Err())
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	require.NoError(t, self.Signal(syscall.SIGTERM))
	<-ctx.Done()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}
