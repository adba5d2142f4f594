package archive_test

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/archive"
)

var written = time.Date(2026, 11, 21, 20, 50, 49, 123456, time.UTC)

func file(name, content string) archive.Item {
	return archive.Item{
		Name: name, Mode: 0o600, ModTime: written, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

// sample is what a backup holds, in no order.
func sample() []archive.Item {
	return []archive.Item{
		file("kubernetes/pki/ca.key", "a key\n"),
		{Name: "kubernetes", Mode: fs.ModeDir | 0o755, ModTime: written},
		{Name: "kubernetes/pki", Mode: fs.ModeDir | 0o755, ModTime: written},
		{Name: "kubernetes/current", Mode: fs.ModeSymlink | 0o777, ModTime: written, Link: "pki/ca.key"},
		file("etcd-backup.snapshot", database(3<<20)),
	}
}

func pack(t require.TestingT, items []archive.Item, c archive.Compression) []byte {
	var out bytes.Buffer
	m, err := archive.Write(context.Background(), &out, items, archive.WriteOptions{
		Compression: c, Recovery: "read me\n", Manifest: archive.Manifest{Time: written, Node: "master-0", Etcd: archive.EtcdManifest{Revision: 1485}},
	})
	require.NoError(t, err)
	require.Len(t, m.Entries, len(items)+1)
	return out.Bytes()
}

// check reads an archive with its inventory.
func check(t require.TestingT, data []byte) (*archive.Inventory, []string) {
	r, err := archive.NewReader(bytes.NewReader(data), archive.Limits{})
	require.NoError(t, err)
	var v archive.Inventory
	for {
		entry, err := r.Next()
		if err == io.EOF {
			return &v, v.Check(r.Links())
		}
		require.NoError(t, err)
		content, err := v.Watch(entry, r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, content)
		require.NoError(t, err)
	}
}

// All formats hold the same tar, byte for byte, and what the manifest says.
func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	plain := pack(t, sample(), archive.Compression{Format: archive.Tar})
	for _, c := range []archive.Compression{{}, {Level: 1}, {Level: 9}, {Format: archive.Zstd}, {Format: archive.Zstd, Level: 1}, {Format: archive.Tar}} {
		data := pack(t, sample(), c)
		again := pack(t, sample(), c)
		require.True(t, bytes.Equal(data, again), "the same bytes every time")
		v, wrong := check(t, data)
		require.Empty(t, wrong)
		require.Equal(t, int64(1485), v.Manifest.Etcd.Revision)
		require.Equal(t, "2026-11-21T20:50:49Z", v.Manifest.Time.Format(time.RFC3339Nano))
		if c.Format == "" {
			z, err := stdgzip.NewReader(bytes.NewReader(data))
			require.NoError(t, err)
			unpacked, err := io.ReadAll(z)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, unpacked), "gzip of the standard library sees one stream")
		}
	}
	var names []string
	for tr := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.Zero(t, h.Uid+h.Gid)
		names = append(names, h.Name)
	}
	require.Equal(t, []string{"./RECOVERY.txt", "./etcd-backup.snapshot", "./kubernetes/", "./kubernetes/current", "./kubernetes/pki/", "./kubernetes/pki/ca.key", "./MANIFEST.json"}, names)
}

func TestSizesAroundMembers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, 511, 512, 1<<20 - 5000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 2<<20 + 7}).Draw(r, "size") + rapid.IntRange(0, 3).Draw(r, "more")
		data := pack(r, []archive.Item{file("kubernetes/x", strings.Repeat("y", size))}, archive.Compression{Level: 1})
		_, wrong := check(r, data)
		require.Empty(r, wrong)
	})
}

// The tools that are on every host open it.
func TestStockTools(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		compression archive.Compression
		tools       []string
	}{{archive.Compression{}, []string{"gzip", "-t"}}, {archive.Compression{Format: archive.Zstd}, []string{"zstd", "-t"}}} {
		if _, err := exec.LookPath(c.tools[0]); err != nil {
			continue
		}
		cmd := exec.Command(c.tools[0], c.tools[1], "-")
		cmd.Stdin = bytes.NewReader(pack(t, sample(), c.compression))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("no tar on this host")
	}
	dir := t.TempDir()
	cmd := exec.Command("tar", "xz", "-C", dir)
	cmd.Stdin = bytes.NewReader(pack(t, sample(), archive.Compression{}))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	key, err := os.ReadFile(filepath.Join(dir, "kubernetes", "current"))
	require.NoError(t, err)
	require.Equal(t, "a key\n", string(key))
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	write := func(items []archive.Item, c archive.Compression) error {
		_, err := archive.Write(t.Context(), io.Discard, items, archive.WriteOptions{Compression: c})
		return err
	}
	for _, name := range []string{"../x", "/etc/x", "a\nb", "\x1b[2J", "", strings.Repeat("x", 2000)} {
		require.ErrorIs(t, write([]archive.Item{file(name, "x")}, archive.Compression{}), archive.ErrPolicy, "%q", name)
	}
	require.ErrorIs(t, write([]archive.Item{file("a", "x"), file("a", "y")}, archive.Compression{}), archive.ErrPolicy)
	require.ErrorIs(t, write([]archive.Item{{Name: "pipe", Mode: fs.ModeNamedPipe}}, archive.Compression{}), archive.ErrPolicy)
	for _, size := range []int64{1, 3} { // it grew, it shrank
		changed := file("a", "xx")
		changed.Size = size
		require.ErrorIs(t, write([]archive.Item{changed}, archive.Compression{}), archive.ErrChanged)
	}
	other := file("a", "xx")
	other.SHA256 = strings.Repeat("0", 64)
	require.ErrorIs(t, write([]archive.Item{other}, archive.Compression{}), archive.ErrChanged)
	for _, c := range []archive.Compression{{Level: 10}, {Level: -1}, {Format: archive.Zstd, Level: 5}, {Format: archive.Xz}} {
		require.Error(t, write(nil, c))
	}
}

// A full disk is an error, at whatever byte, and no goroutine hangs on it.
func TestWriteErrors(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	noise := make([]byte, 9<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // it never fails
	items := []archive.Item{file("kubernetes/x", string(noise))}
	for _, room := range []int{0, 1, 1000, 100_000, 1 << 20} {
		for _, format := range []archive.Format{archive.Gzip, archive.Zstd, archive.Tar} {
			_, err := archive.Write(t.Context(), &limitedWriter{room, full}, items, archive.WriteOptions{Compression: archive.Compression{Format: format}})
			require.ErrorIs(t, err, full, "%s after %d bytes", format, room)
		}
	}
	for _, format := range []archive.Format{archive.Gzip, archive.Zstd, archive.Tar} { // the very last byte
		small := []archive.Item{file("kubernetes/x", "content")}
		c := archive.Compression{Format: format}
		var whole bytes.Buffer
		_, err := archive.Write(t.Context(), &whole, small, archive.WriteOptions{Compression: c})
		require.NoError(t, err)
		_, err = archive.Write(t.Context(), &limitedWriter{whole.Len() - 1, full}, small, archive.WriteOptions{Compression: c})
		require.ErrorIs(t, err, full, format)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := archive.Write(ctx, io.Discard, items, archive.WriteOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

type limitedWriter struct {
	room int
	err  error
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.room -= len(p); l.room < 0 {
		return 0, l.err
	}
	return len(p), nil
}

// Every way in which manifest and content can disagree is said.
func TestInventory(t *testing.T) {
	t.Parallel()
	data := pack(t, sample(), archive.Compression{Format: archive.Tar})
	for name, c := range map[string]struct{ old, new, want string }{
		"content":   {"a key\n", "b key\n", `"kubernetes/pki/ca.key" has other content`},
		"digest":    {`"sha256": "`, `"sha256": "x`, "has other content"},
		"no digest": {`"sha256": "`, `"sha257": "`, "has other content"},
		"no link":   {`"name": "kubernetes/current"`, `"name": "kubernetes/currant"`, `"kubernetes/currant" is in the manifest and not in the archive`},
		"size":      {`"size": 6`, `"size": 7`, "has 6 bytes, the manifest says 7"},
		"listed":    {`"name": "kubernetes/pki/ca.key"`, `"name": "kubernetes/pki/cb.key"`, "in the archive and not in the manifest"},
		"missing":   {`"name": "kubernetes/pki/ca.key"`, `"name": "kubernetes/pki/cb.key"`, "in the manifest and not in the archive"},
		"link":      {`"link": "pki/ca.key"`, `"link": "pki/cb.key"`, "leads elsewhere"},
		"mode":      {`"mode": "0600"`, `"mode": "0644"`, "has mode 0600"},
		"directory": {`"type": "directory"`, `"type": "file"     `, "is a directory"},
	} {
		require.Contains(t, string(data), c.old, name)
		_, wrong := check(t, bytes.Replace(data, []byte(c.old), []byte(c.new), 1)[:len(data)])
		require.Contains(t, strings.Join(wrong, "\n"), c.want, name)
	}
	_, wrong := check(t, closed(append(bytes.TrimRight(data, "\x00"), padded(data, tarOf(item{name: "zzz", content: "x"}))...)))
	require.Contains(t, strings.Join(wrong, "\n"), `something follows the manifest: "zzz"`)
	v, wrong := check(t, closed(tarOf(backup()...)))
	require.Nil(t, v.Manifest)
	require.Empty(t, wrong, "archives that others made have none")
}

// padded is what has to stand behind a tar file without its zeros: the rest of
// its last block, and more.
func padded(data, more []byte) []byte {
	rest := -len(bytes.TrimRight(data, "\x00")) & 511
	return append(make([]byte, rest), more...)
}

// What is packed carries a checksum, so that reading it proves that it is whole.
func TestPackedIsChecksummed(t *testing.T) {
	t.Parallel()
	for format, want := range map[archive.Format]bool{archive.Gzip: true, archive.Zstd: true, archive.Tar: false} {
		r, err := archive.NewReader(bytes.NewReader(pack(t, sample(), archive.Compression{Format: format})), archive.Limits{})
		require.NoError(t, err)
		require.Equal(t, want, r.Checksummed(), format)
	}
	var bare bytes.Buffer
	z, err := zstd.NewWriter(&bare, zstd.WithEncoderCRC(false))
	require.NoError(t, err)
	_, err = z.Write(pack(t, sample(), archive.Compression{Format: archive.Tar}))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	r, err := archive.NewReader(&bare, archive.Limits{})
	require.NoError(t, err)
	require.False(t, r.Checksummed(), "its writer left the checksum out")
}

// Under SOURCE_DATE_EPOCH no entry is younger than that, and older ones stay.
func TestNewestTime(t *testing.T) {
	t.Parallel()
	newest := time.Unix(1700000000, 0)
	old, young := file("a", "x"), file("b", "y")
	old.ModTime, young.ModTime = newest.Add(-time.Hour), newest.Add(time.Hour)
	var out bytes.Buffer
	_, err := archive.Write(t.Context(), &out, []archive.Item{old, young}, archive.WriteOptions{
		Compression: archive.Compression{Format: archive.Tar}, Newest: newest, Manifest: archive.Manifest{Time: newest},
	})
	require.NoError(t, err)
	times := map[string]time.Time{}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		times[h.Name] = h.ModTime
	}
	require.Equal(t, newest.Add(-time.Hour).Unix(), times["./a"].Unix())
	require.Equal(t, newest.Unix(), times["./b"].Unix())
}

func TestManifests(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`{"format":1,"entries":[]}`:               nil,
		`{"format":2}`:                            archive.ErrNewer,
		`{"format":1,"requires":["time travel"]}`: archive.ErrNewer,
		`{"format":1} {"format":1}`:               archive.ErrDamaged,
		`{}`:                                      archive.ErrDamaged,
		``:                                        archive.ErrDamaged,
		`{"format":"1"}`:                          archive.ErrDamaged,
		`{"format":1,"entries":[{"name":"x","size`:   archive.ErrDamaged,
		strings.Repeat(" ", 33<<20) + `{"format":1}`: archive.ErrDamaged,
	} {
		_, err := archive.ReadManifest(strings.NewReader(text))
		require.ErrorIs(t, err, want)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"time":"2026-11-21T20:50:49Z","etcd":{"revision":1485},"entries":[{"name":"a","type":"file","sha256":"00"}]}`))
	f.Add([]byte(`{"format":1,"entries":[{"name":"a"},{"name":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := archive.ReadManifest(bytes.NewReader(data))
		if err != nil {
			return
		}
		v := archive.Inventory{Manifest: m}
		v.Check([]archive.Link{{Name: "a", Target: "b"}})
	})
}
