package crypto_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

var timeOfTests = time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)

func rekeyed(file []byte, open age.Identity, change crypto.Change) ([]byte, crypto.Rekeyed, error) {
	var out bytes.Buffer
	done, err := crypto.Rekey(&out, bytes.NewReader(file), crypto.Keys{Identities: []age.Identity{open}}, change)
	return out.Bytes(), done, err
}

// The payload keeps its bytes, the header gets new recipients, and age's own
// library is what says who can open the result.
func TestRekey(t *testing.T) {
	t.Parallel()
	old, other, fresh, pq := x25519(t), x25519(t), x25519(t), hybrid(t)
	plain := strings.Repeat(secretText, 10_000)
	file := encrypt(t, []byte(plain), old.Recipient(), other.Recipient())
	for name, c := range map[string]struct {
		change      crypto.Change
		opens, not  []age.Identity
		after, gone int
	}{
		"add":     {crypto.Change{Add: []crypto.Recipient{recipient(t, fresh.Recipient().String())}}, []age.Identity{old, other, fresh}, []age.Identity{pq}, 3, 0},
		"only":    {crypto.Change{Only: []crypto.Recipient{recipient(t, fresh.Recipient().String())}}, []age.Identity{fresh}, []age.Identity{old, other}, 1, 0},
		"only pq": {crypto.Change{Only: []crypto.Recipient{recipient(t, pq.Recipient().String())}}, []age.Identity{pq}, []age.Identity{old, other}, 1, 0},
		"drop":    {crypto.Change{Drop: []age.Identity{other}}, []age.Identity{old}, []age.Identity{other}, 1, 1},
		"drop the one in hand": {crypto.Change{Drop: []age.Identity{old}, Add: []crypto.Recipient{recipient(t, fresh.Recipient().String())}},
			[]age.Identity{other, fresh}, []age.Identity{old}, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, done, err := rekeyed(file, old, c.change)
			require.NoError(t, err)
			require.Len(t, done.After, c.after)
			require.Equal(t, c.gone, done.Dropped)
			for _, id := range c.opens {
				require.Equal(t, plain, decryptWith(t, got, id))
			}
			for _, id := range c.not {
				_, err := age.Decrypt(bytes.NewReader(got), id)
				require.Error(t, err)
			}
			payload := int(done.Payload)
			require.True(t, bytes.Equal(file[len(file)-payload:], got[len(got)-payload:]), "the payload was touched")
		})
	}
}

func TestRekeyRefuses(t *testing.T) {
	t.Parallel()
	old, stranger, pq := x25519(t), x25519(t), hybrid(t)
	file := encrypt(t, []byte(secretText), old.Recipient())
	locked := encrypt(t, []byte(secretText), scrypt(t, secretText))
	toPQ, toOld := recipient(t, pq.Recipient().String()), recipient(t, old.Recipient().String())

	_, _, err := rekeyed(file, stranger, crypto.Change{Add: []crypto.Recipient{toOld}})
	require.ErrorIs(t, err, crypto.ErrNoKey)
	out, _, err := rekeyed(file, old, crypto.Change{Add: []crypto.Recipient{toPQ}})
	require.ErrorIs(t, err, crypto.ErrRecipients, "hybrid beside classic")
	require.Empty(t, out)
	_, _, err = rekeyed(file, old, crypto.Change{Drop: []age.Identity{old}})
	require.ErrorIs(t, err, crypto.ErrRecipients, "nobody left")
	_, _, err = rekeyed(file, old, crypto.Change{Drop: []age.Identity{stranger}})
	require.ErrorIs(t, err, crypto.ErrNothingToDrop)
	_, _, err = rekeyed([]byte("plain text"), old, crypto.Change{Add: []crypto.Recipient{toOld}})
	require.ErrorIs(t, err, crypto.ErrNotEncrypted)

	var got bytes.Buffer
	keys := crypto.Keys{Passphrase: func() ([]byte, error) { return []byte(secretText), nil }}
	_, err = crypto.Rekey(&got, bytes.NewReader(locked), keys, crypto.Change{Add: []crypto.Recipient{toOld}})
	require.ErrorIs(t, err, crypto.ErrRecipients, "a key beside a passphrase")
	_, err = crypto.Rekey(&got, bytes.NewReader(locked), keys, crypto.Change{Only: []crypto.Recipient{toPQ}})
	require.NoError(t, err)
	require.Equal(t, secretText, decryptWith(t, got.Bytes(), pq))
}

// A post-quantum file takes further post-quantum keys, and no others: one of those
// would give away what the first ones protect.
func TestRekeyPostQuantum(t *testing.T) {
	t.Parallel()
	old, more, classic := hybrid(t), hybrid(t), x25519(t)
	toOld, toMore, toClassic := recipient(t, old.Recipient().String()), recipient(t, more.Recipient().String()), recipient(t, classic.Recipient().String())
	file := encrypt(t, []byte(secretText), old.Recipient())
	got, done, err := rekeyed(file, old, crypto.Change{Add: []crypto.Recipient{toMore}})
	require.NoError(t, err)
	require.Len(t, done.After, 2)
	for _, id := range []age.Identity{old, more} {
		require.Equal(t, secretText, decryptWith(t, got, id))
	}
	for name, change := range map[string]crypto.Change{
		"a classic key":         {Add: []crypto.Recipient{toClassic}},
		"both, and none before": {Only: []crypto.Recipient{toOld, toClassic}},
		"the other way round":   {Only: []crypto.Recipient{toClassic, toOld}},
		// Of a plugin's keys the labels alone tell.
		"a plugin's classic key":     {Add: []crypto.Recipient{pluginLike(32)}},
		"a plugin's key, then these": {Only: []crypto.Recipient{pluginLike(32), toOld}},
		"these, then a plugin's key": {Only: []crypto.Recipient{toOld, pluginLike(32)}},
		"a plugin's labelled key":    {Only: []crypto.Recipient{pluginLike(32, "postquantum"), toClassic}},
	} {
		out, _, err := rekeyed(file, old, change)
		require.ErrorIs(t, err, crypto.ErrRecipients, name)
		require.Empty(t, out, name)
	}
	for name, change := range map[string]crypto.Change{
		"a plugin's labelled key": {Add: []crypto.Recipient{pluginLike(32, "postquantum")}},
		"labels in any order":     {Only: []crypto.Recipient{pluginLike(32, "postquantum", "a"), pluginLike(32, "a", "postquantum")}},
	} {
		_, _, err = rekeyed(file, old, change)
		require.NoError(t, err, name)
	}
}

// pluginLike makes stanzas with so many bytes, as plugins may.
func pluginLike(size int, labels ...string) crypto.Recipient {
	return crypto.Recipient{Recipient: odd{size, labels}, Text: "age1odd1", Type: "plugin odd"}
}

type odd struct {
	size   int
	labels []string
}

func (o odd) Wrap([]byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: "odd", Args: []string{"x", "y"}, Body: payload(o.size)}}, nil
}

func (o odd) WrapWithLabels(key []byte) ([]*age.Stanza, []string, error) {
	stanzas, err := o.Wrap(key)
	return stanzas, o.labels, err
}

// Stanzas of any length are written as age reads them: lines of 64 columns, and
// a shorter one at the end, which may be empty.
func TestRekeyStanzasOfAnyLength(t *testing.T) {
	t.Parallel()
	old := x25519(t)
	file := encrypt(t, []byte(secretText), old.Recipient())
	for _, size := range []int{0, 1, 45, 47, 48, 49, 95, 96, 97, 256} {
		got, _, err := rekeyed(file, old, crypto.Change{Add: []crypto.Recipient{pluginLike(size)}})
		require.NoError(t, err, size)
		require.Equal(t, secretText, decryptWith(t, got, old))
		var header asked
		_, err = age.Decrypt(bytes.NewReader(got), &header)
		require.Error(t, err)
		require.Equal(t, []string{"x", "y"}, header[1].Args, size)
		require.Equal(t, string(payload(size)), string(header[1].Body), size)
	}
}

// asked are the stanzas that age asked an identity about.
type asked []*age.Stanza

func (a *asked) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	*a = stanzas
	return nil, age.ErrIncorrectIdentity
}

// A key to drop that stays locked is not one that opens nothing.
func TestRekeyDropsNoLockedKey(t *testing.T) {
	t.Parallel()
	old, gone := x25519(t), x25519(t)
	locked, err := crypto.ReadIdentities(identityFile(t, encrypt(t, []byte(gone.String()), scrypt(t, secretText)), 0o600), passphrase("wrong"), nil)
	require.NoError(t, err)
	file := encrypt(t, []byte(secretText), old.Recipient(), gone.Recipient())
	_, _, err = rekeyed(file, old, crypto.Change{Drop: locked.Identities})
	require.ErrorIs(t, err, crypto.ErrNoKey)
	require.ErrorContains(t, err, "is locked")
}

// Cut anywhere, a file is not re-keyed without a word.
func TestRekeySeesCuts(t *testing.T) {
	t.Parallel()
	old := x25519(t)
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk} {
		file := encrypt(t, make([]byte, size), old.Recipient())
		change := crypto.Change{Add: []crypto.Recipient{recipient(t, x25519(t).Recipient().String())}}
		_, _, err := rekeyed(file, old, change)
		require.NoError(t, err, size)
		for _, cut := range []int{1, 10, 16} {
			_, _, err := rekeyed(file[:len(file)-cut], old, change)
			require.ErrorIs(t, err, crypto.ErrDamaged, "size %d cut %d", size, cut)
		}
		for cut := range 200 {
			_, _, err := rekeyed(file[:cut], old, change)
			require.Error(t, err, "size %d, %d bytes", size, cut)
		}
	}
}

// A disk that is full, or that cannot be read, is no damage of the file.
func TestRekeyPassesErrorsOn(t *testing.T) {
	t.Parallel()
	old, disk := x25519(t), errors.New("the disk")
	keys := crypto.Keys{Identities: []age.Identity{old}}
	change := crypto.Change{Add: []crypto.Recipient{recipient(t, x25519(t).Recipient().String())}}
	for _, file := range [][]byte{encrypt(t, payload(3*chunk), old.Recipient()), encryptArmored(t, payload(3*chunk), old.Recipient())} {
		for _, room := range []int{0, 10, 100, 1000, chunk, 2 * chunk} {
			_, err := crypto.Rekey(&limited{room: room, err: disk}, bytes.NewReader(file), keys, change)
			require.ErrorIs(t, err, disk, "room for %d", room)
			require.NotErrorIs(t, err, crypto.ErrDamaged, "room for %d", room)
			src := io.MultiReader(bytes.NewReader(file[:room]), iotest.ErrReader(disk))
			_, err = crypto.Rekey(io.Discard, src, keys, change)
			require.ErrorIs(t, err, disk, "%d bytes could be read", room)
			require.NotErrorIs(t, err, crypto.ErrDamaged, "%d bytes could be read", room)
		}
	}
}

func TestRekeyKeepsArmorAndSSH(t *testing.T) {
	t.Parallel()
	old, fresh := x25519(t), x25519(t)
	file := encryptArmored(t, []byte(secretText), old.Recipient())
	got, _, err := rekeyed(file, old, crypto.Change{Only: []crypto.Recipient{recipient(t, fresh.Recipient().String())}})
	require.NoError(t, err)
	binary, err := io.ReadAll(armor.NewReader(bytes.NewReader(got)))
	require.NoError(t, err)
	require.Equal(t, secretText, decryptWith(t, binary, fresh))

	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	path, _ := sshKey(t, key, "")
	ssh, err := crypto.ReadIdentities(path, nil, nil)
	require.NoError(t, err)
	to, err := ssh.Public()
	require.NoError(t, err)
	got, _, err = rekeyed(binary, fresh, crypto.Change{Add: to})
	require.NoError(t, err)
	require.Equal(t, secretText, decryptWith(t, got, ssh.Identities[0]))
	_, done, err := rekeyed(got, ssh.Identities[0], crypto.Change{Drop: ssh.Identities})
	require.NoError(t, err)
	require.Equal(t, []string{"X25519"}, done.After)
}

// Whatever header comes in, what comes out is one that age takes, holding the
// same payload.
func FuzzRekeyHeader(f *testing.F) {
	const key = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
	old, err := age.ParseX25519Identity(key)
	require.NoError(f, err)
	f.Add(encrypt(f, []byte("x"), old.Recipient()))
	f.Add(encrypt(f, nil, old.Recipient(), old.Recipient()))
	f.Add(encryptArmored(f, []byte("x"), old.Recipient()))
	f.Add([]byte("age-encryption.org/v1\n-> X25519 a b\n\n--- "))
	fresh, err := age.GenerateX25519Identity()
	require.NoError(f, err)
	to, err := crypto.ParseRecipient(fresh.Recipient().String(), nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, done, err := rekeyed(data, old, crypto.Change{Add: []crypto.Recipient{to}})
		if err != nil {
			return
		}
		require.Len(t, done.After, len(done.Before)+1)
		var r io.Reader = bytes.NewReader(got)
		if bytes.HasPrefix(bytes.TrimSpace(got), []byte("-----BEGIN")) {
			r = armor.NewReader(r)
		}
		header, err := age.ExtractHeader(r)
		require.NoError(t, err)
		_, err = age.DecryptHeader(header, fresh)
		require.NoError(t, err)
		_, err = age.DecryptHeader(header, old)
		require.NoError(t, err)
	})
}
