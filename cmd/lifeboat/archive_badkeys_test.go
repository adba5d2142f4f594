package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// Files that are given for a key: what is wrong is said, and none of it shown.
func TestKeysAsTheyCome(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed := s.create(t, "a.age", "-r", s.recipient)
	key, err := os.ReadFile(s.identity)
	require.NoError(t, err)
	phrase := filepath.Join(s.dir, "phrase")
	require.NoError(t, os.WriteFile(phrase, []byte("correct horse\n"), 0o600))
	lock, err := age.NewScryptRecipient("correct horse")
	require.NoError(t, err)
	lock.SetWorkFactor(10) // as a small board's age chose it; 18 takes a second and 256 MB for each of nine
	var locked bytes.Buffer
	armored := armor.NewWriter(&locked)
	w, err := age.Encrypt(armored, lock)
	require.NoError(t, err)
	_, err = w.Write(key)
	require.NoError(t, err)
	require.NoError(t, errors.Join(w.Close(), armored.Close()))
	_, pq, err := crypto.GenerateIdentity(true, time.Unix(0, 0), nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		args    []string
		code    console.ExitCode
		words   string
	}{
		"as age-keygen writes it":       {append([]byte("# created: today\n# public key: x\n"), key...), 0o600, nil, console.ExitDone, ""},
		"CRLF":                          {bytes.ReplaceAll(append([]byte("# x\n"), key...), []byte("\n"), []byte("\r\n")), 0o600, nil, console.ExitDone, ""},
		"everybody may read it":         {key, 0o644, nil, console.ExitDone, "can be read by others (mode 0644)"},
		"the public key":                {[]byte(s.recipient + "\n"), 0o600, nil, console.ExitFailed, "this is a public key"},
		"a post-quantum public key":     {[]byte(pq.Text + "\n"), 0o600, nil, console.ExitFailed, "this is a public key"},
		"twenty megabytes":              {bytes.Repeat([]byte("#\n"), 10<<20), 0o600, nil, console.ExitFailed, "longer than 16 MiB"},
		"empty":                         {nil, 0o600, nil, console.ExitFailed, "no identities found"},
		"a typo in it":                  {bytes.Replace(key, key[20:24], []byte("OOOO"), 1), 0o600, nil, console.ExitFailed, "line 1"},
		"a signing key":                 {mustRead(t, s.signer), 0o600, nil, console.ExitFailed, "line 1"},
		"locked, no passphrase":         {locked.Bytes(), 0o600, nil, console.ExitNoKey, "is locked, and no passphrase was given"},
		"locked, with its passphrase":   {locked.Bytes(), 0o600, []string{"--passphrase-file", phrase}, console.ExitDone, ""},
		"locked, with another":          {locked.Bytes(), 0o600, []string{"--passphrase-file", s.signer}, console.ExitNoKey, "is not the right one"},
		"locked, cut":                   {locked.Bytes()[:locked.Len()/2], 0o600, []string{"--passphrase-file", phrase}, console.ExitDamaged, ""},
		"a plugin's, without --plugins": {[]byte("AGE-PLUGIN-YUBIKEY-1QQQQ\n"), 0o600, nil, console.ExitFailed, "plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(path, c.content, c.mode))
			require.NoError(t, os.Chmod(path, c.mode))
			for _, verb := range []string{"list", "verify", "unpack"} {
				out := filepath.Join(t.TempDir(), "out")
				args := append([]string{"archive", verb, sealed, "-i", path}, c.args...)
				if verb == "unpack" {
					args = append(args, "--to", out)
				}
				r := lifeboat(args...)
				require.Equal(t, c.code, r.code, "%s: %s", verb, r.stderr)
				require.Contains(t, r.stderr, c.words)
				require.NotContains(t, r.stdout+r.stderr, "AGE-SECRET-KEY")
				require.NotContains(t, r.stdout+r.stderr, strings.TrimSpace(string(key))[16:])
				if c.code != console.ExitDone {
					require.NoDirExists(t, out)
				}
			}
		})
	}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// Signatures that prove nothing: exit 5 before a byte of the archive is
// parsed, whichever command it is given to.
func TestSignaturesAsTheyCome(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := s.create(t, "a.age", "-r", s.recipient, "--sign", s.signer)
	good := mustRead(t, path+".minisig")
	var key minisign.PrivateKey
	require.NoError(t, key.UnmarshalText(bytes.TrimSpace(mustRead(t, s.signer))))
	for name, signature := range map[string][]byte{
		"of the old kind":             minisign.Sign(key, mustRead(t, path)),
		"its trusted comment altered": bytes.Replace(good, []byte("revision=1485"), []byte("revision=9485"), 1),
		"given twice":                 append(bytes.Clone(good), good...),
		"cut":                         good[:len(good)-10],
		"of another file":             mustRead(t, s.create(t, "b.age", "-r", s.recipient, "--sign", s.signer)+".minisig"),
		"too large":                   append(bytes.Clone(good), make([]byte, 1<<20)...),
		"of no bytes":                 nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			copied := filepath.Join(t.TempDir(), "a.age")
			require.NoError(t, os.WriteFile(copied, mustRead(t, path), 0o600))
			require.NoError(t, os.WriteFile(copied+".minisig", signature, 0o600))
			for _, verb := range [][]string{{"archive", "verify"}, {"archive", "verify", "--quick"}, {"archive", "list"}, {"archive", "unpack", "--to", copied + ".out"}, {"archive", "decrypt", "--to", copied + ".out"}, {"archive", "rekey", "--add", s.recipient, "--to", copied + ".out"}, {"get", "ns"}, {"inspect"}} {
				args := append([]string{verb[0]}, append(verb[1:], "-i", s.identity, "--pubkey", s.signer+".pub")...)
				at := 1
				if verb[0] == "archive" {
					at = 2
				}
				args = append(args[:at:at], append([]string{copied}, args[at:]...)...)
				r := lifeboat(args...)
				require.Equal(t, console.ExitDamaged, r.code, "%q: %s", verb, r.stderr)
				require.Contains(t, r.stderr, "signature")
				require.Empty(t, r.stdout)
				require.NoFileExists(t, copied+".out")
			}
		})
	}
}

// A clock that is years ahead changes nothing: order is by revision.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ahead := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, os.Chtimes(s.snapshot, ahead, ahead))
	r := lifeboat("archive", "verify", s.create(t, "a.tar.gz"))
	require.Equal(t, console.ExitDone, r.code, r.stdout)
	require.Contains(t, r.stdout, "2099-01-01T00:00:00Z")
}
