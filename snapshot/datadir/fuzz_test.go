package datadir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// FuzzLog: whatever stands in a log, reading it ends, without a panic, and
// what it says of the entries hangs together.
func FuzzLog(f *testing.F) {
	segment := filepath.Join(open(f, harbour(f)["etcd-0"]).WAL(), "0000000000000000-0000000000000000.wal")
	data, err := os.ReadFile(segment)
	require.NoError(f, err)
	f.Add(data[:4<<10], []byte{})
	f.Add(data[:4<<10], data[8<<10:12<<10])
	f.Add(data[:1000], data[:1000])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		dir := t.TempDir()
		snap := filepath.Join(dir, "member", "snap")
		require.NoError(t, os.MkdirAll(snap, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(snap, "db"), nil, 0o600))
		d := open(t, dir)
		require.NoError(t, os.MkdirAll(d.WAL(), 0o700))
		for name, data := range map[string][]byte{"0000000000000000-0000000000000000.wal": first, "0000000000000001-0000000000000010.wal": second} {
			require.NoError(t, os.WriteFile(filepath.Join(d.WAL(), name), data, 0o600))
		}
		l, err := d.Log(t.Context())
		require.NoError(t, err)
		hangsTogether(t, l)
	})
}

func hangsTogether(t *testing.T, l *datadir.Log) {
	last := uint64(0)
	for i := range l.Stretches {
		s := &l.Stretches[i]
		require.Greater(t, s.First, last)
		require.GreaterOrEqual(t, s.Last, s.First)
		for _, index := range []uint64{s.First, s.First + (s.Last-s.First)/2, s.Last} {
			_, ok := s.Term(index)
			require.True(t, ok)
		}
		_, ok := s.Term(s.Last + 1)
		require.False(t, ok && s.Last+1 != 0)
		last = s.Last
	}
	for _, index := range []uint64{0, 1, last} {
		tail := l.Tail(index)
		require.True(t, tail.Entries == 0 || tail.Entries == tail.LastIndex-index)
	}
}
