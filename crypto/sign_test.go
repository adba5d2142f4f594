package crypto_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"aead.dev/minisign"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// keyPair writes a generated signing key and its public half to files.
func keyPair(t testing.TB) (signer *crypto.Signer, private, public string) {
	t.Helper()
	dir := t.TempDir()
	private, public = filepath.Join(dir, "key"), filepath.Join(dir, "key.pub")
	priv, pub, err := crypto.GenerateSigner(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(private, priv, 0o600))
	require.NoError(t, os.WriteFile(public, pub, 0o600))
	signer, warnings, err := crypto.ReadSigner(private, nil)
	require.NoError(t, err)
	require.Empty(t, warnings)
	return signer, private, public
}

// minisign's library is the judge of what is signed, and what it signs is
// taken.
func TestSignatures(t *testing.T) {
	t.Parallel()
	signer, private, public := keyPair(t)
	verifier, err := crypto.ReadVerifier(public)
	require.NoError(t, err)
	message := []byte(strings.Repeat(secretText, 99))
	signature, err := signer.Sign(bytes.NewReader(message), "cluster harbour, revision 1485")
	require.NoError(t, err)
	comment, err := verifier.Verify(bytes.NewReader(message), signature)
	require.NoError(t, err)
	require.Equal(t, "cluster harbour, revision 1485", comment)

	comment, err = verifier.Comment(signature)
	require.NoError(t, err)
	require.Equal(t, "cluster harbour, revision 1485", comment, "without the file")
	_, err = verifier.Comment(bytes.Replace(signature, []byte("1485"), []byte("9999"), 1))
	require.ErrorIs(t, err, crypto.ErrSignature, "a comment that somebody changed")
	_, _, other := keyPair(t)
	stranger, err := crypto.ReadVerifier(other)
	require.NoError(t, err)
	_, err = stranger.Comment(signature)
	require.ErrorIs(t, err, crypto.ErrSignature)

	theirs, err := minisign.PublicKeyFromFile(public)
	require.NoError(t, err)
	require.True(t, minisign.Verify(theirs, message, signature))
	key, err := minisign.PrivateKeyFromFile("", private)
	require.Error(t, err, "not locked: %v", key)

	pub, err := signer.Public()
	require.NoError(t, err)
	file, err := os.ReadFile(public)
	require.NoError(t, err)
	require.Equal(t, string(file), string(pub))
	require.Equal(t, verifier.ID(), signer.ID())
}

func TestBadSignatures(t *testing.T) {
	t.Parallel()
	signer, private, public := keyPair(t)
	stranger, _, _ := keyPair(t)
	verifier, err := crypto.ReadVerifier(public)
	require.NoError(t, err)
	message := []byte("the archive")
	good, err := signer.Sign(bytes.NewReader(message), "revision 1485")
	require.NoError(t, err)
	foreign, err := stranger.Sign(bytes.NewReader(message), "revision 1485")
	require.NoError(t, err)

	data, err := os.ReadFile(private)
	require.NoError(t, err)
	var key minisign.PrivateKey
	require.NoError(t, key.UnmarshalText(data))
	legacy := minisign.Sign(key, message)

	for name, signature := range map[string][]byte{
		"missing":                   nil,
		"of another key":            foreign,
		"legacy":                    legacy,
		"trusted comment altered":   bytes.Replace(good, []byte("revision 1485"), []byte("revision 9999"), 1),
		"two signatures":            append(bytes.Clone(good), good...),
		"cut":                       good[:len(good)/2],
		"garbage":                   []byte("untrusted comment: x\nAAAA\ntrusted comment: y\nBBBB\n"),
		"signature of another kind": []byte("-----BEGIN SSH SIGNATURE-----\n"),
	} {
		_, err := verifier.Verify(bytes.NewReader(message), signature)
		require.ErrorIs(t, err, crypto.ErrSignature, name)
		_, err = verifier.Comment(signature)
		require.ErrorIs(t, err, crypto.ErrSignature, name)
	}
	comment, err := verifier.Comment(good)
	require.NoError(t, err)
	require.Equal(t, "revision 1485", comment)
	_, err = verifier.Verify(bytes.NewReader(message), legacy)
	require.ErrorContains(t, err, "old kind", "it says what to do about it")
	_, err = verifier.Verify(bytes.NewReader(message), foreign)
	require.ErrorContains(t, err, "made with key "+stranger.ID()+", not with "+signer.ID())
	disk := errors.New("input/output error")
	_, err = verifier.Verify(io.MultiReader(bytes.NewReader(message), iotest.ErrReader(disk)), good)
	require.ErrorIs(t, err, disk, "a file that cannot be read is not one that somebody changed")
	require.NotErrorIs(t, err, crypto.ErrSignature)
	_, err = verifier.Verify(strings.NewReader("another archive"), good)
	require.ErrorIs(t, err, crypto.ErrSignature)
	crlf := bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n"))
	_, err = verifier.Verify(bytes.NewReader(message), crlf)
	require.NoError(t, err, "CRLF is how it comes back from a mail")

	for _, comment := range []string{"two\nlines", "two\rlines"} {
		_, err = signer.Sign(bytes.NewReader(message), comment)
		require.Error(t, err, comment)
	}
}

func TestSigningKeyFiles(t *testing.T) {
	t.Parallel()
	_, private, public := keyPair(t)
	require.NoError(t, os.Chmod(private, 0o644))
	_, warnings, err := crypto.ReadSigner(private, nil)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	_, _, err = crypto.ReadSigner(public, nil)
	require.ErrorContains(t, err, "not a secret key")
	_, err = crypto.ReadVerifier(private)
	require.ErrorContains(t, err, "not a public key")
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, []byte(secretText), 0o600))
	_, _, err = crypto.ReadSigner(bad, nil)
	require.Error(t, err)
	require.NotContains(t, err.Error(), secretText)
}

// The lock is minisign's own and takes its gigabyte of memory.
func TestLockedSigningKey(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 1 GiB of memory")
	}
	priv, _, err := crypto.GenerateSigner([]byte(secretText))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, priv, 0o600))
	_, _, err = crypto.ReadSigner(path, nil)
	require.ErrorIs(t, err, crypto.ErrNoKey)
	_, _, err = crypto.ReadSigner(path, passphrase(secretText))
	require.NoError(t, err)
	if soak(1) > 1 { // another gigabyte, and seconds
		_, _, err = crypto.ReadSigner(path, passphrase("wrong"))
		require.ErrorIs(t, err, crypto.ErrNoKey)
		require.ErrorContains(t, err, "not the right one")
	}
}
