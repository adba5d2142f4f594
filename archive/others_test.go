package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// Archives that others made: what an operator's tar, tape, Mac or backup job
// leaves, and what must not keep a backup from being read.

// Names that cannot be shown are left out and named, with what is behind them.
func TestNamesThatCannotBeShown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a\nb", "\x1b[2Jx", "a\u202eb", "a\u200bb", "a\xffb"} {
		large := string(bytes.Repeat([]byte("x"), 5<<20)) // more than headers may take
		entries, r, err := read(closed(tarOf(item{name: name, content: large}, item{name: "kubernetes/good", content: "y"})))
		require.NoError(t, err, "%q", name)
		require.Len(t, entries, 1)
		require.Equal(t, "kubernetes/good", entries[0].Name)
		require.Equal(t, archive.OddName, r.Facts()[0].Code)
		require.Equal(t, name, r.Facts()[0].Entry)

		_, done, err := unpack(t, closed(tarOf(item{name: name}, item{name: "good"})), archive.UnpackOptions{})
		require.NoError(t, err)
		require.Equal(t, 1, done.Odd)
		require.Equal(t, 1, done.Files)
	}
}

// tar -P: names lose their slash, and that is said once.
func TestAbsoluteNames(t *testing.T) {
	t.Parallel()
	src := closed(tarOf(item{name: "/etc/kubernetes/a", content: "x"}, item{name: "/etc/kubernetes/b", flag: tar.TypeLink, link: "/etc/kubernetes/a"}))
	entries, r, err := read(src)
	require.NoError(t, err)
	require.Equal(t, "etc/kubernetes/a", entries[0].Name)
	require.Equal(t, archive.MadeRelative, r.Facts()[0].Code)
	require.Len(t, r.Facts(), 2)
	dir, _, err := unpack(t, src, archive.UnpackOptions{})
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(dir, "etc", "kubernetes", "b"))
	require.NoError(t, err)
	require.Equal(t, "x", string(content))
}

// tar -r: the last one of a name counts, also of a snapshot.
func TestNamesThatComeAgain(t *testing.T) {
	t.Parallel()
	src := closed(tarOf(
		item{name: "etcd.db", content: "not yet"}, item{name: "kubernetes/a", content: "old"},
		item{name: "kubernetes/a", content: "new"}, item{name: "etcd.db", content: database(5000)},
	))
	entries, r, err := read(src)
	require.NoError(t, err)
	require.NoError(t, r.CheckSnapshot(""))
	require.True(t, entries[2].Again)
	require.Len(t, r.Facts(), 1)
	require.Equal(t, "and 1 more come more than once: the last one of each counts", r.Facts()[0].Detail)
	dir, done, err := unpack(t, src, archive.UnpackOptions{})
	require.NoError(t, err)
	require.Equal(t, 2, done.Files)
	content, err := os.ReadFile(filepath.Join(dir, "kubernetes", "a"))
	require.NoError(t, err)
	require.Equal(t, "new", string(content))

	_, r, err = read(closed(tarOf(item{name: "kubernetes/a", content: "old"}, item{name: "kubernetes/a", content: "new"})))
	require.NoError(t, err)
	require.Equal(t, "comes more than once: the last one counts", r.Facts()[0].Detail)

	// What was said of the one before is forgotten, and of nothing else.
	_, r, err = read(closed(tarOf(item{name: "a.db", content: "text"}, item{name: "b.db", content: "text"}, item{name: "b.db", content: database(5000)})))
	require.NoError(t, err)
	require.NoError(t, r.CheckSnapshot(""))
	said := map[string]archive.FactCode{}
	for _, f := range r.Facts() {
		said[f.Entry] = f.Code
	}
	require.Equal(t, map[string]archive.FactCode{"a.db": archive.NotADatabase, "b.db": archive.Repeated}, said)
}

// A hard link is another name of a file: it is unpacked as one.
func TestHardLinksAreUnpacked(t *testing.T) {
	t.Parallel()
	src := closed(tarOf(item{name: "pki/ca.crt", content: "x"}, item{name: "pki/etcd-ca.crt", flag: tar.TypeLink, link: "./pki/ca.crt"}))
	dir, done, err := unpack(t, src, archive.UnpackOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, done.Links)
	require.Empty(t, done.Left)
	content, err := os.ReadFile(filepath.Join(dir, "pki", "etcd-ca.crt"))
	require.NoError(t, err)
	require.Equal(t, "x", string(content))

	_, done, err = unpack(t, src, archive.UnpackOptions{Paths: []string{"pki/etcd-ca.crt"}})
	require.NoError(t, err)
	require.Equal(t, []string{"pki/etcd-ca.crt"}, done.Linked, "what it is a name of was not asked for")
}

// Tapes and dd fill up their last block with zeros.
func TestZerosBehindTheEnd(t *testing.T) {
	t.Parallel()
	plain := closed(tarOf(backup()...))
	for name, src := range map[string][]byte{"gzip": gz(t, plain), "zstd": zst(t, plain), "members": pack(t, []archive.Item{file("a", "b")}, archive.Compression{})} {
		for _, n := range []int{1, 40, 10240, 100_000} {
			if name == "zstd" && n < 4 {
				continue // less than a magic number: cut short
			}
			_, r, err := read(append(bytes.Clone(src), make([]byte, n)...))
			require.NoError(t, err, "%s and %d", name, n)
			require.EqualValues(t, n, r.Padding(), name)
		}
	}
}

// The databases of an archive can be chosen from by name.
func TestSnapshotByName(t *testing.T) {
	t.Parallel()
	_, r, err := read(closed(tarOf(item{name: "a.db", content: database(5000)}, item{name: "b.db.gz", content: string(gz(t, []byte(database(6000))))})))
	require.NoError(t, err)
	require.NoError(t, r.CheckSnapshot(""), "a plain one comes before one that is compressed")
	require.NoError(t, r.CheckSnapshot("./b.db.gz"))
	require.ErrorContains(t, r.CheckSnapshot("c.db"), `no etcd database "c.db" in the archive: "a.db", "b.db.gz"`)
}

// Packages beside the snapshot are not looked into, and are named: the control
// plane's files may stand in one, or a newer snapshot.
func TestPackagesBesideTheSnapshot(t *testing.T) {
	t.Parallel()
	inner := string(closed(tarOf(item{name: "kubernetes/pki/ca.crt", content: "x"})))
	unopened := func(items ...item) (names []string) {
		_, r, err := read(closed(tarOf(items...)))
		require.NoError(t, err)
		for _, f := range r.Facts() {
			if f.Code == archive.Unopened {
				names = append(names, f.Entry)
			}
		}
		return names
	}
	plain, packed := item{name: "a.db", content: database(5000)}, item{name: "b.db.gz", content: string(gz(t, []byte(database(6000))))}
	others := []item{
		{name: "kubernetes.tar", content: inner}, {name: "kubernetes.tar.gz", content: string(gz(t, []byte(inner)))},
		{name: "secret.age", content: "age-encryption.org/v1\n"},
		{name: "Incr-1", content: `[{"etcdEvent":{"Type":0,"Kv":{"key":"L3g="}},"time":"2026-11-21T20:50:49Z"}]`},
		{name: "backup.log.gz", content: string(gz(t, []byte("all is well\n")))}, {name: "README", content: "text"},
		{name: "kubernetes/pki.tar", content: inner},
	}
	want := []string{"kubernetes.tar", "kubernetes.tar.gz", "secret.age", "Incr-1"}
	require.Equal(t, want, unopened(append(others, plain)...))
	require.Equal(t, want, unopened(append(others, packed)...))
	require.Equal(t, []string{"b.db.gz"}, unopened(packed, plain))
	require.Empty(t, unopened(others[:4]...), "without a snapshot its error names them")
}

// What macOS keeps beside each file is neither the file nor a snapshot.
func TestAppleDouble(t *testing.T) {
	t.Parallel()
	entries, r, err := read(closed(tarOf(
		item{name: "._etcd-backup.snapshot", content: "\x00\x05\x16\x07\x00\x02"}, item{name: "etcd-backup.snapshot", content: database(5000)},
		item{name: "kubernetes/pki/._ca.crt", content: "\x00\x05\x16\x07\x00\x02"},
	)))
	require.NoError(t, err)
	require.NoError(t, r.CheckSnapshot(""))
	require.Empty(t, r.Facts())
	require.Equal(t, archive.Other, entries[2].Kind)
}

// Holes stay holes.
func TestHolesStayHoles(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	src := []byte(pax('x', "GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=67108864", "GNU.sparse.numblocks=2", "GNU.sparse.map=0,3,33554432,3"))
	src = append(src, tarOf(item{name: "sparse", content: "abcdef"})...)
	dir, _, err := unpack(t, closed(src), archive.UnpackOptions{})
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "sparse"))
	require.NoError(t, err)
	require.EqualValues(t, size, info.Size())
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		require.Less(t, stat.Blocks*512, int64(1<<20))
	}
	content, err := os.ReadFile(filepath.Join(dir, "sparse"))
	require.NoError(t, err)
	require.Equal(t, "abc\x00", string(content[:4]))
	require.Equal(t, "\x00def\x00", string(content[size/2-1:size/2+4]))
}

func zipOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, i := range items {
		h := &zip.FileHeader{Name: i.name, Method: zip.Deflate}
		h.SetMode(0o600)
		if i.flag == tar.TypeSymlink {
			h.SetMode(0o777 | os.ModeSymlink)
		}
		w, err := z.CreateHeader(h)
		require.NoError(t, err)
		_, err = io.WriteString(w, i.content)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func TestZip(t *testing.T) {
	t.Parallel()
	db := database(70_000)
	one := zipOf(t, item{name: "etcd-snapshot-master-0-1700000000", content: db})
	z, err := archive.OpenZip(bytes.NewReader(one), int64(len(one)), archive.Limits{})
	require.NoError(t, err)
	r, ok, err := z.Only()
	require.NoError(t, err)
	require.True(t, ok)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, db, string(got))

	many := zipOf(t, item{name: "etcd.db", content: db}, item{name: "kubernetes/pki/ca.crt", content: "x"}, item{name: "kubernetes/link", content: "pki/ca.crt", flag: tar.TypeSymlink}, item{name: "kubernetes/empty/"})
	z, err = archive.OpenZip(bytes.NewReader(many), int64(len(many)), archive.Limits{})
	require.NoError(t, err)
	_, ok, _ = z.Only()
	require.False(t, ok)
	entries, reader, err := readAll(z.Tar(), archive.Limits{})
	require.NoError(t, err)
	require.NoError(t, reader.CheckSnapshot(""))
	require.Len(t, entries, 3)
	require.Equal(t, "x", entries[1].content)
	require.Equal(t, []archive.Link{{Name: "kubernetes/link", Target: "pki/ca.crt"}}, reader.Links())
}

// Every bit of a zip file is covered by a checksum or by its directory: what
// was flipped is told, or changes nothing that is read.
func TestZipDamaged(t *testing.T) {
	t.Parallel()
	db := database(9000)
	whole := zipOf(t, item{name: "etcd.db", content: db})
	found := 0
	for at := range whole {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x10
		z, err := archive.OpenZip(bytes.NewReader(bad), int64(len(bad)), archive.Limits{})
		if err != nil {
			found++
			continue
		}
		r, ok, err := z.Only()
		if err != nil || !ok {
			found++
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil {
			require.ErrorIs(t, err, archive.ErrDamaged)
			found++
			continue
		}
		require.Equal(t, db, string(got), "at %d", at)
	}
	require.Greater(t, found, len(whole)/2)
	_, err := archive.OpenZip(bytes.NewReader(whole[:len(whole)-30]), int64(len(whole)-30), archive.Limits{})
	require.ErrorIs(t, err, archive.ErrDamaged)
	_, err = archive.OpenZip(bytes.NewReader(zipOf(t, make([]item, 20)...)), 1<<20, archive.Limits{MaxEntries: 10})
	require.Error(t, err)
}

// What Gardener keeps: zlib, and the events between two snapshots.
func TestGardenerFormats(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, err := io.WriteString(z, database(9000))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.Equal(t, archive.Zlib, archive.Detect(b.Bytes()))
	require.Equal(t, archive.Bolt, archive.DetectInside(b.Bytes()))
	r, err := archive.Decompress(bytes.NewReader(b.Bytes()), archive.Limits{})
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, database(9000), string(got))
	r, err = archive.Decompress(bytes.NewReader(append(b.Bytes(), 'x')), archive.Limits{})
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, archive.ErrDamaged)

	delta := []byte(`[{"etcdEvent":{"Type":0,"Kv":{"key":"L3g="}},"time":"2026-11-21T20:50:49Z"}]`)
	require.Equal(t, archive.Delta, archive.Detect(delta))
	require.Equal(t, archive.Text, archive.Detect([]byte("x^y")))
	_, _, err = read(gz(t, delta))
	require.ErrorIs(t, err, archive.ErrOtherFormat)
	require.ErrorContains(t, err, "a Gardener delta snapshot")
}

// Another program's MANIFEST.json is a file like any other; a damaged one of
// ours is damage.
func TestForeignManifest(t *testing.T) {
	t.Parallel()
	for text, foreign := range map[string]bool{
		`{"a":1}`: true, `backup of host m0`: true, ``: true, `{"format":"v2","files":[]}`: true,
		`{"format":1,"time":"x","etcd":{},"entries":[`: false, `{"fXrmat":1,"etcd":{},"entries":[]}`: false,
	} {
		entries, r, err := read(closed(tarOf(item{name: "MANIFEST.json", content: text})))
		require.NoError(t, err)
		require.Len(t, entries, 1)
		_ = r
		var v archive.Inventory
		reader, err := archive.NewReader(bytes.NewReader(closed(tarOf(item{name: "MANIFEST.json", content: text}))), archive.Limits{})
		require.NoError(t, err)
		entry, err := reader.Next()
		require.NoError(t, err)
		content, err := v.Watch(entry, reader)
		if !foreign {
			require.ErrorIs(t, err, archive.ErrDamaged, text)
			continue
		}
		require.NoError(t, err, text)
		got, err := io.ReadAll(content)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		require.Nil(t, v.Manifest)
		require.Empty(t, v.Check(nil))
	}
}

// Owners are packed, listed in the manifest and held against it.
func TestOwnersArePacked(t *testing.T) {
	t.Parallel()
	items := []archive.Item{file("kubernetes/a", "x"), file("kubernetes/b", "y")}
	items[1].UID, items[1].GID = 65534, 1000
	var b bytes.Buffer
	m, err := archive.Write(t.Context(), &b, items, archive.WriteOptions{})
	require.NoError(t, err)
	require.Empty(t, m.Entries[0].Owner)
	require.Equal(t, "65534:1000", m.Entries[1].Owner)
	entries, _, err := read(b.Bytes())
	require.NoError(t, err)
	require.Equal(t, 65534, entries[1].UID)
	require.Equal(t, 1000, entries[1].GID)
	_, wrong := check(t, b.Bytes())
	require.Empty(t, wrong)

	// tar goes by the names, where there are any: only root has one everywhere.
	b.Reset()
	_, err = archive.Write(t.Context(), &b, items, archive.WriteOptions{Compression: archive.Compression{Format: archive.Tar}})
	require.NoError(t, err)
	tr := tar.NewReader(&b)
	for _, want := range [][2]string{{"root", "root"}, {"", ""}} {
		h, err := tr.Next()
		require.NoError(t, err)
		require.Equal(t, want, [2]string{h.Uname, h.Gname}, h.Name)
	}
}
