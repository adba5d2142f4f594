package lifeboat_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"aead.dev/minisign"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

func states(t *testing.T, path string, opts lifeboat.Options) map[string]lifeboat.State {
	t.Helper()
	b := open(t, path, opts)
	checks, err := b.Verify(t.Context())
	require.NoError(t, err)
	found := map[string]lifeboat.State{}
	for _, c := range checks {
		if c.State() != lifeboat.StateNote {
			found[c.Name] = c.State()
		}
	}
	return found
}

// repack makes an archive like the fixture's, its entries changed by edit; nil
// leaves one out.
func repack(t *testing.T, edit func(name string, data []byte) []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.tar.gz")
	file, err := os.Create(path)
	require.NoError(t, err)
	zipped := gzip.NewWriter(file)
	w := tar.NewWriter(zipped)
	eachFile(t, harbour, func(h *tar.Header, r io.Reader) {
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		if h.Typeflag != tar.TypeDir {
			if data = edit(h.Name, data); data == nil {
				return
			}
			h.Size = int64(len(data))
		}
		require.NoError(t, w.WriteHeader(h))
		_, err = w.Write(data)
		require.NoError(t, err)
	})
	require.NoError(t, errors.Join(w.Close(), zipped.Close(), file.Close()))
	return path
}

func keepAll(_ string, data []byte) []byte { return data }

func without(name string) func(string, []byte) []byte {
	return func(n string, data []byte) []byte {
		if n == name {
			return nil
		}
		return data
	}
}

// Each part that belongs to another cluster, or is missing, is named.
func TestVerifyBelonging(t *testing.T) {
	t.Parallel()
	good := states(t, repack(t, keepAll), lifeboat.Options{})
	require.Equal(t, lifeboat.StateGood, good["cluster CA"])
	for _, tc := range []struct {
		name  string
		edit  func(string, []byte) []byte
		check string
		want  lifeboat.State
	}{
		{"no CA", without("./kubernetes/pki/ca.crt"), "cluster CA", lifeboat.StateMismatch},
		{"no token key", func(n string, d []byte) []byte {
			if n == "./kubernetes/pki/sa.pub" || n == "./kubernetes/pki/sa.key" {
				return nil
			}
			return d
		}, "token key", lifeboat.StateNotChecked},
		{"no encryption key", without("./kubernetes/encryption.yaml"), "encryption keys", lifeboat.StateMismatch},
		{"no etcd manifest", without("./kubernetes/manifests/etcd.yaml"), "etcd member", lifeboat.StateNotChecked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, lifeboat.StateGood, good[tc.check])
			require.Equal(t, tc.want, states(t, repack(t, tc.edit), lifeboat.Options{})[tc.check])
		})
	}
}

// A snapshot by itself proves less, and says so.
func TestVerifySnapshot(t *testing.T) {
	t.Parallel()
	found := states(t, snapshotFile(t), lifeboat.Options{})
	require.Equal(t, lifeboat.StateGood, found["records"])
	require.Equal(t, lifeboat.StateGood, found["sha256 trailer"])
	require.Equal(t, lifeboat.StateNotChecked, found["certificates"])
	require.Equal(t, lifeboat.StateNotChecked, found["encryption keys"])
	require.Equal(t, lifeboat.StateNotChecked, found["belongs together"])
}

// What is signed is remembered, in the folder that was given and nowhere else.
func TestVerifyRemembers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	public, private, err := minisign.GenerateKey(nil)
	require.NoError(t, err)
	text, err := public.MarshalText()
	require.NoError(t, err)
	key, path := filepath.Join(dir, "key.pub"), filepath.Join(dir, "backup.tar.gz")
	require.NoError(t, os.WriteFile(key, text, 0o600))
	data, err := os.ReadFile(harbour)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	signed := minisign.NewReader(bytes.NewReader(data))
	_, err = io.Copy(io.Discard, signed)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+lifeboat.SignatureSuffix, signed.Sign(private), 0o600))

	opts := lifeboat.Options{PubKey: key, StateDir: filepath.Join(dir, "state")}
	found := states(t, path, opts)
	require.Equal(t, lifeboat.StateGood, found["signature"])
	require.Equal(t, lifeboat.StateGood, found["older than before"])
	seen, err := filepath.Glob(filepath.Join(dir, "state", "seen-*.json"))
	require.NoError(t, err)
	require.Len(t, seen, 1)

	require.Equal(t, lifeboat.StateNotChecked, states(t, path, lifeboat.Options{PubKey: key})["older than before"])

	text, err = os.ReadFile(seen[0])
	require.NoError(t, err)
	newer := []byte(`{"cluster":"x","revision":9999,"archive":"newer"}`)
	require.NoError(t, os.WriteFile(seen[0], newer, 0o600))
	require.Equal(t, lifeboat.StateMismatch, states(t, path, opts)["older than before"])
	after, err := os.ReadFile(seen[0])
	require.NoError(t, err)
	require.Equal(t, newer, after, "an old archive takes nobody's place")
	require.NotEqual(t, newer, text)

	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err = lifeboat.Open(t.Context(), path, opts)
	require.Error(t, err, "the signature is of other bytes")
}

func TestVerifyQuick(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(harbour)
	require.NoError(t, err)
	sealed, key := seal(t, data)
	opts := lifeboat.Options{Identities: []string{key}}
	checks, err := lifeboat.VerifyQuick(t.Context(), sealed, opts)
	require.NoError(t, err)
	state := map[string]lifeboat.State{}
	for _, c := range checks {
		state[c.Name] = c.State()
	}
	require.Equal(t, map[string]lifeboat.State{
		"signature": lifeboat.StateNotChecked, "age": lifeboat.StateGood, "gzip": lifeboat.StateNote, "content": lifeboat.StateNotChecked,
	}, state)

	data, err = os.ReadFile(sealed)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(sealed, data[:len(data)-100], 0o600))
	_, err = lifeboat.VerifyQuick(t.Context(), sealed, opts)
	require.ErrorContains(t, err, "the end of the file")
}

// Both engines find the same; what is locked says so.
func TestExtract(t *testing.T) {
	t.Parallel()
	what := registry.Selection{Namespaces: []string{"infra-production"}, Words: "secret,configmap"}
	direct, err := open(t, harbour, lifeboat.Options{}).Extract(t.Context(), what, lifeboat.ExtractOptions{})
	require.NoError(t, err)
	require.NoError(t, direct.Verdict())
	asked, err := open(t, harbour, lifeboat.Options{ScratchDir: t.TempDir()}).Extract(t.Context(), what, lifeboat.ExtractOptions{Engine: lifeboat.Etcd})
	require.NoError(t, err)
	require.Equal(t, direct.Report.Objects, asked.Report.Objects)
	require.Equal(t, "etcd", asked.Report.Source.Engine)

	what.Words = "secret"
	locked, err := open(t, snapshotFile(t), lifeboat.Options{}).Extract(t.Context(), what, lifeboat.ExtractOptions{})
	require.NoError(t, err)
	e := (*lifeboat.Error)(nil)
	require.ErrorAs(t, locked.Verdict(), &e)
	require.Equal(t, lifeboat.NoKey, e.Class)

	_, err = open(t, harbour, lifeboat.Options{}).Extract(t.Context(), registry.Selection{Namespaces: []string{"infra-prod"}}, lifeboat.ExtractOptions{})
	require.ErrorAs(t, err, new(*registry.NamespaceError))
}
