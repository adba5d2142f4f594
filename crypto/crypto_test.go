package crypto_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// chunk is age's; the tests cut and flip around its borders.
const chunk = 64 << 10

// secretText stands in every plaintext and passphrase here, and in no error.
const secretText = "s3cr3t-0f-the-harbour"

func encrypt(t testing.TB, plain []byte, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	require.NoError(t, err)
	_, err = w.Write(plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func encryptArmored(t testing.TB, plain []byte, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w := armor.NewWriter(&out)
	_, err := w.Write(encrypt(t, plain, to...))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func x25519(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

// scrypt is a passphrase recipient that tests can afford.
func scrypt(t testing.TB, passphrase string) *age.ScryptRecipient {
	t.Helper()
	r, err := age.NewScryptRecipient(passphrase)
	require.NoError(t, err)
	r.SetWorkFactor(4)
	return r
}

func passphrase(p string) crypto.Passphrase {
	return func() ([]byte, error) { return []byte(p), nil }
}

func never(t testing.TB) crypto.Passphrase {
	return func() ([]byte, error) {
		t.Error("asked for a passphrase that is of no use")
		return nil, errors.New("not asked for")
	}
}

// open reads all of src, or gives the error of whichever call had one.
func open(src []byte, keys crypto.Keys) ([]byte, crypto.Info, error) {
	r, info, err := crypto.NewReader(bytes.NewReader(src), keys)
	if err != nil {
		return nil, info, err
	}
	plain, err := io.ReadAll(r)
	return plain, info, err
}

func payload(n int) []byte {
	return bytes.Repeat([]byte(secretText), n/len(secretText)+1)[:n]
}

func sshKey(t testing.TB, key any, lock string) (path string, to age.Recipient) {
	t.Helper()
	var block *pem.Block
	var err error
	if lock == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(lock))
	}
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "id")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	to, err = agessh.ParseRecipient(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	require.NoError(t, err)
	return path, to
}

func identityFile(t testing.TB, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.txt")
	require.NoError(t, os.WriteFile(path, content, mode))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

// Every kind of key opens what was encrypted to it, binary and armored.
func TestEveryKindOfKeyOpens(t *testing.T) {
	t.Parallel()
	native := x25519(t)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	edPath, edTo := sshKey(t, ed, "")
	lockedPath, lockedTo := sshKey(t, ed, secretText)
	rsaPath, rsaTo := sshKey(t, rsaKey, "")
	nativeFile := []byte("# made for a test\r\n" + native.String() + "\r\n")

	for name, c := range map[string]struct {
		to     age.Recipient
		path   string // of the identity file
		ask    crypto.Passphrase
		stanza string
	}{
		"X25519":            {native.Recipient(), identityFile(t, nativeFile, 0o600), never(t), "X25519"},
		"hybrid":            {hybrid.Recipient(), identityFile(t, []byte(hybrid.String()), 0o600), never(t), "mlkem768x25519"},
		"ssh-ed25519":       {edTo, edPath, never(t), "ssh-ed25519"},
		"ssh-ed25519 lock":  {lockedTo, lockedPath, passphrase(secretText), "ssh-ed25519"},
		"ssh-rsa":           {rsaTo, rsaPath, never(t), "ssh-rsa"},
		"locked file":       {native.Recipient(), identityFile(t, encrypt(t, nativeFile, scrypt(t, secretText)), 0o600), passphrase(secretText), "X25519"},
		"locked file armor": {native.Recipient(), identityFile(t, encryptArmored(t, nativeFile, scrypt(t, secretText)), 0o600), passphrase(secretText), "X25519"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := crypto.ReadIdentities(c.path, c.ask, nil)
			require.NoError(t, err)
			require.Empty(t, file.Warnings)
			keys := crypto.Keys{Identities: file.Identities, Passphrase: never(t)}
			want := payload(3*chunk + 17)

			got, info, err := open(encrypt(t, want, c.to), keys)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
			require.Equal(t, crypto.Info{Encrypted: true, Recipients: []string{c.stanza}}, info)

			got, info, err = open(encryptArmored(t, want, c.to), keys)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
			require.True(t, info.Armored)
		})
	}
}

func TestPassphraseOpens(t *testing.T) {
	t.Parallel()
	file := encrypt(t, payload(100), scrypt(t, secretText))

	got, info, err := open(file, crypto.Keys{Identities: []age.Identity{x25519(t)}, Passphrase: passphrase(secretText)})
	require.NoError(t, err)
	require.Equal(t, payload(100), got)
	require.Equal(t, crypto.Info{Encrypted: true, Recipients: []string{"scrypt"}, WorkFactor: 4}, info)
}

// Sizes around the chunk border, where age's last chunk is full or empty.
func TestSizesAroundTheChunkBorder(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk} {
		file := encrypt(t, payload(n), id.Recipient())
		r, _, err := crypto.NewReader(iotest.OneByteReader(bytes.NewReader(file)), crypto.Keys{Identities: []age.Identity{id}})
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(payload(n), got), "%d bytes", n)
	}
}

func TestPlainStreamsComeThroughUnchanged(t *testing.T) {
	t.Parallel()
	for _, src := range [][]byte{
		nil, []byte("a"), []byte("age"), []byte("\x1f\x8b\x08 not really gzip"), payload(3 * chunk),
		[]byte("-----BEGIN CERTIFICATE-----\n"), bytes.Repeat([]byte{' '}, 5000), bytes.Repeat([]byte{0}, 5000),
	} {
		got, info, err := open(src, crypto.Keys{Passphrase: never(t)})
		require.NoError(t, err)
		require.Equal(t, crypto.Info{}, info)
		require.True(t, bytes.Equal(src, got))
	}
}

func TestArmorAsPeoplePasteIt(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	text := string(encryptArmored(t, payload(1000), id.Recipient()))
	keys := crypto.Keys{Identities: []age.Identity{id}}
	for name, src := range map[string]string{
		"CRLF":            strings.ReplaceAll(text, "\n", "\r\n"),
		"blanks before":   " \n\r\n\t\n" + text,
		"blanks after":    text + "\n\r\n  \n",
		"1000 blank ones": strings.Repeat("\n", 1000) + text,
	} {
		got, _, err := open([]byte(src), keys)
		require.NoError(t, err, name)
		require.Equal(t, payload(1000), got, name)
	}
	for name, src := range map[string]string{
		"text after":  text + "and a word",
		"no end line": strings.TrimSuffix(text, armor.Footer+"\n"),
		"bad base64":  strings.Replace(text, "\n", "\n*", 1),
		"endless":     armor.Header + "\n" + strings.Repeat("A", 1<<20),
	} {
		_, _, err := open([]byte(src), keys)
		var damaged *crypto.DamagedError
		require.ErrorAs(t, err, &damaged, name)
		require.Equal(t, "armor", damaged.Layer, name)
	}
}

func TestNoKeyFits(t *testing.T) {
	t.Parallel()
	owner, stranger := x25519(t), x25519(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	lockedPath, lockedTo := sshKey(t, ed, secretText)
	toOwner := encrypt(t, payload(10), owner.Recipient(), x25519(t).Recipient())
	toSSH := encrypt(t, payload(10), lockedTo)
	toPassphrase := encrypt(t, payload(10), scrypt(t, secretText))
	read := func(path string, ask crypto.Passphrase) []age.Identity {
		file, err := crypto.ReadIdentities(path, ask, nil)
		require.NoError(t, err)
		return file.Identities
	}
	lockedFile := identityFile(t, encrypt(t, []byte(owner.String()), scrypt(t, secretText)), 0o600)

	for name, c := range map[string]struct {
		src  []byte
		keys crypto.Keys
		want string
	}{
		"nothing given":           {toOwner, crypto.Keys{Passphrase: never(t)}, "encrypted to X25519 (2); no identity was given"},
		"a stranger's key":        {toOwner, crypto.Keys{Identities: []age.Identity{stranger}}, "encrypted to X25519 (2); identities tried: 1"},
		"no passphrase":           {toPassphrase, crypto.Keys{}, "encrypted to scrypt (1); no passphrase was given"},
		"wrong passphrase":        {toPassphrase, crypto.Keys{Passphrase: passphrase("guess")}, "the passphrase is not the right one"},
		"empty passphrase":        {toPassphrase, crypto.Keys{Passphrase: passphrase("")}, "the passphrase is not the right one"},
		"ssh key stays locked":    {toSSH, crypto.Keys{Identities: read(lockedPath, nil)}, "is locked, and no passphrase was given"},
		"ssh key, wrong phrase":   {toSSH, crypto.Keys{Identities: read(lockedPath, passphrase("guess"))}, "is locked, and the passphrase given for it is not"},
		"file stays locked":       {toOwner, crypto.Keys{Identities: read(lockedFile, nil)}, "is locked, and no passphrase was given"},
		"file, wrong phrase":      {toOwner, crypto.Keys{Identities: read(lockedFile, passphrase("guess"))}, "is locked, and the passphrase given for it is not"},
		"ssh key not concerned":   {toOwner, crypto.Keys{Identities: read(lockedPath, never(t))}, "identities tried: 1"},
		"file not concerned":      {toPassphrase, crypto.Keys{Identities: read(lockedFile, never(t))}, "no passphrase was given"},
		"key beside a passphrase": {toPassphrase, crypto.Keys{Identities: []age.Identity{stranger}, Passphrase: passphrase("guess")}, "not the right one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, info, err := open(c.src, c.keys)
			require.ErrorIs(t, err, crypto.ErrNoKey)
			require.NotErrorIs(t, err, crypto.ErrDamaged)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), secretText)
			require.NotEmpty(t, info.Recipients)
			require.ErrorContains(t, err, "encrypted to "+info.Recipients[0], "it says whose key would")
		})
	}
}

// An interrupted prompt is the caller's error, not a missing key.
func TestErrorsOfThePromptComeThrough(t *testing.T) {
	t.Parallel()
	interrupted := errors.New("interrupted")
	ask := func() ([]byte, error) { return nil, interrupted }
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	path, to := sshKey(t, ed, secretText)
	file, err := crypto.ReadIdentities(path, ask, nil)
	require.NoError(t, err)
	id := x25519(t)
	locked, err := crypto.ReadIdentities(identityFile(t, encrypt(t, []byte(id.String()), scrypt(t, secretText)), 0o600), ask, nil)
	require.NoError(t, err)

	_, _, err = open(encrypt(t, nil, scrypt(t, secretText)), crypto.Keys{Passphrase: ask})
	require.ErrorIs(t, err, interrupted)
	require.NotErrorIs(t, err, crypto.ErrDamaged)
	_, _, err = open(encrypt(t, nil, to), crypto.Keys{Identities: file.Identities})
	require.ErrorIs(t, err, interrupted)
	_, _, err = open(encrypt(t, nil, id.Recipient()), crypto.Keys{Identities: locked.Identities})
	require.ErrorIs(t, err, interrupted)
}

// A disk error must not pass for damage: the file may be fine elsewhere.
func TestErrorsOfTheSourceComeThrough(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	disk := errors.New("input/output error")
	for _, file := range [][]byte{encrypt(t, payload(2*chunk), id.Recipient()), encryptArmored(t, payload(2*chunk), id.Recipient())} {
		for _, at := range []int{0, 10, 100, 190, 210, 1000, chunk + 300, len(file)} {
			src := io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(disk))
			r, _, err := crypto.NewReader(src, crypto.Keys{Identities: []age.Identity{id}})
			if err == nil {
				_, err = io.ReadAll(r)
			}
			require.ErrorIs(t, err, disk, "at %d", at)
			require.NotErrorIs(t, err, crypto.ErrDamaged, "at %d", at)
		}
	}
}
