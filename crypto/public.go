package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

// Public gives the recipients that the file's identities belong to. A file
// that is locked with a passphrase is unlocked for it; a locked SSH key shows
// its public half by itself.
func (f *IdentityFile) Public() ([]Recipient, error) {
	var list []Recipient
	for _, id := range f.Identities {
		found, err := publicOf(id)
		if err != nil {
			return nil, fmt.Errorf("reading identities from %q: %w", f.Path, err)
		}
		list = append(list, found...)
	}
	return list, nil
}

func publicOf(id age.Identity) ([]Recipient, error) {
	var text string
	switch id := id.(type) {
	case *age.X25519Identity:
		text = id.Recipient().String()
	case *age.HybridIdentity:
		text = id.Recipient().String()
	case *openSSH:
		text = string(ssh.MarshalAuthorizedKey(id.public))
	case *lockedSSH:
		text = string(ssh.MarshalAuthorizedKey(id.public))
	case *lockedFile:
		if id.identities == nil {
			if err := id.unlock(nil); err != nil {
				return nil, err
			}
		}
		inner := IdentityFile{Path: id.path, Identities: id.identities}
		return inner.Public()
	case *pluginKey:
		return nil, fmt.Errorf("its recipient is for plugin %s to tell: see age-plugin-%s --help", id.key.Name(), id.key.Name())
	default:
		return nil, fmt.Errorf("no public half of a %T is known", id)
	}
	r, err := ParseRecipient(text, nil)
	return []Recipient{r}, err
}

// headSize is room for age's largest header (2 MiB, filippo.io/age) and some
// chunks behind it, armored with CRLF: 66 characters for 48 bytes.
const headSize = (2<<20 + 4*sealedSize) / 48 * 66

// ReadHead reads as much of an age file as Opens has to see; src may be a pipe.
func ReadHead(src io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(src, headSize))
}

// Opens reports for each identity whether it opens the age file that begins
// with head: its header, and the first 64 KiB behind it. That proves the key,
// not that the file is whole.
//
// Errors: ErrNotEncrypted, *DamagedError, *PolicyError. A locked identity that
// could not be unlocked is a *NoKeyError.
func Opens(head []byte, identities []age.Identity) (Info, []bool, error) {
	fits := make([]bool, len(identities))
	var info Info
	for i, id := range identities {
		plain, found, err := NewReader(bytes.NewReader(head), Keys{Identities: []age.Identity{id}})
		info = found
		if err == nil && !info.Encrypted {
			err = ErrNotEncrypted
		}
		if err == nil {
			_, err = plain.Read(make([]byte, 1)) // of an empty file, too, age gives the end later
		}
		var none *NoKeyError
		switch {
		case err == nil:
			fits[i] = true
		case !errors.As(err, &none) || none.Err != nil:
			return info, nil, err
		}
	}
	return info, fits, nil
}
