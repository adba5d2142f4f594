package crypto

import (
	"bytes"
	"fmt"
	"time"

	"filippo.io/age"
)

// GenerateIdentity makes a private key as age-keygen does, the content of an
// identity file: X25519, or hybrid with ML-KEM-768 when pq. A lock, if one is
// given, encrypts the file to it, armored; opening it takes that passphrase.
func GenerateIdentity(pq bool, created time.Time, lock *Recipient) (file []byte, public Recipient, err error) {
	var private, text string
	if pq {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return nil, Recipient{}, fmt.Errorf("generating an identity: %w", err)
		}
		private, text = id.String(), id.Recipient().String()
	} else {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, Recipient{}, fmt.Errorf("generating an identity: %w", err)
		}
		private, text = id.String(), id.Recipient().String()
	}
	if public, err = ParseRecipient(text, nil); err != nil {
		return nil, Recipient{}, err
	}
	file = fmt.Appendf(nil, "# created: %s\n# public key: %s\n%s\n", created.Format(time.RFC3339), text, private)
	if lock == nil {
		return file, public, nil
	}
	var locked bytes.Buffer
	w, err := NewWriter(&locked, true, *lock)
	if err != nil {
		return nil, Recipient{}, err
	}
	if _, err := w.Write(file); err != nil {
		return nil, Recipient{}, err
	}
	if err := w.Close(); err != nil {
		return nil, Recipient{}, err
	}
	return locked.Bytes(), public, nil
}
