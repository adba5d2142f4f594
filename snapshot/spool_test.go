package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpoolKeepsBytesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB, whole pages
	sum := sha256.Sum256(body)
	withTrailer := append(bytes.Clone(body), sum[:]...)
	wrong := bytes.Clone(withTrailer)
	wrong[17] ^= 1
	for name, c := range map[string]struct {
		data []byte
		want Trailer
	}{"good": {withTrailer, TrailerGood}, "missing": {body, TrailerMissing}, "wrong": {wrong, TrailerWrong}, "empty": {nil, TrailerMissing}} {
		for _, where := range []Where{Anywhere, Memory, Disk} {
			dir := t.TempDir()
			file, trailer, err := Spool{Where: where, Dir: dir}.Take(t.Context(), bytes.NewReader(c.data))
			require.NoError(t, err, name)
			require.Equal(t, c.want, trailer.Verdict(), name)
			got, err := io.ReadAll(file)
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.data, got), name)
			names, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, names, "the spooled plaintext has no name")
			require.NoError(t, file.Close())
		}
	}
}

func TestSpoolMovesToDisk(t *testing.T) {
	t.Parallel()
	w := &spoolWriter{dir: t.TempDir(), limit: 1000}
	var want []byte
	for i := range 50 {
		chunk := bytes.Repeat([]byte{byte(i)}, 77)
		want = append(want, chunk...)
		_, err := w.Write(chunk)
		require.NoError(t, err)
		require.Equal(t, len(want) > 1000, w.onDisk)
	}
	defer w.file.Close()
	got, err := io.ReadAll(io.NewSectionReader(w.file, 0, 1<<20))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

func TestSpoolStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := Spool{Where: Memory}.Take(ctx, bytes.NewReader(make([]byte, 100)))
	require.ErrorIs(t, err, context.Canceled)
}
