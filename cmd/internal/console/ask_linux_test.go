package console

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pseudoTerminal opens a terminal of its own: what is written to keys is typed.
func pseudoTerminal(t *testing.T) (keys, terminal *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here")
	}
	t.Cleanup(func() { keys.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	return keys, terminal
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return state.Lflag&unix.ECHO != 0
}

// An interrupt ends the asking at once, and the terminal echoes again.
func TestAskingInterrupted(t *testing.T) {
	t.Parallel()
	keys, terminal := pseudoTerminal(t)
	interrupted := make(chan struct{})
	env := &Environment{interrupted: interrupted}
	go func() {
		for end := time.Now().Add(10 * time.Second); echoes(t, terminal) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		close(interrupted)
	}()
	_, err := env.readPassword(int(terminal.Fd()))
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, echoes(t, terminal))

	_, err = keys.WriteString("\n") // ends the read that was left
	require.NoError(t, err)
}

func TestAskingAnswered(t *testing.T) {
	t.Parallel()
	keys, terminal := pseudoTerminal(t)
	_, err := keys.WriteString("correct horse\n")
	require.NoError(t, err)
	line, err := (&Environment{}).readPassword(int(terminal.Fd()))
	require.NoError(t, err)
	require.Equal(t, "correct horse", string(line))
	require.True(t, echoes(t, terminal))
}
