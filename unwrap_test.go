package lifeboat_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
)

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// A snapshot that somebody compressed is read, whatever its name; damage of the
// compression is damage.
func TestCompressedSnapshot(t *testing.T) {
	t.Parallel()
	snap, err := os.ReadFile(snapshotFile(t))
	require.NoError(t, err)
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	sealed, key := seal(t, gzipped(t, snap))
	sealedData, err := os.ReadFile(sealed)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		data []byte
		kind lifeboat.Kind
	}{
		"gzip": {gzipped(t, snap), lifeboat.Snapshot}, "zstd": {z.EncodeAll(snap, nil), lifeboat.Snapshot},
		"encrypted": {sealedData, lifeboat.Snapshot}, "zip": {zipped(t, map[string][]byte{"etcd-snapshot-m0-1700000000": snap}), lifeboat.Snapshot},
		"zlib": {zlibbed(t, snap), lifeboat.Snapshot}, "gzip in zip": {zipped(t, map[string][]byte{"db.gz": gzipped(t, snap)}), lifeboat.Snapshot},
	} {
		path := filepath.Join(t.TempDir(), "anything")
		require.NoError(t, os.WriteFile(path, tc.data, 0o600))
		b := open(t, path, lifeboat.Options{Identities: []string{key}})
		require.Equal(t, tc.kind, b.Kind(), name)
		require.Equal(t, int64(1485), b.DB().Revision(), name)
		for _, l := range b.Layers() {
			if l.Name == name { // what is said to be whole is the whole file
				require.Equal(t, int64(len(tc.data)), l.Looked, name)
			}
		}
	}
	for _, at := range []int{-1, -5} {
		broken := gzipped(t, snap)
		broken[len(broken)+at] ^= 1
		path := filepath.Join(t.TempDir(), "broken")
		require.NoError(t, os.WriteFile(path, broken, 0o600))
		_, err := lifeboat.Open(t.Context(), path, lifeboat.Options{})
		require.ErrorIs(t, err, archive.ErrDamaged)
	}
}

// Of what is not read, the format and the command that unwraps it are named.
func TestOtherFormats(t *testing.T) {
	t.Parallel()
	for head, says := range map[string]string{
		"\xfd7zXZ\x00": "xz -dc", "BZh91AY": "bzip2 -dc", "\x04\x22\x4d\x18": "lz4 -dc", "7z\xbc\xaf\x27\x1c": "7z x", `[{"etcdEvent":{}}]`: "Full-*",
		"-----BEGIN PGP MESSAGE-----\n": "gpg --decrypt", "\x8c\x0d\x04\x09\x03\x02": "gpg --decrypt", "Salted__": "openssl enc -d",
		"\x1f\x9d\x90": "gzip -dc", "\x89LZO\x00\r\n\x1a\n": "lzop -dc", "070701": "bsdtar", "SQLite format 3\x00": "k3s keeps its state in SQLite",
	} {
		path := filepath.Join(t.TempDir(), "anything")
		require.NoError(t, os.WriteFile(path, append([]byte(head), bytes.Repeat([]byte(" "), 4096)...), 0o600))
		_, err := lifeboat.Open(t.Context(), path, lifeboat.Options{})
		require.ErrorIs(t, err, archive.ErrNotArchive)
		require.ErrorIs(t, err, archive.ErrOtherFormat, "another format is no damage: %q", head)
		e := (*lifeboat.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Contains(t, e.Hint, says)
	}
	path := filepath.Join(t.TempDir(), "anything")
	require.NoError(t, os.WriteFile(path, gzipped(t, append([]byte("\xfd7zXZ\x00"), bytes.Repeat([]byte(" "), 4096)...)), 0o600))
	_, err := lifeboat.Open(t.Context(), path, lifeboat.Options{})
	e := (*lifeboat.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.Contains(t, e.Hint, "gzip -dc FILE > FILE.unpacked, and of that xz -dc", "one in the other")
}

func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write(files[name])
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

func zlibbed(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func tarred(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name]))}))
		_, err := w.Write(files[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// harbourFiles are the files of the fixture's archive.
func harbourFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	_, err := lifeboat.EachEntry(t.Context(), harbour, lifeboat.Options{}, func(e *archive.Entry, r io.Reader) error {
		data, err := io.ReadAll(r)
		if e.Kind != archive.Directory {
			files[e.Name] = data
		}
		return err
	})
	require.NoError(t, err)
	return files
}

// A whole backup as a zip file, or with its snapshot compressed within the tar,
// is read with the control plane's files: the encrypted objects open.
func TestPackedInOtherWays(t *testing.T) {
	t.Parallel()
	whole := harbourFiles(t)
	packed := maps.Clone(whole)
	delete(packed, "etcd-backup.snapshot")
	packed["db.gz"] = gzipped(t, whole["etcd-backup.snapshot"])
	for name, data := range map[string][]byte{"zip": zipped(t, whole), "compressed in a tar": tarred(t, packed)} {
		path := filepath.Join(t.TempDir(), "anything")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		b := open(t, path, lifeboat.Options{})
		require.Equal(t, lifeboat.Archive, b.Kind(), name)
		require.Equal(t, int64(1485), b.DB().Revision(), name)
		require.NotNil(t, b.ControlPlane(), name)
		checks, err := b.Verify(t.Context())
		require.NoError(t, err)
		require.True(t, lifeboat.Sound(checks), name)
	}
	packed["db.gz"][len(packed["db.gz"])-1] ^= 1
	path := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(path, tarred(t, packed), 0o600))
	_, err := lifeboat.Open(t.Context(), path, lifeboat.Options{})
	require.ErrorIs(t, err, archive.ErrDamaged)
}

// Of several databases none is guessed; a name chooses.
func TestSnapshotName(t *testing.T) {
	t.Parallel()
	snap := harbourFiles(t)["etcd-backup.snapshot"]
	path := filepath.Join(t.TempDir(), "two.tar")
	require.NoError(t, os.WriteFile(path, tarred(t, map[string][]byte{"a.db": snap, "old/a.db.gz": gzipped(t, snap), "z.db": make([]byte, 100)}), 0o600))
	b := open(t, path, lifeboat.Options{})
	require.Equal(t, int64(1485), b.DB().Revision())
	b = open(t, path, lifeboat.Options{SnapshotName: "./old/a.db.gz"})
	require.Equal(t, int64(1485), b.DB().Revision())
	_, err := lifeboat.Open(t.Context(), path, lifeboat.Options{SnapshotName: "z.db"})
	require.ErrorContains(t, err, `no etcd database "z.db"`)

	require.NoError(t, os.WriteFile(path, tarred(t, map[string][]byte{"a.db": snap, "b.db": snap}), 0o600))
	_, err = lifeboat.Open(t.Context(), path, lifeboat.Options{})
	require.ErrorIs(t, err, archive.ErrManySnapshots)
	e := (*lifeboat.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.Contains(t, e.Hint, "--snapshot-name")
	_, err = lifeboat.Open(t.Context(), snapshotFile(t), lifeboat.Options{SnapshotName: "a.db"})
	require.ErrorAs(t, err, &e)
	require.Equal(t, lifeboat.Misused, e.Class)
}

// A folder that is no data dir is told for what it is.
func TestFoldersOfOthers(t *testing.T) {
	t.Parallel()
	snap := gzipped(t, harbourFiles(t)["etcd-backup.snapshot"])
	for says, files := range map[string]map[string][]byte{
		"restic -r":              {"config": nil, "data/00/x": nil, "keys/k": nil, "snapshots/s": nil},
		"kopia repository":       {"kopia.repository.f": nil},
		"00001612-1700000001.gz": {"Backup-1/Full-00000000-00000100-1700000000.gz": snap, "Backup-1/Full-00000000-00001612-1700000001.gz": snap, "Backup-1/Incr-00001613-00001700-1700000002": []byte(`[{"etcdEvent":{}}]`)},
		"etcd.backup.gz":         {"main/2024-01-01T00:00:00Z-000001/etcd.backup.gz": snap, "main/2024-01-01T00:00:00Z-000001/_etcd_backup.meta": []byte("{}")},
		"--manifest":             {"2026-11-20/etcd.yaml": []byte("kind: Pod\n"), "2026-11-20/kube-apiserver.yaml": []byte("kind: Pod\n")},
		"tar -cC":                {"kubernetes/manifests/etcd.yaml": nil, "etcd.db.gz": snap},
	} {
		dir := t.TempDir()
		for name, data := range files {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
		_, err := lifeboat.Open(t.Context(), dir, lifeboat.Options{})
		e := (*lifeboat.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Contains(t, e.Hint, says)
	}
}
