package archive_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// ours is an archive of several members.
func ours(t testing.TB) []byte {
	return pack(t, []archive.Item{file("etcd-backup.snapshot", database(11<<20)), file("kubernetes/x", "x")}, archive.Compression{Level: 1})
}

// Members that are unpacked side by side give what one reader gives: the same
// bytes, and an error wherever that has one, whatever was damaged.
func TestMembersLikePlainGzip(t *testing.T) {
	t.Parallel()
	whole := ours(t)
	require.Greater(t, bytes.Count(whole, []byte("IG\x04\x00")), 4, "several members")
	second := bytes.Index(whole[100:], []byte("\x1f\x8b\x08\x04")) + 100
	lie := bytes.Clone(whole)
	lie[second+16]++ // the length in its header
	longer := bytes.Clone(whole)
	longer[second+18]++
	cases := map[string][]byte{
		"whole": whole, "cut": whole[:len(whole)-1], "cut in a header": whole[:second+7], "cut at a border": whole[:second], "cut in the first": whole[:second/2],
		"length that lies": lie, "length too long": longer, "garbage": append(bytes.Clone(whole), "garbage"...),
		"plain member behind": append(bytes.Clone(whole), gz(t, make([]byte, 512))...), "itself again": append(bytes.Clone(whole), whole...),
	}
	for at := 3; at < len(whole); at += len(whole)/60 + 1 {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 0x40
		cases["flipped "+string(rune('A'+len(cases)))] = flipped
	}
	for name, data := range cases {
		r := archive.UnpackMembers(t, bytes.NewReader(data))
		if r == nil {
			continue // the first header says nothing: the plain reader's work
		}
		got, gotErr := io.ReadAll(r)
		var want []byte
		z, wantErr := stdgzip.NewReader(bytes.NewReader(data))
		if wantErr == nil {
			want, wantErr = io.ReadAll(z)
		}
		require.Equal(t, wantErr == nil, gotErr == nil, "%s: %v, %v", name, wantErr, gotErr)
		if wantErr == nil {
			require.True(t, bytes.Equal(want, got), name)
		} else {
			require.True(t, bytes.HasPrefix(want, got) || bytes.HasPrefix(got, want), "%s: no byte but those of the file", name)
		}
	}
}

// A source that fails is not a damaged archive.
func TestMembersSourceFails(t *testing.T) {
	t.Parallel()
	whole := ours(t)
	gone := errors.New("the disk is gone")
	for _, at := range []int{30, len(whole) / 2, len(whole) - 1} {
		_, _, err := readAll(io.MultiReader(bytes.NewReader(whole[:at]), broken{gone}), archive.Limits{})
		require.ErrorIs(t, err, gone)
		require.NotErrorIs(t, err, archive.ErrDamaged)
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func FuzzMembers(f *testing.F) {
	small := pack(f, []archive.Item{file("a", "b")}, archive.Compression{})
	f.Add(small)
	f.Add(append(bytes.Clone(small), small...))
	f.Add(small[:30])
	f.Fuzz(func(t *testing.T, data []byte) {
		r := archive.UnpackMembers(t, bytes.NewReader(data))
		if r == nil {
			return
		}
		got, gotErr := io.ReadAll(io.LimitReader(r, 8<<20))
		z, err := stdgzip.NewReader(bytes.NewReader(data))
		if err != nil {
			require.Error(t, gotErr)
			return
		}
		want, wantErr := io.ReadAll(io.LimitReader(z, 8<<20))
		if wantErr == nil && gotErr == nil {
			require.True(t, bytes.Equal(want, got))
		}
	})
}
