package archive_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// The real backup gives every file, byte for byte, in every wrapping.
func TestHarbour(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(harbour)
	require.NoError(t, err)
	items := unpackHarbour(t, 0)
	for name, c := range map[string]struct {
		src     []byte
		format  archive.Format
		checked bool
	}{
		"tar.gz":  {file, archive.Gzip, true},
		"tar.zst": {zst(t, closed(tarOf(items...))), archive.Zstd, true},
		"tar":     {closed(tarOf(items...)), archive.Tar, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, r, err := read(c.src)
			require.NoError(t, err)
			require.Equal(t, c.format, r.Format())
			require.Equal(t, c.checked, r.Checksummed())
			require.Empty(t, r.Facts())
			require.Len(t, entries, len(items))
			for i, e := range entries {
				require.Equal(t, path.Clean(items[i].name), e.Name)
				require.Equal(t, i+1, e.Number)
				require.True(t, items[i].content == e.content, e.Name)
				switch {
				case e.Name == "etcd-backup.snapshot":
					require.Equal(t, archive.Snapshot, e.Kind)
					require.Equal(t, int64(2244640), e.Size)
				case items[i].flag == tar.TypeDir:
					require.Equal(t, archive.Directory, e.Kind)
				default:
					require.Equal(t, archive.Kubernetes, e.Kind)
				}
			}
			require.Equal(t, []string{"etcd-backup.snapshot"}, r.Snapshots())
			require.NoError(t, r.CheckSnapshot(""))
			_, err = r.Next()
			require.Equal(t, io.EOF, err)
		})
	}
}

func TestEntry(t *testing.T) {
	t.Parallel()
	r, err := archive.NewReader(bytes.NewReader(gz(t, closed(tarOf(backup()...)))), archive.Limits{})
	require.NoError(t, err)
	e, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, "etcd-backup.snapshot", e.Name)
	require.Equal(t, archive.Bolt, e.Format)
	require.Equal(t, fs.FileMode(0o644), e.Mode)
	require.Equal(t, int64(0), e.Offset)
	e, err = r.Next() // the content is skipped
	require.NoError(t, err)
	require.Equal(t, "kubernetes", e.Name)
	require.True(t, e.Mode.IsDir())
	require.Equal(t, int64(512+3072), e.Offset)
	n, err := r.Read(make([]byte, 10))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err)
}

// The shapes that are met in the field.
func TestSnapshotUnderAnyName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"etcd-backup.snapshot", "./etcd-backup.snapshot", "etcd.db", "etcd-snapshot.bin", "var/lib/etcd/member/snap/db",
		"master-0", "./a b.c",
	} {
		entries, r, err := read(gz(t, closed(tarOf(item{name: name, content: database(5000)}))))
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, archive.Snapshot, entries[0].Kind, name)
		require.NoError(t, r.CheckSnapshot(""))
		require.Empty(t, r.Facts())
	}
}

func TestNotOneSnapshot(t *testing.T) {
	t.Parallel()
	help := "NAME:\n\tetcdctl - A simple command line client for etcd.\n\nUSAGE:\n\tetcdctl [flags]\n"
	for name, c := range map[string]struct {
		items []item
		is    error
		want  []string
	}{
		"none":                   {[]item{{name: "kubernetes/x", content: "y"}}, archive.ErrNoSnapshot, []string{"no etcd snapshot in the archive"}},
		"help text":              {[]item{{name: "etcd-backup.snapshot", content: help}}, archive.ErrNoSnapshot, []string{`"etcd-backup.snapshot" is etcdctl's help text, no etcd database`}},
		"empty":                  {[]item{{name: "etcd.db"}}, archive.ErrNoSnapshot, []string{`"etcd.db" is an empty file`}},
		"packed by another tool": {[]item{{name: "my-snapshot.xz", content: "\xfd7zXZ\x00 and so on"}}, archive.ErrOtherFormat, []string{`"my-snapshot.xz" is an xz file`}},
		"an archive in it":       {[]item{{name: "inner.tar", content: string(closed(tarOf(backup()...)))}}, archive.ErrOtherFormat, []string{`"inner.tar" is a tar file`}},
		"two, compressed": {[]item{{name: "a.gz", content: string(gz(t, []byte(database(5000))))}, {name: "b.zst", content: string(zst(t, []byte(database(5000))))}},
			archive.ErrManySnapshots, []string{`"a.gz", "b.zst"`}},
		"zeros": {[]item{{name: "a.snap", content: strings.Repeat("\x00", 5000)}}, archive.ErrNoSnapshot, []string{`"a.snap" is bytes of no known format`}},
		"two": {[]item{{name: "a.db", content: database(5000)}, {name: "b.db", content: database(5000)}}, archive.ErrManySnapshots,
			[]string{"more than one", `"a.db", "b.db"`}},
	} {
		_, r, err := read(gz(t, closed(tarOf(c.items...))))
		require.NoError(t, err, name)
		err = r.CheckSnapshot("")
		require.ErrorIs(t, err, c.is, name)
		for _, want := range c.want {
			require.ErrorContains(t, err, want, name)
		}
	}
	_, r, err := read(closed(tarOf(item{name: "kubernetes/manifests/snapshot-controller.yaml", content: "kind: Pod"})))
	require.NoError(t, err)
	require.Empty(t, r.Facts(), "an ordinary file of the control plane")
}

// kubeadm upgrade leaves the data dir in /etc/kubernetes/tmp, raft's own
// snapshots in it. The backup of such a host has one snapshot all the same,
// whichever comes first; a database among the files is one when nothing else is
// there, nor was meant to be.
func TestDatabaseUnderKubernetes(t *testing.T) {
	t.Parallel()
	const folder = "kubernetes/tmp/kubeadm-backup-etcd-2026-03-01-10-20-30/etcd/member/snap/"
	inner := item{name: folder + "db", content: database(5000)}
	other := item{name: "kubernetes/tmp/kubeadm-backup-etcd-2025-03-01-10-20-30/etcd/member/snap/db", content: database(5000)}
	raft := item{name: folder + "0000000000000003-00000000000186a1.snap", content: "raft"}
	outer := item{name: "etcd-backup.snapshot", content: database(6000)}
	for name, c := range map[string]struct {
		items []item
		found []string
		is    error
		words string
	}{
		"after the snapshot":     {[]item{outer, inner, raft}, []string{outer.name}, nil, ""},
		"before the snapshot":    {[]item{raft, inner, other, outer}, []string{outer.name}, nil, ""},
		"the only one":           {[]item{raft, inner}, nil, nil, ""},
		"two, and no snapshot":   {[]item{inner, other}, nil, archive.ErrManySnapshots, other.name},
		"beside two snapshots":   {[]item{inner, outer, {name: "b.db", content: database(5000)}}, []string{outer.name, "b.db"}, archive.ErrManySnapshots, `"b.db"`},
		"beside a failed save":   {[]item{inner, {name: "etcd-backup.snapshot"}}, nil, archive.ErrNoSnapshot, inner.name + `", a database among the files`},
		"beside a lost link":     {[]item{inner, {name: "latest.db", flag: tar.TypeSymlink, link: "elsewhere.db"}}, nil, archive.ErrNoSnapshot, "latest.db"},
		"beside another's link":  {[]item{inner, {name: "kubernetes/latest.db", flag: tar.TypeSymlink, link: "elsewhere.db"}}, nil, nil, ""},
		"beside another's file":  {[]item{inner, {name: "kubernetes/certs.db", content: "x"}}, nil, nil, ""},
		"in a folder of no name": {[]item{{name: "kubernetes2/db", content: database(5000)}, outer}, []string{"kubernetes2/db", outer.name}, archive.ErrManySnapshots, ""},
	} {
		entries, r, err := read(gz(t, closed(tarOf(c.items...))))
		require.NoError(t, err, name)
		require.Equal(t, c.found, r.Snapshots(), name)
		err = r.CheckSnapshot("")
		require.ErrorIs(t, err, c.is, name)
		if c.is != nil {
			require.ErrorContains(t, err, c.words, name)
		}
		named := map[string]bool{}
		for _, f := range r.Facts() {
			if f.Code == archive.InnerDatabase {
				named[f.Entry] = true
			}
		}
		for _, e := range entries {
			require.Equal(t, named[e.Name], e.InKubernetes(), "%s: %s", name, e.Name)
			require.Equal(t, e.Name == inner.name || e.Name == other.name, e.InKubernetes(), "%s: %s", name, e.Name)
		}
		for _, f := range r.Facts() {
			require.NotEqual(t, raft.name, f.Entry, "a raft snapshot is no torn backup")
		}
	}
}

// Members one after the other are one gzip file (RFC 1952 section 2.2), as
// pigz and bgzip write it; so are zstd's frames.
func TestManyMembersAreOneFile(t *testing.T) {
	t.Parallel()
	b := closed(tarOf(backup()...))
	for name, wrap := range map[string]func(testing.TB, []byte) []byte{"gzip": gz, "zstd": zst} {
		var src []byte
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 1000)
			src = append(src, wrap(t, rest[:n])...)
			rest = rest[n:]
		}
		entries, _, err := readAll(iotest.HalfReader(bytes.NewReader(src)), archive.Limits{})
		require.NoError(t, err, name)
		require.Len(t, entries, 4, name)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	entries, r, err := read(gz(t, closed(tarOf(
		item{name: "kubernetes/pki/current.pem", flag: tar.TypeSymlink, link: "/var/lib/kubelet/pki/2026.pem"},
		item{name: "kubernetes/up", flag: tar.TypeSymlink, link: "../../../etc"},
		item{name: "kubernetes/..data/x", content: "y"},
		item{name: "kubernetes/twin", flag: tar.TypeLink, link: "./kubernetes/..data/x"},
	))))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, 3, entries[0].Number)
	facts := r.Facts()
	require.Len(t, facts, 3)
	require.Equal(t, archive.SkippedLink, facts[0].Code)
	require.Equal(t, archive.SkippedLink, facts[1].Code)
	require.Equal(t, archive.HardLink, facts[2].Code)
	require.Equal(t, `is a symbolic link to "/var/lib/kubelet/pki/2026.pem" and was not followed`, facts[0].Detail)
	require.Equal(t, "kubernetes/twin", facts[2].Entry)
}

// An error of the source is nobody's damage, and the end of the archive is
// not good while the source has an error left: the last chunk of an age file.
func TestErrorsOfTheSourceComeThrough(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{errors.New("input/output error"), io.ErrUnexpectedEOF} {
		for name, src := range map[string][]byte{
			"gzip": gz(t, closed(tarOf(backup()...))), "zstd": zst(t, closed(tarOf(backup()...))), "tar": closed(tarOf(backup()...)),
		} {
			for _, n := range []int{0, 1, 20, 600, len(src) - 1, len(src)} {
				n = min(n, len(src))
				_, _, err := readAll(io.MultiReader(bytes.NewReader(src[:n]), iotest.ErrReader(cause)), archive.Limits{})
				require.ErrorIs(t, err, cause, "%s at %d", name, n)
				require.NotErrorIs(t, err, archive.ErrDamaged, "%s at %d", name, n)
			}
		}
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	second := make([]byte, 70000)
	copy(second[16384:], database(4096))
	for name, c := range map[string]struct {
		head []byte
		want archive.Format
	}{
		"nothing":              {nil, archive.Empty},
		"gzip":                 {gz(t, nil), archive.Gzip},
		"zstd":                 {zst(t, []byte("x")), archive.Zstd},
		"pzstd":                {[]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00"), archive.Zstd},
		"tar":                  {tarOf(backup()...), archive.Tar},
		"old tar":              {bytes.Replace(tarOf(item{name: "x", content: database(600)}), []byte("ustar\x0000"), make([]byte, 8), 1), archive.Unknown},
		"database":             {[]byte(database(4096)), archive.Bolt},
		"first page damaged":   {second, archive.Bolt},
		"age":                  {[]byte("age-encryption.org/v1\n"), archive.Age},
		"zip":                  {[]byte("PK\x03\x04"), archive.Zip},
		"text":                 {[]byte("Привет\n"), archive.Text},
		"text cut in a letter": {[]byte("Привет")[:11], archive.Text},
		"zeros":                {make([]byte, 4096), archive.Unknown},
		"bytes":                {[]byte{0xff, 0xfe, 0x00}, archive.Unknown},
	} {
		require.Equal(t, c.want, archive.Detect(c.head), name)
	}
	for version, want := range map[byte]archive.Format{3: archive.Unknown, 4: archive.PGP, 6: archive.PGP, 7: archive.Unknown} {
		head := append([]byte{0x8c, 0x0d, version}, bytes.Repeat([]byte{0xfe}, 20)...)
		require.Equal(t, want, archive.Detect(head), "a passphrase's packet of version %d", version)
	}
	damaged := tarOf(backup()...)
	damaged[3] ^= 1
	require.Equal(t, archive.Tar, archive.Detect(damaged), "a damaged header is not an unknown thing")
}

// A database whose first page is gone is known by its second one, at every size
// that pages have.
func TestDetectSecondMeta(t *testing.T) {
	t.Parallel()
	for size := 1 << 10; size <= 64<<10; size <<= 1 {
		head := bytes.Repeat([]byte{0xff}, archive.DetectSize)
		page := head[size:]
		binary.LittleEndian.PutUint16(page[8:], 4)           // a meta page
		binary.LittleEndian.PutUint32(page[16:], 0xED0CDAED) // bbolt's magic
		binary.LittleEndian.PutUint32(page[20:], 2)          // and version
		require.Equal(t, archive.Bolt, archive.Detect(head), size)
		require.Equal(t, archive.Unknown, archive.Detect(head[:size]), size)
	}
}

// A source that fails just where a frame has ended has failed, whatever its error
// is like: the decompressor takes some of them for the end.
func TestSourceFailsBehindAFrame(t *testing.T) {
	t.Parallel()
	for name, packed := range map[string][]byte{"gzip": gz(t, closed(tarOf(backup()...))), "zstd": zst(t, closed(tarOf(backup()...)))} {
		for _, failed := range []error{io.ErrUnexpectedEOF, errors.New("input/output error")} {
			_, _, err := readAll(io.MultiReader(bytes.NewReader(packed), iotest.ErrReader(failed)), archive.Limits{})
			require.ErrorIs(t, err, failed, name)
			require.NotErrorIs(t, err, archive.ErrDamaged, name)
		}
	}
}
