package lifeboat_test

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
)

// ours is an archive that lifeboat made of the fixture's snapshot, a bare tar
// file, so that bytes in it can be changed where they stand.
func ours(t *testing.T) []byte {
	t.Helper()
	x, err := lifeboat.Pack(t.Context(), lifeboat.PackOptions{
		Snapshot: snapshotFile(t), Node: "master-0", Epoch: time.Unix(1700000000, 0), Compression: archive.Compression{Format: archive.Tar},
	}, lifeboat.Options{})
	require.NoError(t, err)
	defer x.Close()
	var out bytes.Buffer
	_, err = x.Write(t.Context(), &out)
	require.NoError(t, err)
	return out.Bytes()
}

// The manifest is held against every file, and against etcd's own hash.
func TestVerifyManifest(t *testing.T) {
	t.Parallel()
	data := ours(t)
	hash := regexp.MustCompile(`"hash": \d+`).Find(data)
	other := bytes.Clone(hash)
	other[len(other)-1] = '0' + (other[len(other)-1]-'0'+1)%10
	for name, tc := range map[string]struct {
		old, new string
		want     map[string]lifeboat.State
	}{
		"as it was made": {"", "", map[string]lifeboat.State{"manifest": lifeboat.StateGood, "etcd hash": lifeboat.StateGood}},
		"another file":   {"lifeboat", "lifebelt", map[string]lifeboat.State{"manifest": lifeboat.StateBad, "etcd hash": lifeboat.StateGood}},
		"another hash":   {string(hash), string(other), map[string]lifeboat.State{"manifest": lifeboat.StateGood, "etcd hash": lifeboat.StateBad}},
		"another revision": {`"revision": 1`, `"revision": 2`, map[string]lifeboat.State{
			"manifest": lifeboat.StateGood, "etcd hash": lifeboat.StateBad,
		}},
	} {
		require.Contains(t, string(data), tc.old, name)
		path := filepath.Join(t.TempDir(), "backup.tar")
		require.NoError(t, os.WriteFile(path, bytes.Replace(data, []byte(tc.old), []byte(tc.new), 1), 0o600))
		found := states(t, path, lifeboat.Options{})
		for check, want := range tc.want {
			require.Equal(t, want, found[check], "%s: %s", name, check)
		}
	}
}

// A snapshot whose trailer is wrong is damaged, also where the check of it ran
// beside; one without a trailer is not checked.
func TestVerifyTrailer(t *testing.T) {
	t.Parallel()
	path := snapshotFile(t)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data[:len(data)-32], 0o600))
	require.Equal(t, lifeboat.StateNotChecked, states(t, path, lifeboat.Options{})["sha256 trailer"])

	data[len(data)-1] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	b := open(t, path, lifeboat.Options{Trailer: lifeboat.TrailerBeside})
	_, err = b.Verify(t.Context())
	e := (*lifeboat.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.Equal(t, lifeboat.Damaged, e.Class)
}

// The only database of an archive, found among the files of the control plane, is
// a snapshot if etcd's sum is behind it; without it, it is the copy of some
// upgrade.
func TestVerifyWhichSnapshot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cut  int
		want lifeboat.State // "" for a note alone
	}{"saved": {0, ""}, "copied": {32, lifeboat.StateMismatch}} {
		path := repackNamed(t, func(name string, data []byte) (string, []byte) {
			if name == "./etcd-backup.snapshot" {
				return "./kubernetes/old.db", data[:len(data)-tc.cut]
			}
			return name, data
		})
		require.Equal(t, tc.want, states(t, path, lifeboat.Options{})["snapshot"], name)
	}
}

// repackNamed is repack with other names.
func repackNamed(t *testing.T, edit func(name string, data []byte) (string, []byte)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.tar")
	file, err := os.Create(path)
	require.NoError(t, err)
	w := tar.NewWriter(file)
	eachFile(t, harbour, func(h *tar.Header, r io.Reader) {
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		if h.Typeflag != tar.TypeDir {
			h.Name, data = edit(h.Name, data)
			h.Size = int64(len(data))
		}
		require.NoError(t, w.WriteHeader(h))
		_, err = w.Write(data)
		require.NoError(t, err)
	})
	require.NoError(t, w.Close())
	require.NoError(t, file.Close())
	return path
}

// replaced gives one file another content.
func replaced(file string, content []byte) func(string, []byte) []byte {
	return func(name string, data []byte) []byte {
		if name == file {
			return content
		}
		return data
	}
}

// newCA is a key and a self-signed CA with it, in PEM.
func newCA(t *testing.T) (ca, public []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})
}

// Halves of two clusters, each of them whole.
func TestVerifyTwoClusters(t *testing.T) {
	t.Parallel()
	ca, public := newCA(t)
	files := map[string][]byte{}
	repack(t, func(name string, data []byte) []byte { files[name] = data; return data })
	for name, tc := range map[string]struct {
		edit  func(string, []byte) []byte
		check string
		want  lifeboat.State
	}{
		"another CA":                {replaced("./kubernetes/pki/ca.crt", ca), "cluster CA", lifeboat.StateMismatch},
		"another token key":         {replaced("./kubernetes/pki/sa.pub", public), "token key", lifeboat.StateMismatch},
		"another member":            {in("./kubernetes/manifests/etcd.yaml", "--name=", "--name=other-"), "etcd member", lifeboat.StateMismatch},
		"a key of another":          {replaced("./kubernetes/pki/apiserver.key", files["./kubernetes/pki/front-proxy-client.key"]), "certificates", lifeboat.StateMismatch},
		"no manifest of API server": {without(apiServerManifest), "encryption flag", lifeboat.StateNotChecked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, repack(t, tc.edit), lifeboat.Options{})
			checks, err := b.Verify(t.Context())
			require.NoError(t, err)
			var found []lifeboat.State
			for _, c := range checks {
				if c.Name == tc.check {
					found = append(found, c.State())
				}
			}
			require.Contains(t, found, tc.want)
			if tc.want == lifeboat.StateMismatch {
				require.False(t, lifeboat.Sound(checks))
			}
		})
	}
	t.Run("no certificate at all", func(t *testing.T) {
		t.Parallel()
		path := repack(t, func(name string, data []byte) []byte {
			if strings.HasSuffix(name, ".crt") || strings.HasSuffix(name, ".conf") {
				return nil
			}
			return data
		})
		require.Equal(t, lifeboat.StateMismatch, states(t, path, lifeboat.Options{})["certificates"])
	})
}

// What is encrypted at rest, and by whom.
func TestVerifyKeysOfASnapshot(t *testing.T) {
	t.Parallel()
	require.Equal(t, lifeboat.StateNotChecked, states(t, snapshotFile(t), lifeboat.Options{})["encryption keys"], "the keys are elsewhere")
	path := filepath.Join(t.TempDir(), "other.yaml")
	require.NoError(t, os.WriteFile(path, []byte("kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n"+
		"- resources: [secrets]\n  providers:\n  - secretbox:\n      keys:\n      - name: key1\n        secret: "+strings.Repeat("A", 43)+"=\n"), 0o600))
	require.Equal(t, lifeboat.StateMismatch, states(t, snapshotFile(t), lifeboat.Options{EncryptionConfig: path})["encryption keys"], "these open nothing")
}

// signedArchive signs an archive and gives the public key's file.
func signedArchive(t *testing.T, path string) (key string) {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	require.NoError(t, err)
	text, err := public.MarshalText()
	require.NoError(t, err)
	key = filepath.Join(t.TempDir(), "key.pub")
	require.NoError(t, os.WriteFile(key, text, 0o600))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	r := minisign.NewReader(bytes.NewReader(data))
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+lifeboat.SignatureSuffix, r.Sign(private), 0o600))
	return key
}

// Only what is signed and sound is remembered: by anything else the real archives
// could be made to look old. Each key has its own memory.
func TestWhatIsRemembered(t *testing.T) {
	t.Parallel()
	remembered := func(state string) int {
		seen, err := filepath.Glob(filepath.Join(state, "seen-*.json"))
		require.NoError(t, err)
		return len(seen)
	}
	state := filepath.Join(t.TempDir(), "state")
	good := repack(t, keepAll)
	require.Equal(t, lifeboat.StateNotChecked, states(t, good, lifeboat.Options{StateDir: state})["older than before"])
	require.Zero(t, remembered(state), "it is not signed")

	mixed := repack(t, in("./kubernetes/manifests/etcd.yaml", "--name=", "--name=other-"))
	states(t, mixed, lifeboat.Options{StateDir: state, PubKey: signedArchive(t, mixed)})
	require.Zero(t, remembered(state), "its halves are of two clusters")

	first := signedArchive(t, good)
	require.Equal(t, lifeboat.StateGood, states(t, good, lifeboat.Options{StateDir: state, PubKey: first})["older than before"])
	second := signedArchive(t, good)
	require.Equal(t, lifeboat.StateGood, states(t, good, lifeboat.Options{StateDir: state, PubKey: second})["older than before"])
	require.Equal(t, 2, remembered(state))

	damaged, err := filepath.Glob(filepath.Join(state, "seen-*.json"))
	require.NoError(t, err)
	for _, path := range damaged {
		require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	}
	require.Equal(t, lifeboat.StateNotChecked, states(t, good, lifeboat.Options{StateDir: state, PubKey: second})["older than before"],
		"what is wrong with this host is no verdict on the archive")
}

// A signature that is asked for and missing is an error of its own, whatever else
// is known of the file.
func TestSignatureIsAskedFor(t *testing.T) {
	t.Parallel()
	good := repack(t, keepAll)
	key := signedArchive(t, good)
	require.NoError(t, os.Remove(good+lifeboat.SignatureSuffix))
	identity := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(identity, []byte("# none\nAGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n"), 0o600))
	for _, opts := range []lifeboat.Options{{PubKey: key}, {PubKey: key, Identities: []string{identity}}} {
		_, err := lifeboat.Open(t.Context(), good, opts)
		require.ErrorContains(t, err, "signature is not good")
		require.ErrorContains(t, err, fmt.Sprintf("%q", good+lifeboat.SignatureSuffix))
	}
	_, err := lifeboat.Open(t.Context(), "-", lifeboat.Options{PubKey: key, Stdin: strings.NewReader("x")})
	require.ErrorContains(t, err, "--pubkey cannot check standard input", "it would have to be read before it is checked")
}
