package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestTrailerInAnyPieces: the verdict does not depend on how the file comes in.
func TestTrailerInAnyPieces(t *testing.T) {
	t.Parallel()
	check(t, func(rt *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(rt, "body")
		body = bytes.Repeat(append(body, 7), 512)
		sum := sha256.Sum256(body)
		file, want := append(bytes.Clone(body), sum[:]...), snapshot.TrailerGood
		if rapid.Bool().Draw(rt, "damage") {
			at := rapid.IntRange(0, len(file)-1).Draw(rt, "at")
			file[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
			want = snapshot.TrailerWrong
		}
		if cut := rapid.IntRange(0, len(file)).Draw(rt, "cut"); rapid.Bool().Draw(rt, "truncate") && cut < len(file) {
			file = file[:cut]
			want = snapshot.TrailerMissing
			if cut%512 == snapshot.TrailerSize {
				want = snapshot.TrailerWrong
			}
		}
		h := snapshot.NewTrailerHash()
		for rest := file; len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 700)).Draw(rt, "piece")
			_, err := h.Write(rest[:n])
			require.NoError(rt, err)
			rest = rest[n:]
		}
		require.EqualValues(rt, len(file), h.Size())
		require.Equal(rt, want, h.Verdict())
		require.Equal(rt, want, h.Verdict(), "asking changes nothing")
	})
}

// TestTrailerOfHarbour: etcdctl's own trailer is good, with a bit flipped
// anywhere it is wrong, and a bare database has none.
func TestTrailerOfHarbour(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(harbour(t))
	require.NoError(t, err)
	verdict := func(data []byte) snapshot.Trailer {
		sum, err := snapshot.HashTrailer(t.Context(), iotest.HalfReader(bytes.NewReader(data)))
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(data), sum.Sum(), "of all of it, trailer and all")
		return sum.Verdict()
	}
	require.Equal(t, snapshot.TrailerGood, verdict(data))
	require.Equal(t, snapshot.TrailerMissing, verdict(data[:len(data)-snapshot.TrailerSize]))
	require.Equal(t, snapshot.TrailerMissing, verdict(nil))
	for _, at := range []int{0, len(data) / 2, len(data) - snapshot.TrailerSize, len(data) - 1} {
		damaged := bytes.Clone(data)
		damaged[at] ^= 1
		require.Equal(t, snapshot.TrailerWrong, verdict(damaged))
	}
	broken := errors.New("disk on fire")
	_, err = snapshot.HashTrailer(t.Context(), iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
}

// TestTrailerOfOpenDatabase: an open database tells the trailer as a reader of
// the file does.
func TestTrailerOfOpenDatabase(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(generate(t, 1000))
	require.NoError(t, err)
	for want, file := range map[snapshot.Trailer][]byte{
		snapshot.TrailerGood: data, snapshot.TrailerMissing: data[:len(data)-snapshot.TrailerSize],
		snapshot.TrailerWrong: append(data[:len(data)-1:len(data)-1], data[len(data)-1]^1),
	} {
		got, err := open(t, write(t, file)).Trailer(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestLength: zero bytes behind a snapshot are not of it, whatever their number;
// what may be a database's own pages is.
func TestLength(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(harbour(t))
	require.NoError(t, err)
	bare := len(data) - snapshot.TrailerSize
	page := binary.NativeEndian.AppendUint64(bytes.Clone(data[:bare]), uint64(bare/4096))
	page = append(page, make([]byte, 4096-8)...)
	zeros := make([]byte, 1<<20)
	for name, c := range map[string]struct {
		file []byte
		want int
	}{
		"as etcd wrote it":              {data, len(data)},
		"to the block":                  {append(bytes.Clone(data), zeros[:480]...), len(data)},
		"as if a trailer ended it":      {append(bytes.Clone(data), zeros[:1024]...), len(data)},
		"a mebibyte":                    {append(bytes.Clone(data), zeros...), len(data)},
		"something stands behind":       {append(append(bytes.Clone(data), zeros[:9]...), 1), len(data) + 10},
		"a bare database":               {data[:bare], bare},
		"a bare one, allocated ahead":   {append(bytes.Clone(data[:bare]), zeros...), bare + len(zeros)},
		"a page that was not committed": {page, len(page)},
		"cut":                           {data[:bare/2], bare / 2},
		"nothing":                       {nil, 0},
	} {
		length, err := snapshot.Length(bytes.NewReader(c.file), int64(len(c.file)))
		require.NoError(t, err, name)
		require.EqualValues(t, c.want, length, name)
	}
	verdict, err := open(t, write(t, append(bytes.Clone(data), zeros[:1024]...))).Trailer(t.Context())
	require.NoError(t, err)
	require.Equal(t, snapshot.TrailerGood, verdict)
}
