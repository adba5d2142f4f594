package registry

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	kmstypes "k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/v2"
	"pgregory.net/rapid"
)

const secretPath = "/registry/secrets/infra-production/db-password"

// storedSecret is a Secret as kube-apiserver hands it to its transformers.
func storedSecret(t testing.TB) []byte {
	t.Helper()
	secret := corev1.Secret{Data: map[string][]byte{"password": []byte("s3cret")}}
	secret.Name, secret.Namespace = "db-password", "infra-production"
	return protobufValue(t, schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, &secret)
}

// config is an EncryptionConfiguration with one provider and its keys.
func config(provider string, keys ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n  - %s:\n      keys:\n", provider)
	for i := 0; i < len(keys); i += 2 {
		fmt.Fprintf(&b, "      - {name: %q, secret: %s}\n", keys[i], keys[i+1])
	}
	return b.String() + "  - identity: {}\n"
}

func key(size int, fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, size))
}

// encrypt writes a value as kube-apiserver does: its own loader reads the
// configuration, its own transformers encrypt.
func encrypt(t testing.TB, config string, plain []byte) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "encryption.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	loaded, err := encryptionconfig.LoadEncryptionConfig(ctx, file, false, "lifeboat-test")
	require.NoError(t, err)
	stored, err := loaded.Transformers[schema.GroupResource{Resource: "secrets"}].
		TransformToStorage(ctx, plain, value.DefaultContext(secretPath))
	require.NoError(t, err)
	return stored
}

func TestKeyringOpensWhatAPIServerWrote(t *testing.T) {
	t.Parallel()
	plain := storedSecret(t)
	for _, c := range []struct {
		provider string
		sizes    []int
	}{{"aescbc", []int{16, 24, 32}}, {"aesgcm", []int{16, 24, 32}}, {"secretbox", []int{32}}} {
		for _, size := range c.sizes {
			t.Run(fmt.Sprintf("%s-%d", c.provider, size), func(t *testing.T) {
				t.Parallel()
				for _, name := range []string{"key1", "secretbox", "with:colon:in:it", "имя"} {
					stored := encrypt(t, config(c.provider, name, key(size, 'a')), plain)
					require.Equal(t, Encrypted, FormOf(stored))

					ring, err := ParseEncryptionConfig([]byte(config(c.provider, name, key(size, 'a'))))
					require.NoError(t, err)
					got, err := ring.Open(t.Context(), secretPath, stored)
					require.NoError(t, err)
					require.Equal(t, plain, got)

					rotated, err := ParseEncryptionConfig([]byte(config(c.provider, "new", key(size, 'b'), name, key(size, 'a'))))
					require.NoError(t, err)
					got, err = rotated.Open(t.Context(), secretPath, stored)
					require.NoError(t, err, "an older key behind a newer one")
					require.Equal(t, plain, got)

					wrong, err := ParseEncryptionConfig([]byte(config(c.provider, name, key(size, 'z'))))
					require.NoError(t, err)
					_, err = wrong.Open(t.Context(), secretPath, stored)
					var locked *LockedError
					require.ErrorAs(t, err, &locked)
					require.Equal(t, 1, locked.Tried)
					require.ErrorContains(t, err, "wrong key")
				}
			})
		}
	}
}

func TestKeyringFindsRenamedKey(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{"aescbc", "aesgcm", "secretbox"} {
		stored := encrypt(t, config(provider, "old:name", key(32, 'a')), storedSecret(t))
		ring, err := ParseEncryptionConfig([]byte(config(provider, "renamed", key(32, 'a'))))
		require.NoError(t, err)
		_, err = ring.Open(t.Context(), secretPath, stored)
		require.NoError(t, err)
	}
}

func TestKeyringAuthenticatesTheEtcdKey(t *testing.T) {
	t.Parallel()
	stored := encrypt(t, config("aesgcm", "k", key(32, 'a')), storedSecret(t))
	ring, err := ParseEncryptionConfig([]byte(config("aesgcm", "k", key(32, 'a'))))
	require.NoError(t, err)
	_, err = ring.Open(t.Context(), "/registry/secrets/default/other", stored)
	require.Error(t, err, "a value moved to another key is not what was written there")
}

// A wrong AES-CBC key gives a right padding once in 256 values. None of them
// may come out as an object.
func TestKeyringNeverTakesGarbage(t *testing.T) {
	t.Parallel()
	stored := encrypt(t, config("aescbc", "k", key(32, 'a')), storedSecret(t))
	rapid.Check(t, func(t *rapid.T) {
		guess := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		ring, err := ParseEncryptionConfig([]byte(config("aescbc", "k", base64.StdEncoding.EncodeToString(guess))))
		require.NoError(t, err)
		if !bytes.Equal(guess, bytes.Repeat([]byte{'a'}, 32)) {
			_, err = ring.Open(context.Background(), secretPath, stored)
			require.Error(t, err)
		}
	})
}

func TestParseEncryptionConfigIsLenient(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"legacy kind": strings.Replace(config("aescbc", "k", key(32, 'a')), "EncryptionConfiguration", "EncryptionConfig", 1),
		"signature stanza of Deckhouse": strings.Replace(config("aescbc", "k", key(32, 'a')), "  providers:",
			"  signature: {mode: Enforce, privKeyPath: /a, pubKeyPath: /b}\n  providers:", 1),
		"signature among the providers": config("aescbc", "k", key(32, 'a')) + "  - signature: {mode: Enforce}\n",
		"a broken key beside":           config("aescbc", "bad", "bm8=", "k", key(32, 'a')),
	} {
		ring, err := ParseEncryptionConfig([]byte(text))
		require.NoError(t, err, name)
		require.Equal(t, 1, ring.Len(), name)
	}
	ring, err := ParseEncryptionConfig([]byte(config("secretbox", "short", "c2hvcnQ=")))
	require.NoError(t, err)
	require.Equal(t, []string{`secretbox key "short": secret has 5 bytes, want 32`}, ring.Problems)
}

func TestParseEncryptionConfigShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"kind: EncryptionConfiguration\nresources: 'c2VjcmV0LXNlY3JldA=='\n",
		"kind: EncryptionConfiguration\nresources:\n- providers:\n  - aescbc: c2VjcmV0LXNlY3JldA==\n",
		"kind: [c2VjcmV0LXNlY3JldA==\n",
		"kind: Pod\nc2VjcmV0LXNlY3JldA==: 1\n", "",
	} {
		_, err := ParseEncryptionConfig([]byte(text))
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "c2VjcmV0")
	}
}

func TestLocksOfKMSAreNamed(t *testing.T) {
	t.Parallel()
	sealed, err := proto.Marshal(&kmstypes.EncryptedObject{EncryptedData: []byte("x"), KeyID: "rotation-7", EncryptedDEKSource: []byte("y")})
	require.NoError(t, err)
	for stored, want := range map[string]string{
		"k8s:enc:kms:v2:vault:" + string(sealed): `encrypted by kms v2 provider "vault" with key "rotation-7": only the KMS plugin holds its key`,
		"k8s:enc:kms:v1:cloud:\x00\x03abc...":    `encrypted by kms v1 provider "cloud": only the KMS plugin holds its key`,
		"k8s:enc:secretbox:v1:key1:....":         `encrypted by secretbox key "key1", and no secretbox key is at hand`,
		"k8s:enc:":                               `encrypted by unknown key "", and no unknown key is at hand`,
	} {
		_, err := (*Keyring)(nil).Open(t.Context(), secretPath, []byte(stored))
		require.EqualError(t, err, want)
	}
}

func FuzzEnvelope(f *testing.F) {
	plain := storedSecret(f)
	f.Add(plain)
	for _, provider := range []string{"aescbc", "aesgcm", "secretbox"} {
		f.Add(encrypt(f, config(provider, "key1", key(32, 'a')), plain))
	}
	f.Add([]byte(`{"apiVersion":"fleet.example.com/v1","kind":"Ship","metadata":{"name":"aurora"},"spec":{"n":9007199254740993}}`))
	f.Add([]byte("\xd9\xd9\xf7\xa0"))
	ring, err := ParseEncryptionConfig([]byte(config("aescbc", "key1", key(32, 'a'))))
	require.NoError(f, err)
	r := New(nil, Options{Keyring: ring})
	f.Fuzz(func(t *testing.T, stored []byte) {
		entry := Entry{Key: Key{Path: secretPath, Plural: "secrets", Namespace: "infra-production", Name: "db-password"}}
		entry.KV.Value = stored
		o := r.Decode(t.Context(), entry)
		content, err := o.Content()
		if content == nil && err == nil && len(o.Problems) == 0 {
			t.Fatal("lost in silence")
		}
	})
}

// Of the keys that are wrong one in 256 gives a padding that is right: what comes
// out is looked at, whatever it begins with.
func TestWrongKeyWithARightPadding(t *testing.T) {
	t.Parallel()
	stored := encrypt(t, config("aescbc", "k", key(32, 'a')), storedSecret(t))
	_, sealed, ok := parseLock(stored)
	require.True(t, ok)
	for n, met := 0, 0; met < 3; n++ {
		wrong := sha256.Sum256(fmt.Append(nil, n))
		block, err := aes.NewCipher(wrong[:])
		require.NoError(t, err)
		if _, _, err := aestransformer.NewCBCTransformer(block).TransformFromStorage(t.Context(), bodies(sealed, "k")[0], value.DefaultContext(secretPath)); err != nil {
			continue
		}
		met++
		ring, err := ParseEncryptionConfig([]byte(config("aescbc", "k", base64.StdEncoding.EncodeToString(wrong[:]))))
		require.NoError(t, err)
		_, err = ring.Open(t.Context(), secretPath, stored)
		require.ErrorContains(t, err, "wrong key")
	}
	for text, want := range map[string]bool{
		string(storedSecret(t)): true, `{"kind":"Ship"}`: true, "\xd9\xd9\xf7\xa0": true,
		"{\x00\x07garbage": false, `{"kind":"Sh`: false, "\xd9\xd9\xf7garbage": false, "k8s\x00garbage": false, "k8s\x00": false,
		"k8s:enc:aescbc:v1:k:": false, "garbage": false, "": false,
	} {
		require.Equal(t, want, plausible([]byte(text)), "%q", text)
	}
}

// Keys of all resources count, and two that have a name or a secret in common are
// two keys: key1 is what every documentation calls its key.
func TestKeysAreToldByNameProviderAndSecret(t *testing.T) {
	t.Parallel()
	plain := storedSecret(t)
	configs := []string{
		config("aescbc", "key1", key(32, 'a')), config("aescbc", "key1", key(32, 'b')), config("aesgcm", "key1", key(32, 'b')),
		strings.Replace(config("secretbox", "key1", key(32, 'c')), "resources: [secrets]", "resources: [configmaps]", 1),
	}
	joined := []byte(configs[0])
	for _, c := range configs[1:] {
		_, more, _ := strings.Cut(c, "resources:\n")
		joined = append(joined, more...)
	}
	ring, err := ParseEncryptionConfig(joined)
	require.NoError(t, err)
	require.Equal(t, len(configs), ring.Len())
	require.NoError(t, ring.Add(joined))
	require.Equal(t, len(configs), ring.Len(), "each once")
	for _, c := range configs {
		got, err := ring.Open(t.Context(), secretPath, encrypt(t, strings.Replace(c, "[configmaps]", "[secrets]", 1), plain))
		require.NoError(t, err, c)
		require.Equal(t, plain, got)
	}
	long, err := ParseEncryptionConfig([]byte(config("secretbox", "long", key(33, 'a'))))
	require.NoError(t, err)
	require.Equal(t, []string{`secretbox key "long": secret has 33 bytes, want 32`}, long.Problems)
}
