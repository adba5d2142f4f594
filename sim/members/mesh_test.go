package members

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pipe is a mesh of two, with a listener where b would stand, and a's
// connection to it.
func pipe(t *testing.T) (m *mesh, a, b net.Conn) {
	t.Helper()
	dir := t.TempDir()
	socket := func(from, to string) string { return filepath.Join(dir, from, to) }
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	m = newMesh(socket)
	t.Cleanup(func() { require.NoError(t, m.close()) })
	require.NoError(t, m.connect("a", "b"))
	l, err := net.Listen("unix", socket("b", "b"))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	a, err = net.Dial("unix", socket("a", "b"))
	require.NoError(t, err)
	b, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { a.Close(); b.Close() })
	return m, a, b
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := c.Write([]byte(text))
	require.NoError(t, err)
}

// receive reads n bytes, or what comes until limit.
func receive(t *testing.T, c net.Conn, n int, limit time.Duration) string {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(limit)))
	buf := make([]byte, n)
	got, err := io.ReadFull(c, buf)
	if err != nil {
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	return string(buf[:got])
}

const soon, never = 10 * time.Second, 100 * time.Millisecond

// A cut way holds back what is sent, and lets the other way alone; a healed one
// delivers all of it, in order.
func TestCutHolds(t *testing.T) {
	t.Parallel()
	m, a, b := pipe(t)
	send(t, a, "one")
	require.Equal(t, "one", receive(t, b, 3, soon))
	m.path("a", "b").set(func(s *pathState) { s.cut = true })
	send(t, a, "two")
	require.Empty(t, receive(t, b, 3, never))
	send(t, b, "back")
	require.Equal(t, "back", receive(t, a, 4, soon))
	send(t, a, "three")
	m.heal()
	require.Equal(t, "twothree", receive(t, b, 8, soon))
}

// Delays, in one direction, keep the order even where they vary.
func TestDelay(t *testing.T) {
	t.Parallel()
	m, a, b := pipe(t)
	m.path("a", "b").set(func(s *pathState) { s.delay = 150 * time.Millisecond })
	began := time.Now()
	send(t, a, "x")
	require.Equal(t, "x", receive(t, b, 1, soon))
	require.GreaterOrEqual(t, time.Since(began), 150*time.Millisecond)

	m.path("a", "b").set(func(s *pathState) { s.delay, s.loss = 0, 0.3 })
	want := ""
	for i := range 20 {
		want += string(rune('a' + i))
		send(t, a, want[i:])
		time.Sleep(time.Millisecond)
	}
	require.Equal(t, want, receive(t, b, len(want), soon))
	require.Greater(t, time.Since(began), resend, "of 20 packets one at least was sent again")
}

// The end of either side is the end of the other; a connection to nobody ends
// at once, and one over a cut way only when it is healed.
func TestEnds(t *testing.T) {
	t.Parallel()
	m, a, b := pipe(t)
	require.NoError(t, b.Close())
	_, err := a.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	require.NoError(t, m.connect("b", "a")) // nobody listens as a
	back, err := net.Dial("unix", m.socket("b", "a"))
	require.NoError(t, err)
	defer back.Close()
	_, err = back.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	m.path("a", "b").set(func(s *pathState) { s.cut = true })
	late, err := net.Dial("unix", m.socket("b", "a"))
	require.NoError(t, err)
	defer late.Close()
	require.Empty(t, receive(t, late, 1, never))
	m.heal()
	require.NoError(t, late.SetReadDeadline(time.Now().Add(soon)))
	_, err = late.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}
