package crypto_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

func recipient(t testing.TB, text string) crypto.Recipient {
	t.Helper()
	r, err := crypto.ParseRecipient(text, nil)
	require.NoError(t, err)
	return r
}

func hybrid(t testing.TB) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	return id
}

func write(t testing.TB, armored bool, plain []byte, to ...crypto.Recipient) ([]byte, *crypto.Writer) {
	t.Helper()
	var out bytes.Buffer
	w, err := crypto.NewWriter(&out, armored, to...)
	require.NoError(t, err)
	_, err = w.Write(plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes(), w
}

// What is written is opened by age's own library, by every recipient, and by
// the writer itself.
func TestWriterRoundTrip(t *testing.T) {
	t.Parallel()
	sizes := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(chunk-2, chunk+2), rapid.IntRange(2*chunk, 3*chunk))
	a, b, pq := x25519(t), x25519(t), hybrid(t)
	rapid.Check(t, func(r *rapid.T) {
		plain := bytes.Repeat([]byte("harbour "), 1+3*chunk/8)[:sizes.Draw(r, "size")]
		armored := rapid.Bool().Draw(r, "armored")
		for _, c := range []struct {
			to   []crypto.Recipient
			open []age.Identity
		}{
			{[]crypto.Recipient{recipient(t, a.Recipient().String()), recipient(t, b.Recipient().String())}, []age.Identity{a, b}},
			{[]crypto.Recipient{recipient(t, pq.Recipient().String())}, []age.Identity{pq}},
		} {
			file, w := write(t, armored, plain, c.to...)
			if armored {
				plainFile, err := io.ReadAll(armor.NewReader(bytes.NewReader(file)))
				require.NoError(r, err)
				file = plainFile
			}
			for _, id := range append(c.open, w.Identity()) {
				require.Equal(r, string(plain), decryptWith(r, file, id))
			}
			_, err := age.Decrypt(bytes.NewReader(file), x25519(t))
			require.Error(r, err)
		}
	})
}

func decryptWith(t require.TestingT, file []byte, id age.Identity) string {
	plain, err := age.Decrypt(bytes.NewReader(file), id)
	require.NoError(t, err)
	data, err := io.ReadAll(plain)
	require.NoError(t, err)
	return string(data)
}

func TestPassphraseRoundTrip(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("age's work factor takes a second")
	}
	pass, err := crypto.NewPassphrase([]byte(secretText))
	require.NoError(t, err)
	file, _ := write(t, false, []byte("x"), pass)
	id, err := age.NewScryptIdentity(secretText)
	require.NoError(t, err)
	require.Equal(t, "x", decryptWith(t, file, id))
	require.Equal(t, "passphrase", pass.Fingerprint())
	_, err = crypto.NewPassphrase(nil)
	require.Error(t, err)
}

func TestRecipientsThatDoNotGoTogether(t *testing.T) {
	t.Parallel()
	classic, pq := recipient(t, x25519(t).Recipient().String()), recipient(t, hybrid(t).Recipient().String())
	pass, err := crypto.NewPassphrase([]byte(secretText))
	require.NoError(t, err)
	for _, list := range [][]crypto.Recipient{{}, {classic, pq}, {pq, classic}, {pass, classic}, {classic, pass}, {pass, pass}} {
		var out bytes.Buffer
		_, err := crypto.NewWriter(&out, false, list...)
		require.ErrorIs(t, err, crypto.ErrRecipients)
		require.Zero(t, out.Len(), "nothing was written")
	}
}

// Keys pasted into the wrong place are not shown to whoever looks on.
func TestRecipientFiles(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	key, err := ssh.NewPublicKey(public)
	require.NoError(t, err)
	sshLine := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	ecdsa := "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFNAr3EtH4VWu3fKJbBTA1zR5/vEQJMgYGpCdZ3mIfWUXn2L0TqX1n7vSxUyYwFqFJcVHmQZyN+e4cvsAwGAXSI= x"
	path := filepath.Join(t.TempDir(), "recipients")
	require.NoError(t, os.WriteFile(path, []byte("# the team\r\n"+id.Recipient().String()+"\r\n\r\n"+sshLine+" me@host\r\n"), 0o600))
	list, warnings, err := crypto.ReadRecipients(path, nil)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, list, 2)
	require.Equal(t, "X25519", list[0].Type)
	require.Equal(t, sshLine, list[1].Text, "without the comment, which may name a person")
	require.Equal(t, ssh.FingerprintSHA256(key), list[1].Fingerprint())

	require.NoError(t, os.WriteFile(path, []byte(ecdsa+"\n"+sshLine+"\n"), 0o600))
	list, warnings, err = crypto.ReadRecipients(path, nil)
	if err == nil { // the sample's point has to lie on the curve for x/crypto to take it
		require.Len(t, list, 1)
		require.Len(t, warnings, 1)
	}

	for content, want := range map[string]string{
		"":                                 "no recipients found",
		"# " + secretText:                  "no recipients found",
		id.String():                        "line 1: parsing recipient: this is a private key",
		sshLine + "\n" + secretText:        "line 2",
		"age1yubikey1" + secretText:        "a plugin",
		"age1" + secretText:                "line 1",
		"AGE-SECRET-KEY-PQ-1" + secretText: "a private key",
		strings.Repeat("a", 9000):          "longer than",
		"\xff\xfe" + secretText:            "not a text file",
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, _, err := crypto.ReadRecipients(path, nil)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), id.String())
		if !strings.HasPrefix(content, "age1") {
			require.NotContains(t, err.Error(), secretText)
		}
	}
}

func TestGeneratedKeys(t *testing.T) {
	t.Parallel()
	for _, pq := range []bool{false, true} {
		file, public, err := crypto.GenerateIdentity(pq, timeOfTests, nil)
		require.NoError(t, err)
		path := identityFile(t, file, 0o600)
		read, err := crypto.ReadIdentities(path, nil, nil)
		require.NoError(t, err)
		list, err := read.Public()
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, public.Text, list[0].Text)
		sealed, _ := write(t, false, []byte(secretText), public)
		info, fits, err := crypto.Opens(sealed, append(read.Identities, x25519(t)))
		require.NoError(t, err)
		require.Equal(t, []bool{true, false}, fits)
		require.Equal(t, []string{public.Type}, info.Recipients)
	}
}

// What proves a key stands at the beginning, however long header and file are.
func TestHeadOfLongFile(t *testing.T) {
	t.Parallel()
	mine := x25519(t)
	many := make([]crypto.Recipient, 1000) // age takes 1024
	for i := range many {
		many[i] = recipient(t, mine.Recipient().String())
	}
	for _, armored := range []bool{false, true} {
		sealed, _ := write(t, armored, make([]byte, 5<<20), many...)
		if armored {
			sealed = bytes.ReplaceAll(sealed, []byte("\n"), []byte("\r\n"))
		}
		src := bytes.NewReader(sealed)
		head, err := crypto.ReadHead(src)
		require.NoError(t, err)
		require.Positive(t, src.Len(), "not all of it is read")
		_, fits, err := crypto.Opens(head, []age.Identity{x25519(t), mine})
		require.NoError(t, err)
		require.Equal(t, []bool{false, true}, fits)
	}
}

// A key is said to fit where it opens what comes first, and not by the header
// alone; a damaged or a plain file is an error, no key that does not fit.
func TestOpensWhatIsDamaged(t *testing.T) {
	t.Parallel()
	mine := x25519(t)
	sealed, _ := write(t, false, []byte(secretText), recipient(t, mine.Recipient().String()))
	payload := bytes.Clone(sealed)
	payload[len(payload)-1] ^= 1
	header := bytes.Replace(sealed, []byte("-> X25519 "), []byte("-> X25519 x "), 1)
	for name, c := range map[string]struct {
		head []byte
		want error
	}{"payload": {payload, crypto.ErrDamaged}, "header": {header, crypto.ErrDamaged}, "plain": {[]byte(secretText), crypto.ErrNotEncrypted}, "nothing": {nil, crypto.ErrNotEncrypted}} {
		_, _, err := crypto.Opens(c.head, []age.Identity{mine})
		require.ErrorIs(t, err, c.want, name)
	}
	empty, _ := write(t, false, nil, recipient(t, mine.Recipient().String()))
	for _, whole := range [][]byte{sealed, empty} {
		_, fits, err := crypto.Opens(whole, []age.Identity{mine})
		require.NoError(t, err)
		require.Equal(t, []bool{true}, fits)
	}
}

func TestLockedGeneratedKey(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("age's work factor takes a second")
	}
	lock, err := crypto.NewPassphrase([]byte(secretText))
	require.NoError(t, err)
	file, public, err := crypto.GenerateIdentity(false, timeOfTests, &lock)
	require.NoError(t, err)
	require.NotContains(t, string(file), "AGE-SECRET-KEY")
	path := identityFile(t, file, 0o600)
	read, err := crypto.ReadIdentities(path, func() ([]byte, error) { return []byte(secretText), nil }, nil)
	require.NoError(t, err)
	list, err := read.Public()
	require.NoError(t, err)
	require.Equal(t, public.Text, list[0].Text)
	read, err = crypto.ReadIdentities(path, nil, nil)
	require.NoError(t, err)
	_, err = read.Public()
	require.ErrorIs(t, err, crypto.ErrNoKey)
}

// A writer whose disk is full says so, and does not report success at Close.
func TestWriterPassesErrorsOn(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	for _, room := range []int{0, 100, 300, chunk} {
		w, err := crypto.NewWriter(&limited{room: room, err: full}, false, recipient(t, x25519(t).Recipient().String()))
		if err == nil {
			_, err = w.Write(make([]byte, 3*chunk))
			err = errors.Join(err, w.Close())
		}
		require.ErrorIs(t, err, full)
	}
}

type limited struct {
	room int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.room -= len(p); l.room < 0 {
		return 0, l.err
	}
	return len(p), nil
}
