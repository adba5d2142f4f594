package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"
)

// lockedError stops the search for a key: a locked identity was needed and
// could not be unlocked. age treats any error but ErrIncorrectIdentity so,
// unwrap takes Err out again.
type lockedError struct {
	Err error
}

func (e *lockedError) Error() string { return e.Err.Error() }
func (e *lockedError) Unwrap() error { return e.Err }

// locked makes the error of an identity that does not open. The file is
// encrypted to keys that this identity may well hold, so it is NoKeyError.
func locked(path string, stanzas []*age.Stanza, wrong bool) error {
	reason := "no passphrase was given for it"
	if wrong {
		reason = "the passphrase given for it is not the right one"
	}
	e := &NoKeyError{Identities: 1, Err: fmt.Errorf("identity file %q is locked, and %s", path, reason)}
	for _, s := range stanzas {
		e.Recipients = append(e.Recipients, s.Type)
	}
	return &lockedError{Err: e}
}

// lockedFile is an age file with identities in it.
type lockedFile struct {
	path       string
	data       []byte
	ask        Passphrase
	plugins    *plugin.ClientUI
	identities []age.Identity // once unlocked
}

// Unwrap unlocks the file at the first stanza that a key in it might open.
func (f *lockedFile) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	scrypt := func(s *age.Stanza) bool { return s.Type == "scrypt" }
	if slices.ContainsFunc(stanzas, scrypt) {
		return nil, age.ErrIncorrectIdentity // wants a passphrase, not a key
	}
	if f.identities == nil {
		if err := f.unlock(stanzas); err != nil {
			return nil, err
		}
	}
	for _, id := range f.identities {
		fileKey, err := id.Unwrap(stanzas)
		if !errors.Is(err, age.ErrIncorrectIdentity) {
			return fileKey, err
		}
	}
	return nil, age.ErrIncorrectIdentity
}

func (f *lockedFile) unlock(stanzas []*age.Stanza) error {
	plain, info, err := NewReader(bytes.NewReader(f.data), Keys{Passphrase: f.ask})
	var none *NoKeyError
	switch {
	case errors.As(err, &none) && isScrypt(info.Recipients):
		return locked(f.path, stanzas, none.Wrong)
	case errors.As(err, &none):
		return &lockedError{fmt.Errorf("identity file %q is not locked with a passphrase but encrypted to %s",
			f.path, describe(info.Recipients))}
	case err != nil:
		return &lockedError{fmt.Errorf("unlocking identity file %q: %w", f.path, err)}
	}
	data, err := io.ReadAll(io.LimitReader(plain, maxIdentityFile))
	if err != nil {
		return &lockedError{fmt.Errorf("unlocking identity file %q: %w", f.path, err)}
	}
	if f.identities, err = parseNative(data, f.plugins); err != nil {
		return &lockedError{fmt.Errorf("reading identity file %q: %w", f.path, err)}
	}
	return nil
}

// lockedSSH is agessh's identity with the error of the prompt kept apart:
// agessh restates it, and an interrupted prompt would no longer be one.
type lockedSSH struct {
	path   string
	key    *agessh.EncryptedSSHIdentity
	public ssh.PublicKey
	ask    Passphrase
	asked  bool
	err    error
}

func (l *lockedSSH) passphrase() ([]byte, error) {
	l.asked = true
	if l.ask == nil {
		return nil, errors.New("no passphrase was given")
	}
	var passphrase []byte
	passphrase, l.err = l.ask()
	return passphrase, l.err
}

// Unwrap asks for the passphrase only when a stanza names this key.
func (l *lockedSSH) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	l.asked, l.err = false, nil
	fileKey, err := l.key.Unwrap(stanzas)
	switch {
	case err == nil, errors.Is(err, age.ErrIncorrectIdentity):
		return fileKey, err
	case l.err != nil:
		return nil, &lockedError{fmt.Errorf("asking for the passphrase of %q: %w", l.path, l.err)}
	case l.asked && !l.unlocked(stanzas):
		return nil, locked(l.path, stanzas, l.ask != nil)
	}
	return nil, err
}

// unlocked tells whether the passphrase was right and the stanza is what did
// not open: an unlocked key does not ask again.
func (l *lockedSSH) unlocked(stanzas []*age.Stanza) bool {
	ask := l.ask
	l.ask, l.asked = nil, false
	_, _ = l.key.Unwrap(stanzas)
	l.ask = ask
	return !l.asked
}
