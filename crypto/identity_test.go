package crypto_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

func TestLooseModeIsAWarning(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		path := identityFile(t, []byte(x25519(t).String()), mode)
		file, err := crypto.ReadIdentities(path, nil, nil)
		require.NoError(t, err)
		require.Len(t, file.Identities, 1)
		require.Len(t, file.Warnings, 1, mode)
		require.Contains(t, file.Warnings[0], fmt.Sprintf("%04o", mode))
	}
}

// Whatever stands in a bad identity file, no error repeats it.
func TestBadIdentityFiles(t *testing.T) {
	t.Parallel()
	key := x25519(t).String()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(ed, "")
	require.NoError(t, err)
	sshText := string(pem.EncodeToMemory(block))
	for name, c := range map[string]struct{ content, want string }{
		"empty":             {"", "no identities found"},
		"only comments":     {"# " + secretText + "\n\n", "no identities found"},
		"a typo":            {key[:30] + "O" + key[31:], "line 1"},
		"cut":               {key[:40], "line 1"},
		"a few letters":     {"abc", "line 1"},
		"second line":       {key + "\n" + secretText, "line 2"},
		"a plugin's":        {"# x\nAGE-PLUGIN-YUBIKEY-1" + secretText, "line 2: the key of a plugin"},
		"a recipient":       {"age1" + strings.Repeat("q", 58), "a public key"},
		"an ssh public key": {"ssh-ed25519 AAAA" + secretText, "a public key"},
		"a cut ssh key":     {sshText[:len(sshText)/2], "not an SSH private key"},
		"another PEM":       {"-----BEGIN CERTIFICATE-----\n" + secretText, "not an SSH private key"},
		"not UTF-8":         {key + "\n\xff\xfe", "UTF-8"},
		"just short enough": {strings.Repeat("#"+strings.Repeat("x", 1022)+"\n", 16<<10), "no identities found"},
		"too long":          {strings.Repeat("#"+strings.Repeat("x", 1022)+"\n", 16<<10) + "#", "longer than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := crypto.ReadIdentities(identityFile(t, []byte(c.content), 0o600), nil, nil)
			require.ErrorContains(t, err, c.want)
			for _, secret := range []string{secretText, key[20:35], sshText[60:90]} {
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
	_, err = crypto.ReadIdentities(t.TempDir(), nil, nil)
	require.Error(t, err, "a folder")
	_, err = crypto.ReadIdentities(filepath.Join(t.TempDir(), "none"), nil, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A locked identity file that cannot serve says why, and does not cost more
// than an archive may.
func TestBadLockedFiles(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	archive := encrypt(t, payload(10), id.Recipient())
	damaged := encrypt(t, []byte(id.String()), scrypt(t, secretText))
	damaged[len(damaged)-1] ^= 1
	for name, c := range map[string]struct {
		content []byte
		want    string
		is      error
	}{
		"damaged":            {damaged, "unlocking identity file", crypto.ErrDamaged},
		"hostile factor":     {scryptHeader("25"), "work factor", crypto.ErrPolicy},
		"not by passphrase":  {encrypt(t, nil, id.Recipient()), "encrypted to X25519", nil},
		"holds no identity":  {encrypt(t, []byte("# nothing"), scrypt(t, secretText)), "no identities found", nil},
		"holds another file": {encrypt(t, []byte("secret: "+secretText), scrypt(t, secretText)), "line 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := crypto.ReadIdentities(identityFile(t, c.content, 0o600), passphrase(secretText), nil)
			require.NoError(t, err)
			_, _, err = open(archive, crypto.Keys{Identities: file.Identities})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), secretText)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
}

// The old PEM format of a locked SSH key needs its public half beside it.
func TestLockedPEMNeedsItsPublicHalf(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	block, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), //nolint:staticcheck // the format under test
		[]byte(secretText), x509.PEMCipherAES256)
	require.NoError(t, err)
	path := identityFile(t, pem.EncodeToMemory(block), 0o600)
	_, err = crypto.ReadIdentities(path, nil, nil)
	require.ErrorContains(t, err, "public half")
	require.ErrorIs(t, err, os.ErrNotExist)

	public, err := ssh.NewPublicKey(&key.PublicKey)
	require.NoError(t, err)
	line := ssh.MarshalAuthorizedKey(public)
	require.NoError(t, os.WriteFile(path+".pub", line, 0o644))
	to, err := agessh.ParseRecipient(string(line))
	require.NoError(t, err)
	file, err := crypto.ReadIdentities(path, passphrase(secretText), nil)
	require.NoError(t, err)
	sealed := encrypt(t, payload(10), to)
	got, _, err := open(sealed, crypto.Keys{Identities: file.Identities})
	require.NoError(t, err)
	require.Equal(t, payload(10), got)
}

// A right passphrase and a damaged stanza is damage, not a wrong passphrase.
func TestLockedKeyAndDamagedStanza(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	path, to := sshKey(t, ed, secretText)
	file, err := crypto.ReadIdentities(path, passphrase(secretText), nil)
	require.NoError(t, err)
	sealed := encrypt(t, payload(10), to)
	header, _, _ := bytes.Cut(sealed, []byte("\n--- "))
	stanza := bytes.Fields(header) // intro -> type fingerprint share body
	sealed = bytes.Replace(sealed, append([]byte(" "), stanza[4]...), nil, 1)
	_, _, err = open(sealed, crypto.Keys{Identities: file.Identities})
	require.ErrorIs(t, err, crypto.ErrDamaged)
}

// A plugin that is not there is a key that is missing, and no damage; the keys beside
// it are tried first, and what is wrong in a file is told by its line.
func TestPluginKeys(t *testing.T) {
	t.Parallel()
	mine, stranger, ui := x25519(t), x25519(t), &plugin.ClientUI{}
	key := plugin.EncodeIdentity("nosuch", []byte(secretText))
	read, err := crypto.ReadIdentities(identityFile(t, []byte("# keys\r\n"+key+"\r\n"+mine.String()+"\r\n"), 0o600), nil, ui)
	require.NoError(t, err)
	require.Len(t, read.Identities, 2)
	got, _, err := open(encrypt(t, payload(10), mine.Recipient()), crypto.Keys{Identities: read.Identities})
	require.NoError(t, err, "the plugin is not asked")
	require.Equal(t, payload(10), got)
	_, _, err = open(encrypt(t, payload(10), stranger.Recipient()), crypto.Keys{Identities: read.Identities})
	require.ErrorIs(t, err, crypto.ErrNoKey)
	require.NotErrorIs(t, err, crypto.ErrDamaged)
	require.ErrorContains(t, err, "nosuch")

	alone, err := crypto.ReadIdentities(identityFile(t, []byte(key), 0o600), nil, ui)
	require.NoError(t, err)
	require.Len(t, alone.Identities, 1)
	_, err = alone.Public()
	require.ErrorContains(t, err, "age-plugin-nosuch --help")
	for content, want := range map[string]string{
		"# keys\n" + key[:len(key)-9]:                  "line 2: malformed key of a plugin",
		"# keys\n" + key + "\n\nAGE-SECRET-KEY-1QQQQQ": "line 4",
	} {
		_, err := crypto.ReadIdentities(identityFile(t, []byte(content), 0o600), nil, ui)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), key[20:40])
	}

	to, err := crypto.ParseRecipient(plugin.EncodeRecipient("nosuch", []byte("public")), ui)
	require.NoError(t, err)
	require.Equal(t, "plugin nosuch", to.Type)
	_, err = crypto.ParseRecipient(to.Text[:len(to.Text)-3], ui)
	require.ErrorContains(t, err, "malformed key of a plugin")
	_, err = crypto.ParseRecipient(to.Text, nil)
	require.ErrorIs(t, err, crypto.ErrPlugin)
}
