package crypto_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// soak multiplies the loops of random tests.
func soak(n int) int {
	if factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && factor > 0 {
		return n * factor
	}
	return n
}

// headerSize is where age's header ends: after the line of its MAC.
func headerSize(t testing.TB, file []byte) int {
	t.Helper()
	mac := bytes.Index(file, []byte("\n--- "))
	require.Positive(t, mac)
	return mac + 1 + bytes.IndexByte(file[mac+1:], '\n') + 1
}

// A file cut anywhere is damaged, and never gives io.EOF: neither is part of a
// backup taken for all of it, nor is a cut header taken for something else.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	keys := crypto.Keys{Identities: []age.Identity{id}}
	file := encrypt(t, payload(2*chunk+100), id.Recipient())
	header := headerSize(t, file)

	cuts := []int{header + 16 + chunk + 15, header + 16 + chunk + 16, header + 16 + chunk + 17, header + 16 + 2*(chunk+16), len(file) - 1}
	for n := len("age-"); n < header+40; n++ {
		cuts = append(cuts, n)
	}
	for _, n := range cuts {
		plain, info, err := open(file[:n], keys)
		var damaged *crypto.DamagedError
		require.ErrorAs(t, err, &damaged, "cut at %d", n)
		require.Equal(t, "age", damaged.Layer)
		require.True(t, info.Encrypted)
		require.True(t, bytes.HasPrefix(payload(2*chunk+100), plain), "cut at %d: what came out is not authentic", n)
		require.LessOrEqual(t, damaged.Offset, int64(n))
	}
	_, _, err := open(file[:header+16+chunk+16], keys)
	require.ErrorContains(t, err, fmt.Sprintf("offset %d: chunk 1: the file was cut short", header+16+chunk+16))
}

// One flipped bit, anywhere, is seen. In a stanza it cannot be told from a
// key that does not fit.
func TestOneBitFlipped(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	keys := crypto.Keys{Identities: []age.Identity{id}}
	file := encrypt(t, payload(chunk+100), id.Recipient())
	header := headerSize(t, file)
	check := func(at, bit int) error {
		bad := bytes.Clone(file)
		bad[at] ^= 1 << bit
		plain, _, err := open(bad, keys)
		require.Error(t, err, "byte %d bit %d", at, bit)
		require.True(t, bytes.HasPrefix(payload(chunk+100), plain))
		return err
	}
	for at := range header {
		for bit := range 8 {
			err := check(at, bit)
			if at < len("age-encryption.org/v1\n") || at >= header-len("--- ") {
				require.ErrorIs(t, err, crypto.ErrDamaged, "byte %d bit %d", at, bit)
			}
		}
	}
	for at := header; at < len(file); at += 997 {
		require.ErrorIs(t, check(at, at%8), crypto.ErrDamaged, "byte %d", at)
	}
	var damaged *crypto.DamagedError
	require.ErrorAs(t, check(header+16+chunk+16+3, 0), &damaged)
	require.Equal(t, int64(header+16+chunk+16), damaged.Offset, "the second chunk begins here")
}

func TestBytesAfterTheEnd(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	for _, n := range []int{0, 10, chunk, chunk + 1} {
		for _, more := range []string{"\x00", "more", strings.Repeat("x", chunk+16)} {
			file := append(encrypt(t, payload(n), id.Recipient()), more...)
			_, _, err := open(file, crypto.Keys{Identities: []age.Identity{id}})
			require.ErrorIs(t, err, crypto.ErrDamaged, "%d bytes and %d more", n, len(more))
		}
	}
}

// scryptHeader is a header that asks for a passphrase at a given cost.
func scryptHeader(factor string) []byte {
	return []byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA " + factor + "\n" +
		strings.Repeat("A", 43) + "\n--- " + strings.Repeat("A", 43) + "\n" + strings.Repeat("x", 100))
}

// The price of a passphrase is looked at before anyone is asked for it.
func TestHostileScrypt(t *testing.T) {
	t.Parallel()
	for _, factor := range []string{"21", "22", "30", "63", "99999999999999999999", strings.Repeat("9", 4000)} {
		_, _, err := open(scryptHeader(factor), crypto.Keys{Passphrase: never(t)})
		require.ErrorIs(t, err, crypto.ErrPolicy, factor)
		require.ErrorContains(t, err, "work factor")
		require.Less(t, len(err.Error()), 400)
	}
	for _, factor := range []string{"0", "018", "-1", "x", "10 10"} {
		_, _, err := open(scryptHeader(factor), crypto.Keys{Passphrase: never(t)})
		require.ErrorIs(t, err, crypto.ErrDamaged, factor)
	}
	mixed := []byte(strings.Replace(string(scryptHeader("4")), "-> scrypt", "-> other\n\n-> scrypt", 1))
	_, _, err := open(mixed, crypto.Keys{Passphrase: never(t)})
	require.ErrorIs(t, err, crypto.ErrPolicy)
}

// Errors stay short, whatever the header holds.
func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	stanza := "-> grease\n\n"
	for name, header := range map[string]string{
		"another version":  "age-encryption.org/v2\n-> X25519 a\n",
		"two thousand":     "age-encryption.org/v1\n" + strings.Repeat(stanza, 2000) + "--- " + strings.Repeat("A", 43) + "\n",
		"three megabytes":  "age-encryption.org/v1\n-> " + strings.Repeat("A", 3<<20),
		"no stanza":        "age-encryption.org/v1\n--- " + strings.Repeat("A", 43) + "\n",
		"terminal escapes": "age-encryption.org/v1\n-> \x1b[2J\n",
	} {
		_, _, err := open([]byte(header), crypto.Keys{Identities: []age.Identity{x25519(t)}})
		require.ErrorIs(t, err, crypto.ErrDamaged, name)
		require.Less(t, len(err.Error()), 500, name)
		require.NotContains(t, err.Error(), "\x1b", name)
	}
	foreign := "age-encryption.org/v1\n" + strings.Repeat("-> piv-p256 "+strings.Repeat("A", 500)+"\n\n", 900) +
		"-> " + strings.Repeat("T", 2000) + "\n\n--- " + strings.Repeat("A", 43) + "\n"
	_, _, err := open([]byte(foreign), crypto.Keys{Identities: []age.Identity{x25519(t)}})
	require.ErrorIs(t, err, crypto.ErrNoKey)
	require.ErrorContains(t, err, "piv-p256 (900)")
	require.Less(t, len(err.Error()), 500)
}

// What others say of what went wrong may be megabytes of the file, or of a plugin.
func TestErrorsStayShort(t *testing.T) {
	t.Parallel()
	short, long := strings.Repeat("x", 300), strings.Repeat("ж", 5000)
	for _, of := range []func(err error) error{
		func(err error) error { return &crypto.DamagedError{Layer: "age", Err: err} },
		func(err error) error { return &crypto.NoKeyError{Recipients: []string{"X25519"}, Err: err} },
	} {
		require.True(t, strings.HasSuffix(of(errors.New(short)).Error(), ": "+short))
		text := of(errors.New(long)).Error()
		require.Less(t, len(text), 400)
		require.True(t, strings.HasSuffix(text, "жж…"))
		require.True(t, utf8.ValidString(text))
	}
}

// Whatever is encrypted comes out again, read in whatever pieces.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	id := x25519(t)
	for range soak(1) {
		rapid.Check(t, func(t *rapid.T) {
			want := payload(rapid.IntRange(0, 3*chunk).Draw(t, "size"))
			var sealed bytes.Buffer
			w, err := age.Encrypt(&sealed, id.Recipient())
			require.NoError(t, err)
			_, err = w.Write(want)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			r, _, err := crypto.NewReader(&sealed, crypto.Keys{Identities: []age.Identity{id}})
			require.NoError(t, err)
			piece := make([]byte, rapid.IntRange(1, 100_000).Draw(t, "piece"))
			var got bytes.Buffer
			_, err = io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, piece)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got.Bytes()))
		})
	}
}

// FuzzReader feeds what no age wrote. Plain input comes out as it went in;
// encrypted input gives authentic bytes or an error, quickly.
func FuzzReader(f *testing.F) {
	id := x25519(f)
	file := encrypt(f, payload(300), id.Recipient())
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(encryptArmored(f, payload(300), id.Recipient()))
	f.Add(scryptHeader("4"))
	f.Add(scryptHeader("22"))
	f.Add([]byte("\n \n-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, src []byte) {
		keys := crypto.Keys{Identities: []age.Identity{id}} // no passphrase: scrypt is slow on purpose
		plain, info, err := open(src, keys)
		switch {
		case !info.Encrypted:
			require.NoError(t, err)
			require.True(t, bytes.Equal(src, plain))
		case err == nil:
			require.True(t, bytes.Equal(payload(300), plain), "only what was encrypted to this key opens")
		default:
			require.Less(t, len(err.Error()), 1000)
		}
	})
}

// A line of an armored file that does not end is refused before it is collected.
func TestArmorLineWithoutEnd(t *testing.T) {
	t.Parallel()
	src := "-----BEGIN AGE ENCRYPTED FILE-----\n" + strings.Repeat("A", 5000)
	_, _, err := crypto.NewReader(strings.NewReader(src), crypto.Keys{Identities: []age.Identity{x25519(t)}})
	require.ErrorIs(t, err, crypto.ErrDamaged)
	require.ErrorContains(t, err, "a line is longer than 4096 bytes")
}
