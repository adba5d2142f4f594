package crypto

import (
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Writer encrypts what is written to it, as age does. Close ends the file:
// without it the last chunk is missing and nobody can read it to its end.
type Writer struct {
	payload io.WriteCloser
	armor   io.Closer // nil for a binary file
	key     *keepKey
}

// NewWriter begins an age file on dst. Everybody in list can open it; nobody
// can tell from it who wrote it.
//
// Errors: ErrRecipients for none, or for some that do not go together; errors
// of dst come through wrapped.
func NewWriter(dst io.Writer, armored bool, list ...Recipient) (*Writer, error) {
	var types []string
	for _, r := range list {
		types = append(types, r.Type)
	}
	if err := checkTogether(types); err != nil {
		return nil, err
	}
	w := &Writer{key: &keepKey{to: list[0].Recipient}}
	if armored {
		a := armor.NewWriter(dst)
		dst, w.armor = a, a
	}
	to := []age.Recipient{w.key}
	for _, r := range list[1:] {
		to = append(to, r.Recipient)
	}
	var err error
	if w.payload, err = age.Encrypt(dst, to...); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return w, nil
}

// Write encrypts p.
func (w *Writer) Write(p []byte) (int, error) { return w.payload.Write(p) }

// Close writes the last chunk. It does not close dst.
func (w *Writer) Close() error {
	if err := w.payload.Close(); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	if w.armor != nil {
		if err := w.armor.Close(); err != nil {
			return fmt.Errorf("encrypting: %w", err)
		}
	}
	return nil
}

// Identity opens this one file again, so that it can be read back where no
// private key is at hand, as on the host that makes backups. It lives as long
// as the process and no longer.
func (w *Writer) Identity() age.Identity {
	return age.NewInjectedFileKeyIdentity(w.key.file)
}

// keepKey is a recipient that remembers the file key.
type keepKey struct {
	to   age.Recipient
	file []byte
}

var _ age.RecipientWithLabels = (*keepKey)(nil)

func (k *keepKey) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	k.file = bytes.Clone(fileKey)
	return k.to.Wrap(fileKey)
}

func (k *keepKey) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	if labeled, ok := k.to.(age.RecipientWithLabels); ok {
		k.file = bytes.Clone(fileKey)
		return labeled.WrapWithLabels(fileKey)
	}
	stanzas, err := k.Wrap(fileKey)
	return stanzas, nil, err
}
