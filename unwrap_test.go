package lifeboat_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
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
		"encrypted": {sealedData, lifeboat.Snapshot},
	} {
		path := filepath.Join(t.TempDir(), "anything")
		require.NoError(t, os.WriteFile(path, tc.data, 0o600))
		b := open(t, path, lifeboat.Options{Identities: []string{key}})
		require.Equal(t, tc.kind, b.Kind(), name)
		require.Equal(t, int64(1485), b.DB().Revision(), name)
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
		"\xfd7zXZ\x00": "xz -dc", "BZh91AY": "bzip2 -dc", "\x04\x22\x4d\x18": "lz4 -dc", "7z\xbc\xaf\x27\x1c": "7z x", "PK\x03\x04": "unzip -p",
		"-----BEGIN PGP MESSAGE-----\n": "gpg --decrypt", "\x8c\x0d\x04\x09\x03\x02": "gpg --decrypt", "Salted__": "openssl enc -d",
	} {
		path := filepath.Join(t.TempDir(), "anything")
		require.NoError(t, os.WriteFile(path, append([]byte(head), make([]byte, 4096)...), 0o600))
		_, err := lifeboat.Open(t.Context(), path, lifeboat.Options{})
		require.ErrorIs(t, err, archive.ErrNotArchive)
		e := (*lifeboat.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Contains(t, e.Hint, says)
	}
}
