package archive_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// pax is an extended header with these records, and before what it applies to.
func pax(flag byte, records ...string) string {
	var b strings.Builder
	for _, r := range records {
		n := len(r) + 2 // the blank and the line feed
		n += len(strconv.Itoa(n + len(strconv.Itoa(n))))
		fmt.Fprintf(&b, "%d %s\n", n, r)
	}
	return string(rawEntry(item{name: "PaxHeader", flag: flag, content: b.String()}))
}

func TestHostileEntries(t *testing.T) {
	t.Parallel()
	good := item{name: "kubernetes/good", content: "x"}
	long := strings.Repeat("n", 4096)
	for name, c := range map[string]struct {
		tar  []byte // after one good entry
		name string // as the error has it
		want string
	}{
		"dot dot":              {tarOf(item{name: "../etc/passwd"}), "../etc/passwd", "a name with .."},
		"dot dot inside":       {tarOf(item{name: "./kubernetes/../../x"}), "./kubernetes/../../x", "a name with .."},
		"dot dot at the end":   {tarOf(item{name: "kubernetes/.."}), "kubernetes/..", "a name with .."},
		"absolute, dot dot":    {tarOf(item{name: "/../etc/shadow"}), "/../etc/shadow", "a name with .."},
		"root alone":           {tarOf(item{name: "/"}), "/", "an absolute name"},
		"no name":              {tarOf(item{name: ""}), "", "without a name"},
		"file named as folder": {tarOf(item{name: "a/"}), "a/", "a file with the name of a folder"},
		"file named as root":   {tarOf(item{name: "."}), ".", "a file with the name of a folder"},
		"too long":             {append([]byte(pax('x', "path="+long)), tarOf(item{name: "x"})...), long, "longer than 1024 bytes"},
		"too deep":             {append([]byte(pax('x', "path="+strings.Repeat("a/", 100)+"b")), tarOf(item{name: "x"})...), strings.Repeat("a/", 100) + "b", "folders deep"},
		"link over file":       {tarOf(item{name: "kubernetes/good", flag: tar.TypeSymlink, link: "/etc/shadow"}), "kubernetes/good", "was there before"},
		"folder over file":     {tarOf(item{name: "kubernetes/good/", flag: tar.TypeDir}), "kubernetes/good/", "was there before"},
		"file over folder":     {tarOf(item{name: "kubernetes"}), "kubernetes", "was there before"},
		"through a file":       {tarOf(item{name: "kubernetes/good/x"}), "kubernetes/good/x", "leads through a file"},
		"through a link":       {tarOf(item{name: "l", flag: tar.TypeSymlink, link: "/etc"}, item{name: "l/shadow"}), "l/shadow", "leads through a file or a link"},
		"hard link out":        {tarOf(item{name: "l", flag: tar.TypeLink, link: "/../etc/shadow"}), "l", "a hard link that leaves"},
		"character device":     {tarOf(item{name: "zero", flag: tar.TypeChar}), "zero", "an entry of type '3'"},
		"block device":         {tarOf(item{name: "sda", flag: tar.TypeBlock}), "sda", "an entry of type '4'"},
		"fifo":                 {tarOf(item{name: "pipe", flag: tar.TypeFifo}), "pipe", "an entry of type '6'"},
		"unknown type":         {tarOf(item{name: "odd", flag: 'Z'}), "odd", "an entry of type 'Z'"},
		"global header":        {append([]byte(pax('g', "path=../x")), tarOf(item{name: "x"})...), "../x", "a global PAX header"},
		"renamed by PAX":       {append([]byte(pax('x', "path=../x")), tarOf(item{name: "harmless"})...), "../x", "a name with .."},
		"huge":                 {rawHeader("huge", tar.TypeReg, 1<<40, ""), "huge", "unpacks to more than 68719476736 bytes"},
		"huge hole": {append([]byte(pax('x', "GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=9223372036854775807",
			"GNU.sparse.numblocks=1", "GNU.sparse.map=0,0")), tarOf(item{name: "hole"})...), "hole", "unpacks to more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := append(tarOf(good), c.tar...)
			_, _, err := read(gz(t, closed(src)))
			var refused *archive.PolicyError
			require.ErrorAs(t, err, &refused)
			require.ErrorIs(t, err, archive.ErrPolicy)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.name, refused.Entry)
			require.GreaterOrEqual(t, refused.Number, 2)
			require.GreaterOrEqual(t, refused.Offset, int64(1024))
			require.NotContains(t, err.Error(), "\x1b")
			require.Less(t, len(err.Error()), 600)
		})
	}
}

// What looks odd and harms nobody is read.
func TestOddButHarmless(t *testing.T) {
	t.Parallel()
	src := tarOf(item{name: "./", flag: tar.TypeDir}, item{name: "kubernetes/", flag: tar.TypeDir}, item{name: "./kubernetes", flag: tar.TypeDir})
	src = append(src, pax('g', "comment=0123456789abcdef")...)
	src = append(src, pax('x', "path=kubernetes/имя с пробелом", "mtime=99999999999999", "SCHILY.xattr.security.selinux=x")...)
	src = append(src, tarOf(item{name: "x", content: "y"})...)
	src = append(src, pax('x', "GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=5000", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,3")...)
	src = append(src, tarOf(item{name: "sparse", content: "abc"}, item{name: `kubernetes/run-\x2d.mount`})...)
	entries, _, err := read(closed(src))
	require.NoError(t, err)
	require.Len(t, entries, 5)
	require.Equal(t, "kubernetes/имя с пробелом", entries[2].Name)
	require.True(t, entries[2].ModTime.IsZero(), "a year that JSON cannot hold")
	require.Equal(t, "abc"+strings.Repeat("\x00", 4997), entries[3].content)
}

// A link to the newest snapshot stands beside it: it is passed over, and named.
// Where it is all there is, the archive has no snapshot.
func TestLinkBesideTheSnapshot(t *testing.T) {
	t.Parallel()
	for _, flag := range []byte{tar.TypeSymlink, tar.TypeLink} {
		link := item{name: "latest.db", flag: flag, link: "etcd-backup.snapshot"}
		entries, r, err := read(closed(tarOf(item{name: "etcd-backup.snapshot", content: database(9000)}, link)))
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.NoError(t, r.CheckSnapshot(""))
		require.Equal(t, map[byte]archive.FactCode{tar.TypeSymlink: archive.SkippedLink, tar.TypeLink: archive.HardLink}[flag], r.Facts()[0].Code)

		_, r, err = read(closed(tarOf(link)))
		require.NoError(t, err)
		err = r.CheckSnapshot("")
		require.ErrorIs(t, err, archive.ErrNoSnapshot)
		require.ErrorContains(t, err, "latest.db")
	}
}

func TestTooManyEntries(t *testing.T) {
	t.Parallel()
	var items []item
	for i := range 11 {
		items = append(items, item{name: strconv.Itoa(i)})
	}
	_, _, err := readAll(bytes.NewReader(closed(tarOf(items...))), archive.Limits{MaxEntries: 10})
	require.ErrorIs(t, err, archive.ErrPolicy)
	_, _, err = readAll(bytes.NewReader(closed(tarOf(items...))), archive.Limits{MaxEntries: 11})
	require.NoError(t, err)
}

// An archive of just the allowed size is allowed.
func TestMaxBytes(t *testing.T) {
	t.Parallel()
	src := closed(tarOf(backup()...))
	_, _, err := readAll(bytes.NewReader(gz(t, src)), archive.Limits{MaxBytes: int64(len(src))})
	require.NoError(t, err)
	_, _, err = readAll(bytes.NewReader(gz(t, src)), archive.Limits{MaxBytes: int64(len(src)) - 1})
	require.ErrorIs(t, err, archive.ErrPolicy)
}

// Holes take no room in the archive, and add up all the same.
func TestHolesAddUp(t *testing.T) {
	t.Parallel()
	var src []byte
	for _, name := range []string{"a", "b", "c"} {
		src = append(src, pax('x', "GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=20000", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,3")...)
		src = append(src, tarOf(item{name: name, content: "abc"})...)
	}
	_, _, err := readAll(bytes.NewReader(closed(src)), archive.Limits{MaxBytes: 60_000})
	require.NoError(t, err)
	_, _, err = readAll(bytes.NewReader(closed(src)), archive.Limits{MaxBytes: 59_999})
	require.ErrorIs(t, err, archive.ErrPolicy)
	require.ErrorContains(t, err, `"c"`)
}

func TestHeadersWithoutEnd(t *testing.T) {
	t.Parallel()
	header := pax('x', "comment="+strings.Repeat("c", 500_000))
	_, _, err := read(gz(t, []byte(strings.Repeat(header, 20))))
	require.ErrorIs(t, err, archive.ErrPolicy)
	require.ErrorContains(t, err, "its headers exceed 4 MiB")
}

// A window is memory: it is refused before any is taken.
func TestZstdWindows(t *testing.T) {
	t.Parallel()
	frame := func(descriptor byte, rest ...byte) []byte {
		return append([]byte{0x28, 0xb5, 0x2f, 0xfd, descriptor}, append(rest, 1, 0, 0)...)
	}
	single := binary.LittleEndian.AppendUint64(nil, 60<<30)
	for name, src := range map[string][]byte{
		"2 GiB":                 frame(0, (31-10)<<3),
		"just above 128 MiB":    frame(0, (27-10)<<3|1),
		"single segment 60 GiB": frame(0xe0, single...),
	} {
		_, _, err := read(src)
		require.ErrorIs(t, err, archive.ErrPolicy, name)
		require.ErrorContains(t, err, "window")
	}
	var wide bytes.Buffer
	w, err := zstd.NewWriter(&wide, zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false), zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	_, err = w.Write(closed(tarOf(backup()...)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, _, err = read(wide.Bytes())
	require.NoError(t, err, "128 MiB is what zstd --long=27 writes")
}

// bomb is an archive of one file of zeros.
func bomb(t testing.TB, size int64, wrap io.WriteCloser) {
	t.Helper()
	_, err := wrap.Write(rawHeader("kubernetes/zeros", tar.TypeReg, size, ""))
	require.NoError(t, err)
	zeros := make([]byte, 1<<20)
	for left := size + 1024; left > 0; left -= int64(len(zeros)) {
		_, err := wrap.Write(zeros[:min(left, int64(len(zeros)))])
		require.NoError(t, err)
	}
	require.NoError(t, wrap.Close())
}

// Bombs cost the time to unpack up to the limit, and no memory. Not parallel:
// it measures what the whole process allocates.
func TestBombs(t *testing.T) {
	const size = 64 << 20
	var gzipped, zstded bytes.Buffer
	z, err := gzip.NewWriterLevel(&gzipped, gzip.BestCompression)
	require.NoError(t, err)
	bomb(t, size, z)
	s, err := zstd.NewWriter(&zstded, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	bomb(t, size, s)
	require.Greater(t, size/gzipped.Len(), 900, "this is no bomb")
	require.Greater(t, size/zstded.Len(), 9000, "this is no bomb")

	for name, c := range map[string]struct {
		src  []byte
		most uint64
	}{
		"gzip": {gzipped.Bytes(), 4 << 20},
		"zstd": {zstded.Bytes(), 32 << 20}, // the encoder's window of 8 MiB, doubled
	} {
		for _, limit := range []int64{size / 2, 2 * size} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := archive.NewReader(bytes.NewReader(c.src), archive.Limits{MaxBytes: limit})
			for err == nil {
				_, err = r.Next()
			}
			runtime.ReadMemStats(&after)
			if limit < size {
				require.ErrorIs(t, err, archive.ErrPolicy, name)
			} else {
				require.Equal(t, io.EOF, err, name)
			}
			require.Less(t, after.TotalAlloc-before.TotalAlloc, c.most, name)
		}
	}
}
