package crypto_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// TestMain is age-plugin-sealed as well, under that name in the PATH.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "age-plugin-sealed" {
		os.Exit(sealedPlugin())
	}
	os.Exit(withPlugin(m))
}

func withPlugin(m *testing.M) int {
	own, err := os.Executable()
	dir, dirErr := os.MkdirTemp("", "plugins")
	if err = errors.Join(err, dirErr); err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = os.Symlink(own, filepath.Join(dir, "age-plugin-sealed"))
	}
	if err = errors.Join(err, os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))); err != nil {
		fmt.Fprintln(os.Stderr, "making a plugin:", err)
		return 2
	}
	return m.Run()
}

// sealedPlugin is X25519 under a stanza type of its own.
func sealedPlugin() int {
	p, err := plugin.New("sealed")
	if err != nil {
		return 2
	}
	p.RegisterFlags(flag.CommandLine)
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		key, err := age.ParseX25519Recipient(string(data))
		return sealedRecipient{key}, err
	})
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		if string(data) == "lost" {
			return sealedIdentity{}, nil
		}
		key, err := age.ParseX25519Identity(string(data))
		return sealedIdentity{key}, err
	})
	return p.Main()
}

type sealedRecipient struct{ key *age.X25519Recipient }

func (s sealedRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, err := s.key.Wrap(fileKey)
	for _, stanza := range stanzas {
		stanza.Type = "sealed"
	}
	return stanzas, err
}

type sealedIdentity struct{ key *age.X25519Identity }

func (s sealedIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if s.key == nil {
		return nil, errors.New("the token is lost")
	}
	for _, stanza := range stanzas {
		if stanza.Type == "sealed" {
			stanza.Type = "X25519"
		}
	}
	return s.key.Unwrap(stanzas)
}

// A plugin's key opens what was encrypted to it, from the beginning and later; one
// that does not fit, or that fails, leaves the file closed, and not damaged.
func TestPluginOpens(t *testing.T) {
	t.Parallel()
	mine, other, ui := x25519(t), x25519(t), &plugin.ClientUI{}
	to, err := crypto.ParseRecipient(plugin.EncodeRecipient("sealed", []byte(mine.Recipient().String())), ui)
	require.NoError(t, err)
	key := func(secret string) []age.Identity {
		file, err := crypto.ReadIdentities(identityFile(t, []byte(plugin.EncodeIdentity("sealed", []byte(secret))), 0o600), nil, ui)
		require.NoError(t, err)
		return file.Identities
	}
	sealed, _ := write(t, false, payload(100), to)
	later, done, err := rekeyed(encrypt(t, payload(100), other.Recipient()), other, crypto.Change{Add: []crypto.Recipient{to}})
	require.NoError(t, err)
	require.Equal(t, []string{"X25519", "sealed"}, done.After)
	for _, file := range [][]byte{sealed, later} {
		got, _, err := open(file, crypto.Keys{Identities: key(mine.String())})
		require.NoError(t, err)
		require.Equal(t, payload(100), got)
		_, fits, err := crypto.Opens(file, append(key(mine.String()), key(x25519(t).String())...))
		require.NoError(t, err)
		require.Equal(t, []bool{true, false}, fits)
		_, _, err = open(file, crypto.Keys{Identities: key("lost")})
		require.ErrorIs(t, err, crypto.ErrNoKey)
		require.ErrorContains(t, err, "the token is lost")
		require.NotErrorIs(t, err, crypto.ErrDamaged)
	}
	without, _, err := rekeyed(later, other, crypto.Change{Drop: key(mine.String())})
	require.NoError(t, err)
	_, _, err = open(without, crypto.Keys{Identities: key(mine.String())})
	require.ErrorIs(t, err, crypto.ErrNoKey)
	require.True(t, bytes.Contains(without, []byte("-> X25519 ")))
}
