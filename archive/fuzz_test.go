package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// FuzzArchive feeds what no tar wrote. No name leaves the archive or reaches a
// terminal, no name comes twice, and every end is a known one.
func FuzzArchive(f *testing.F) {
	small := closed(tarOf(unpackHarbour(f, 600)[:8]...)) // the fuzzer is slow with large seeds
	f.Add(small)
	f.Add(gz(f, small))
	f.Add(zst(f, small))
	f.Add(closed(tarOf(backup()...)))
	f.Add(closed(tarOf(item{name: "../x"}, item{name: "l", flag: tar.TypeSymlink, link: "/etc"})))
	f.Add(append([]byte(pax('x', "path=kubernetes/x", "size=3")), closed(tarOf(item{name: "y", content: "abc"}))...))
	f.Add([]byte(database(8192)))
	f.Fuzz(func(t *testing.T, src []byte) {
		limits := archive.Limits{MaxBytes: 16 << 20, MaxEntries: 1000}
		entries, r, err := readAll(bytes.NewReader(src), limits)
		seen := map[string]bool{}
		total := 0
		for _, e := range entries {
			require.True(t, fs.ValidPath(e.Name), "%q", e.Name)
			require.False(t, strings.ContainsAny(e.Name, "\x00\x1b\n\r\u202e"), "%q", e.Name)
			require.False(t, seen[e.Name] && e.Kind != archive.Directory, "%q twice", e.Name)
			seen[e.Name] = true
			require.Len(t, e.content, int(e.Size))
			total += len(e.content)
		}
		require.LessOrEqual(t, total, 16<<20)
		if err == nil {
			_ = r.CheckSnapshot("")
			return
		}
		known := errors.Is(err, archive.ErrDamaged) || errors.Is(err, archive.ErrPolicy) || errors.Is(err, archive.ErrNotArchive)
		require.True(t, known, "%v", err)
		require.NotContains(t, err.Error(), "\x1b")
	})
}
