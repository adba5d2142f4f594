package crypto_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

func sealedText(t *testing.T, armored bool, size int) (file []byte, key *age.X25519Identity) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	var out bytes.Buffer
	dst := io.WriteCloser(struct {
		io.Writer
		io.Closer
	}{&out, io.NopCloser(nil)})
	if armored {
		dst = armor.NewWriter(&out)
	}
	w, err := age.Encrypt(dst, key.Recipient())
	require.NoError(t, err)
	_, err = w.Write(bytes.Repeat([]byte("plain text "), size/11+1)[:size])
	require.NoError(t, err)
	require.NoError(t, w.Close())
	if armored {
		require.NoError(t, dst.Close())
	}
	return out.Bytes(), key
}

func utf16Of(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

// bigEndian is UTF-16 the other way round.
func bigEndian(text string) []byte {
	out := utf16Of(text)
	for i := 0; i < len(out); i += 2 {
		out[i], out[i+1] = out[i+1], out[i]
	}
	return out
}

// What a shell, an editor or a mail program makes of an age file is told for
// what it is, and never for a plain file.
func TestMangledFile(t *testing.T) {
	t.Parallel()
	file, key := sealedText(t, true, 5000)
	binary, _ := sealedText(t, false, 5000)
	keys := crypto.Keys{Identities: []age.Identity{key}}
	quoted := "> " + strings.ReplaceAll(strings.TrimSpace(string(file)), "\n", "\n> ") + "\n"
	for name, tc := range map[string]struct {
		data []byte
		says string
		lost bool
	}{
		"PowerShell":           {utf16Of(string(file)), "UTF-16", false},
		"UTF-16, big endian":   {bigEndian(string(file)), "UTF-16", false},
		"without its mark":     {utf16Of(string(file))[2:], "UTF-16", false},
		"an editor":            {[]byte("\xef\xbb\xbf" + string(binary)), "by an editor", true},
		"PowerShell of binary": {utf16Of(string(binary)), "lost bytes", true},
		"quoted":               {[]byte(quoted), "quoted", false},
		"a mail":               {[]byte("From: a\nSubject: key\n\nhello\n\n" + string(file)), "other text", false},
	} {
		_, _, err := crypto.NewReader(bytes.NewReader(tc.data), keys)
		require.ErrorIs(t, err, crypto.ErrMangled, name)
		require.ErrorContains(t, err, tc.says, name)
		require.Equal(t, tc.lost, errors.Is(err, crypto.ErrDamaged), name)
		_, err = crypto.Rekey(io.Discard, bytes.NewReader(tc.data), keys, crypto.Change{})
		require.ErrorIs(t, err, crypto.ErrMangled, name)
	}
	plain, info, err := crypto.NewReader(bytes.NewReader(append([]byte("\xef\xbb\xbf"), file...)), keys)
	require.NoError(t, err, "a byte order mark is passed over")
	require.True(t, info.Encrypted)
	_, err = io.Copy(io.Discard, plain)
	require.NoError(t, err)
}

// A damaged payload is found when the file is re-keyed.
func TestRekeyOfADamagedPayload(t *testing.T) {
	t.Parallel()
	file, key := sealedText(t, false, 300<<10)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	add, err := crypto.ParseRecipient(other.Recipient().String(), nil)
	require.NoError(t, err)
	keys := crypto.Keys{Identities: []age.Identity{key}}
	_, err = crypto.Rekey(io.Discard, bytes.NewReader(file), keys, crypto.Change{Add: []crypto.Recipient{add}})
	require.NoError(t, err)
	for _, at := range []int{len(file) - 1, len(file) / 2, len(file) - 200<<10} {
		broken := bytes.Clone(file)
		broken[at] ^= 1
		_, err = crypto.Rekey(io.Discard, bytes.NewReader(broken), keys, crypto.Change{Add: []crypto.Recipient{add}})
		require.ErrorIs(t, err, crypto.ErrDamaged)
	}
}

// A key that is given in the place of its file's name never comes back.
func TestKeyInPlaceOfAName(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	for _, text := range []string{key.String(), strings.ToLower(key.String()), "# created\n" + key.String(), "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA"} {
		_, err := crypto.ReadIdentities(text, nil, nil)
		require.ErrorContains(t, err, "the key itself was given")
		require.NotContains(t, strings.ToUpper(err.Error()), strings.ToUpper(text[len(text)-8:]))
		_, _, err = crypto.ReadRecipients(text, nil)
		require.ErrorContains(t, err, "the key itself was given")
	}
}

// Key files as Windows' editors leave them.
func TestKeyFileOfAnEditor(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"bom": []byte("\xef\xbb\xbf" + key.String() + "\r\n"), "utf-16": utf16Of(key.String() + "\r\n"), "utf-16be": bigEndian(key.String() + "\r\n"),
	} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		file, err := crypto.ReadIdentities(path, nil, nil)
		require.NoError(t, err, name)
		require.Len(t, file.Identities, 1)
	}
}

// Wherever a private key was typed, no message repeats it.
func TestWithoutKeys(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	quantum, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	for key, start := range map[string]string{id.String(): "AGE-SECRET-KEY-1", quantum.String(): "AGE-SECRET-KEY-PQ-1", strings.ToLower(id.String()): "age-secret-key-1"} {
		text := fmt.Sprintf("opening %q: no such file or directory; unknown command %q", key, key)
		require.Equal(t, fmt.Sprintf("opening %q: no such file or directory; unknown command %q", start+"…", start+"…"), crypto.WithoutKeys(text))
	}
	require.Equal(t, "AGE-SECRET-KEY-1... is what it begins with", crypto.WithoutKeys("AGE-SECRET-KEY-1... is what it begins with"))
}
