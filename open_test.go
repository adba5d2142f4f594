package lifeboat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// The same data by five doors: each is told by its bytes, and holds the same.
func TestOpenKinds(t *testing.T) {
	t.Parallel()
	snap := snapshotFile(t)
	data, err := os.ReadFile(snap)
	require.NoError(t, err)
	bare := filepath.Join(t.TempDir(), "anything.txt") // names say nothing
	require.NoError(t, os.WriteFile(bare, data[:len(data)-snapshot.TrailerSize], 0o600))
	packed, err := os.ReadFile(harbour)
	require.NoError(t, err)
	sealed, key := seal(t, packed)

	for _, tc := range []struct {
		name   string
		path   string
		opts   lifeboat.Options
		kind   lifeboat.Kind
		layers []string
	}{
		{"archive", harbour, lifeboat.Options{}, lifeboat.Archive, []string{"gzip whole", "tar whole", "sha256 trailer whole", "page structure whole"}},
		{"encrypted", sealed, lifeboat.Options{Identities: []string{key}}, lifeboat.Archive, []string{"age whole", "gzip whole", "tar whole", "sha256 trailer whole", "page structure whole"}},
		{"snapshot", snap, lifeboat.Options{}, lifeboat.Snapshot, []string{"sha256 trailer whole", "page structure whole"}},
		{"database", bare, lifeboat.Options{}, lifeboat.Database, []string{"sha256 trailer missing", "page structure whole"}},
		{"snapshot through a pipe", "-", lifeboat.Options{Stdin: bytes.NewReader(data)}, lifeboat.Snapshot, []string{"sha256 trailer whole", "page structure whole"}},
		{"archive through a pipe", "-", lifeboat.Options{Stdin: bytes.NewReader(packed)}, lifeboat.Archive, []string{"gzip whole", "tar whole", "sha256 trailer whole", "page structure whole"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, tc.path, tc.opts)
			require.Equal(t, tc.kind, b.Kind())
			var layers []string
			for _, l := range b.Layers() {
				layers = append(layers, l.Name+" "+l.State)
				require.Equal(t, l.State != "missing", l.Looked > 0, "%s counts what was looked at", l.Name)
			}
			require.Equal(t, tc.layers, layers)
			require.Equal(t, int64(1485), b.DB().Revision())
			require.Equal(t, tc.kind == lifeboat.Archive, b.ControlPlane() != nil)
			require.Nil(t, b.Replay())
			require.NoError(t, b.Prove())
		})
	}
}

// seal encrypts data to a fresh key.
func seal(t *testing.T, data []byte) (path, key string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	dir := t.TempDir()
	path, key = filepath.Join(dir, "sealed"), filepath.Join(dir, "key")
	file, err := os.Create(path)
	require.NoError(t, err)
	w, err := age.Encrypt(file, id.Recipient())
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, errors.Join(w.Close(), file.Close()))
	require.NoError(t, os.WriteFile(key, []byte(id.String()+"\n"), 0o600))
	return path, key
}

// The write that was acknowledged last stands in the log alone.
func TestOpenDataDir(t *testing.T) {
	t.Parallel()
	dir := memberDir(t, "etcd-0")
	var told heard
	b := open(t, dir, lifeboat.Options{Observer: told.observer()})
	require.Equal(t, lifeboat.DataDir, b.Kind())
	require.Equal(t, int64(1486), b.DB().Revision())
	require.NotNil(t, b.Replay())
	require.Len(t, b.Survivors(), 1)
	require.Equal(t, []string{"1 of 3 voters at hand, no majority: acknowledged writes may be missing", "not proven committed, and kept: configmaps infra-production/wal-tail at revision 1486"}, told.warn)
	require.NotEmpty(t, told.note)
	require.Contains(t, told.phases, "replaying the write-ahead log")

	cut := open(t, dir, lifeboat.Options{CommittedOnly: true})
	require.Equal(t, int64(1485), cut.DB().Revision())
}

func TestOpenBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packed, err := os.ReadFile(harbour)
	require.NoError(t, err)
	snap, err := os.ReadFile(snapshotFile(t))
	require.NoError(t, err)
	sealed, _ := seal(t, packed)
	_, otherKey := seal(t, nil)
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	flipped := bytes.Clone(snap)
	flipped[len(flipped)/2] ^= 1
	for _, tc := range []struct {
		name string
		path string
		opts lifeboat.Options
		is   error
		says string
	}{
		{name: "cut archive", path: write("cut", packed[:len(packed)-1000]), is: archive.ErrDamaged},
		{name: "something after the archive", path: write("more", append(bytes.Clone(packed), "more"...)), is: archive.ErrDamaged},
		{name: "flipped bit in a snapshot", path: write("flipped", flipped), says: "sha256 trailer: the database is not the one that etcd wrote"},
		{name: "cut snapshot", path: write("short", snap[:len(snap)/2])},
		{name: "text", path: write("text", []byte("apiVersion: v1\nkind: List\n")), is: archive.ErrNotArchive},
		{name: "empty", path: write("empty", nil), is: archive.ErrNotArchive},
		{name: "no standard input", path: "-", is: archive.ErrNotArchive},
		{name: "another key", path: sealed, opts: lifeboat.Options{Identities: []string{otherKey}}, is: crypto.ErrNoKey},
		{name: "no key", path: sealed, is: crypto.ErrNoKey},
		{name: "missing", path: filepath.Join(dir, "missing"), is: os.ErrNotExist},
		{name: "bomb", path: harbour, opts: lifeboat.Options{MaxSize: 1000}, is: archive.ErrPolicy},
		{name: "bound of a pipe", path: "-", opts: lifeboat.Options{Stdin: bytes.NewReader(snap), MaxSize: 1000}, says: "more bytes than --max-size allows"},
		{name: "no trailer", path: write("bare", snap[:len(snap)-snapshot.TrailerSize]), opts: lifeboat.Options{RequireHash: true}, says: "missing, and --require-hash asks for it"},
		{name: "an option of data dirs", path: harbour, opts: lifeboat.Options{CommittedOnly: true}, says: "nothing else has a write-ahead log"},
		{name: "an empty folder", path: t.TempDir(), says: "not the data dir"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b, err := lifeboat.Open(t.Context(), tc.path, tc.opts)
			require.Nil(t, b)
			require.Error(t, err)
			require.ErrorContains(t, err, tc.says)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
		})
	}
}

// Classes and hints are what the command's exit codes and hints are made of.
func TestErrorClasses(t *testing.T) {
	t.Parallel()
	_, err := lifeboat.Open(t.Context(), harbour, lifeboat.Options{WALDirs: []string{"x", "y"}})
	e := (*lifeboat.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.Equal(t, lifeboat.Misused, e.Class)

	snap := snapshotFile(t)
	data, err := os.ReadFile(snap)
	require.NoError(t, err)
	data[len(data)-1] ^= 1
	require.NoError(t, os.WriteFile(snap, data, 0o600))
	_, err = lifeboat.Open(t.Context(), snap, lifeboat.Options{})
	require.ErrorAs(t, err, &e)
	require.Equal(t, lifeboat.Damaged, e.Class)
	require.Equal(t, "take another copy of the backup", e.Hint)

	// Beside the work, the verdict comes with Prove.
	b, err := lifeboat.Open(t.Context(), snap, lifeboat.Options{Trailer: lifeboat.TrailerBeside})
	require.NoError(t, err)
	require.ErrorAs(t, b.Prove(), &e)
	require.NoError(t, b.Close())
}

func TestOpenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := lifeboat.Open(ctx, harbour, lifeboat.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestEachEntryAndDecrypt(t *testing.T) {
	t.Parallel()
	packed, err := os.ReadFile(harbour)
	require.NoError(t, err)
	sealed, key := seal(t, packed)
	opts := lifeboat.Options{Identities: []string{key}}
	s, err := lifeboat.Decrypt(t.Context(), sealed, opts)
	require.NoError(t, err)
	got, err := io.ReadAll(s)
	require.NoError(t, errors.Join(err, s.Close()))
	require.True(t, s.Info.Encrypted)
	require.True(t, bytes.Equal(packed, got))

	var names []string
	_, err = lifeboat.EachEntry(t.Context(), sealed, opts, func(e *archive.Entry, _ io.Reader) error {
		names = append(names, e.Name)
		return nil
	})
	require.NoError(t, err)
	require.Contains(t, names, "etcd-backup.snapshot")
	require.Contains(t, names, "kubernetes/pki/ca.crt")
}
