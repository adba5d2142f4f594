package crypto_test

import (
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// A derived key is the same for the same key and purpose, and for no other.
func TestDerive(t *testing.T) {
	t.Parallel()
	one, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	two, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	first := crypto.Derive([]age.Identity{one, two}, "cache")
	require.Len(t, first, crypto.DerivedSize)
	require.Equal(t, first, crypto.Derive([]age.Identity{one}, "cache"))
	require.NotEqual(t, first, crypto.Derive([]age.Identity{one}, "name"))
	require.NotEqual(t, first, crypto.Derive([]age.Identity{two}, "cache"))
	require.Len(t, crypto.Derive([]age.Identity{two}, "cache"), crypto.DerivedSize)
	require.Nil(t, crypto.Derive(nil, "cache"))
	scrypt, err := age.NewScryptIdentity("hunter2")
	require.NoError(t, err)
	require.Nil(t, crypto.Derive([]age.Identity{scrypt}, "cache"))
}
