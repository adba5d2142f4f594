package interop

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	vectors "c2sp.org/CCTV/age"
	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// vector is one of C2SP's files: what to expect, how to open it, and the bytes.
type vector struct {
	expect, payload string
	identities      []age.Identity
	passphrase      string
	armored         bool
	file            []byte
}

func parseVector(t *testing.T, data []byte) vector {
	t.Helper()
	v := vector{}
	compressed := false
	for {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		require.True(t, ok)
		data = rest
		if len(line) == 0 {
			break
		}
		key, value, _ := strings.Cut(string(line), ": ")
		switch key {
		case "expect":
			v.expect = value
		case "payload":
			v.payload = value
		case "identity":
			ids, err := age.ParseIdentities(strings.NewReader(value))
			require.NoError(t, err)
			v.identities = append(v.identities, ids...)
		case "passphrase":
			v.passphrase = value
		case "armored":
			v.armored = value == "yes"
		case "compressed":
			compressed = value == "zlib"
		}
	}
	if compressed {
		z, err := zlib.NewReader(bytes.NewReader(data))
		require.NoError(t, err)
		data, err = io.ReadAll(z)
		require.NoError(t, err)
	}
	v.file = data
	return v
}

func (v vector) keys() crypto.Keys {
	keys := crypto.Keys{Identities: v.identities}
	if v.passphrase != "" {
		keys.Passphrase = func() ([]byte, error) { return []byte(v.passphrase), nil }
	}
	return keys
}

// Every vector through decryption and through rekey: what age accepts is
// accepted with the same plaintext, everything else is an error.
func TestVectors(t *testing.T) {
	fresh, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	to, err := crypto.ParseRecipient(fresh.Recipient().String(), nil)
	require.NoError(t, err)
	n := 0
	require.NoError(t, fs.WalkDir(vectors.Vectors, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(vectors.Vectors, name)
		if err != nil {
			return err
		}
		n++
		t.Run(name, func(t *testing.T) {
			v := parseVector(t, data)
			got, err := decrypt(v)
			if v.expect == "success" {
				require.NoError(t, err)
				requirePayload(t, v, got)
			} else {
				require.Error(t, err)
				require.True(t, errors.Is(err, crypto.ErrDamaged) || errors.Is(err, crypto.ErrNoKey) || errors.Is(err, crypto.ErrPolicy), "%s: %v", v.expect, err)
			}
			rekeyVector(t, v, to, fresh)
		})
		return nil
	}))
	require.Greater(t, n, 100)
}

func decrypt(v vector) ([]byte, error) {
	r, info, err := crypto.NewReader(bytes.NewReader(v.file), v.keys())
	if err != nil {
		return nil, err
	}
	if !info.Encrypted { // told by its first bytes that it is no age file
		return nil, &crypto.DamagedError{Layer: "age", Err: errors.New("not an age file")}
	}
	return io.ReadAll(r)
}

// rekeyVector: a header that age refuses is never re-keyed; a payload that is
// damaged stays so, since it is not looked into.
func rekeyVector(t *testing.T, v vector, to crypto.Recipient, fresh *age.X25519Identity) {
	t.Helper()
	var out bytes.Buffer
	_, err := crypto.Rekey(&out, bytes.NewReader(v.file), v.keys(), crypto.Change{Only: []crypto.Recipient{to}})
	switch v.expect {
	case "success":
		require.NoError(t, err)
	case "payload failure":
	default:
		require.Error(t, err, v.expect)
		return
	}
	if err != nil {
		return
	}
	var file io.Reader = &out
	if v.armored {
		file = armor.NewReader(&out)
	}
	plain, err := age.Decrypt(file, fresh)
	var got []byte
	if err == nil {
		got, err = io.ReadAll(plain)
	}
	if v.expect == "success" {
		require.NoError(t, err)
		requirePayload(t, v, got)
	} else {
		require.Error(t, err)
	}
}

func requirePayload(t *testing.T, v vector, got []byte) {
	t.Helper()
	sum := sha256.Sum256(got)
	require.Equal(t, v.payload, hex.EncodeToString(sum[:]))
}
