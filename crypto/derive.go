package crypto

import (
	"crypto/hkdf"
	"crypto/sha256"

	"filippo.io/age"
)

// DerivedSize is the length of a derived key.
const DerivedSize = 32

// Derive gives a key for another purpose than opening archives, which can be made
// only by who holds the same private key: the first of age's own among the
// identities. nil without one: SSH keys, locked files and plugins are not asked.
//
// It tells nothing about the key that it comes from.
func Derive(identities []age.Identity, purpose string) []byte {
	for _, id := range identities {
		var secret string
		switch id := id.(type) {
		case *age.X25519Identity:
			secret = id.String()
		case *age.HybridIdentity:
			secret = id.String()
		default:
			continue
		}
		derived, err := hkdf.Key(sha256.New, []byte(secret), nil, "lifeboat "+purpose, DerivedSize)
		if err != nil { // of a length that HKDF does not have
			return nil
		}
		return derived
	}
	return nil
}
