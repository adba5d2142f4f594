package lifeboat_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// repacked is harbour's archive with other names; "" leaves an entry out.
func repacked(t *testing.T, more []*tar.Header, rename func(name string) string) string {
	t.Helper()
	packed, err := os.Open(harbour)
	require.NoError(t, err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	require.NoError(t, err)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if h.Name = rename(strings.TrimPrefix(h.Name, "./")); h.Name == "" {
			continue
		}
		require.NoError(t, w.WriteHeader(h))
		_, err = io.Copy(w, r)
		require.NoError(t, err)
	}
	for _, h := range more {
		require.NoError(t, w.WriteHeader(h))
	}
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "repacked.tar")
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

// The control plane's files are found wherever they stand.
func TestTreeOfAnotherName(t *testing.T) {
	t.Parallel()
	want := open(t, harbour, lifeboat.Options{})
	wantConfig, err := want.ControlPlane().EncryptionConfig()
	require.NoError(t, err)
	for name, root := range map[string]string{
		"absolute names": "etc/kubernetes/", "a dated folder": "backup-2026-11-28/kubernetes/",
		"cd /etc/kubernetes && tar cz .": "", "one folder deeper": "kubernetes/kubernetes/", "another name": "k8s-real/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := repacked(t, nil, func(name string) string {
				if rest, ok := strings.CutPrefix(name, "kubernetes/"); ok {
					return root + rest
				}
				if strings.HasSuffix(name, ".snapshot") {
					return "var/snap.db"
				}
				return "" // folders
			})
			b := open(t, path, lifeboat.Options{})
			require.NotNil(t, b.ControlPlane())
			config, err := b.ControlPlane().EncryptionConfig()
			require.NoError(t, err)
			require.Equal(t, wantConfig.Path, config.Path)
			require.Equal(t, want.ControlPlane().Files(), b.ControlPlane().Files())
		})
	}
}

// Of two folders none is taken, and both are named.
func TestTwoTrees(t *testing.T) {
	t.Parallel()
	path := repacked(t, []*tar.Header{{Name: "b/manifests/etcd.yaml", Typeflag: tar.TypeReg, Mode: 0o600}}, func(name string) string {
		if rest, ok := strings.CutPrefix(name, "kubernetes/"); ok {
			return "a/" + rest
		}
		return name
	})
	var told heard
	b := open(t, path, lifeboat.Options{Observer: told.observer()})
	require.Nil(t, b.ControlPlane())
	require.Contains(t, strings.Join(told.warn, "\n"), `none is taken: "a", "b"`)
}

// What was acknowledged last stands in the log: the database of a packed data
// dir is not taken for all there is.
func TestPackedDataDir(t *testing.T) {
	t.Parallel()
	dir := memberDir(t, "etcd-0")
	path := filepath.Join(t.TempDir(), "dd.tar")
	file, err := os.Create(path)
	require.NoError(t, err)
	w := tar.NewWriter(file)
	require.NoError(t, w.AddFS(os.DirFS(filepath.Dir(dir))))
	require.NoError(t, errors.Join(w.Close(), file.Close()))

	_, err = lifeboat.Open(t.Context(), path, lifeboat.Options{})
	e := (*lifeboat.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.Equal(t, lifeboat.Refused, e.Class)
	require.ErrorContains(t, err, "etcd-0/member/wal")
	require.Contains(t, e.Hint, "dir/etcd-0")

	alone := open(t, path, lifeboat.Options{AcceptLoss: true})
	require.Equal(t, int64(1485), alone.DB().Revision())
}

// The database file of a data dir is read with the log beside it.
func TestDatabaseBesideItsLog(t *testing.T) {
	t.Parallel()
	dir := memberDir(t, "etcd-0")
	for _, path := range []string{filepath.Join(dir, "member", "snap", "db"), filepath.Join(dir, "member", "snap"), filepath.Join(dir, "member")} {
		b := open(t, path, lifeboat.Options{})
		require.Equal(t, lifeboat.DataDir, b.Kind(), path)
		require.Equal(t, int64(1486), b.DB().Revision(), path)
	}
	// A copy of the member folder, under another name.
	copied := filepath.Join(t.TempDir(), "deckhouse-etcd-backup")
	require.NoError(t, os.CopyFS(copied, os.DirFS(filepath.Join(dir, "member"))))
	require.Equal(t, int64(1486), open(t, copied, lifeboat.Options{}).DB().Revision())
	// A copy under another name beside the real one is that file, and the log is named.
	other := filepath.Join(dir, "member", "snap", "before.db")
	require.NoError(t, os.CopyFS(filepath.Join(dir, "x"), os.DirFS(filepath.Join(dir, "member", "snap"))))
	require.NoError(t, os.Rename(filepath.Join(dir, "x", "db"), other))
	var told heard
	require.Equal(t, int64(1485), open(t, other, lifeboat.Options{Observer: told.observer()}).DB().Revision())
	require.Contains(t, strings.Join(told.warn, "\n"), "is not read; what was acknowledged last")
}

// An answer of nothing, where keys stand under another prefix, is an error.
func TestOtherPrefix(t *testing.T) {
	t.Parallel()
	b := open(t, harbour, lifeboat.Options{EtcdPrefix: "/kubernetes.io"})
	_, err := b.Objects(0)
	prefix := (*registry.PrefixError)(nil)
	require.ErrorAs(t, err, &prefix)
	require.Equal(t, "/registry", prefix.Keyspace.Best())
	require.Positive(t, prefix.Keyspace.Elsewhere[0].Keys)
	e := (*lifeboat.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.Equal(t, lifeboat.Failed, e.Class)
	require.Contains(t, e.Hint, "--etcd-prefix /registry")
	_, err = b.Verify(t.Context())
	require.ErrorAs(t, err, &prefix)
}
