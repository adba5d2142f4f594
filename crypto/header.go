package crypto

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"filippo.io/age"
)

// inspector is an identity that fits nothing and remembers what it was asked:
// age's way of showing a header without parsing it twice.
type inspector struct {
	stanzas []*age.Stanza
}

func (i *inspector) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	i.stanzas = stanzas
	return nil, age.ErrIncorrectIdentity
}

// stanzasOf lists the recipients of a header.
func stanzasOf(header []byte) ([]*age.Stanza, error) {
	var i inspector
	var none *age.NoIdentityMatchError
	if _, err := age.DecryptHeader(header, &i); !errors.As(err, &none) {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	return i.stanzas, nil
}

var decimal = regexp.MustCompile(`^[1-9][0-9]*$`)

// checkScrypt looks at what a passphrase would cost before anyone is asked
// for it, and returns the work factor (0 without scrypt).
func checkScrypt(stanzas []*age.Stanza) (int, error) {
	for _, s := range stanzas {
		if s.Type != "scrypt" {
			continue
		}
		if len(stanzas) != 1 {
			return 0, &PolicyError{Reason: "a passphrase stands beside other recipients, which age never writes: " +
				"whoever holds one of their keys could have made this file"}
		}
		if len(s.Args) != 2 || !decimal.MatchString(s.Args[1]) {
			return 0, &DamagedError{Layer: "age", Err: errors.New("reading the header: malformed scrypt stanza")}
		}
		factor, err := strconv.Atoi(s.Args[1])
		if err != nil || factor > MaxWorkFactor {
			return factor, &PolicyError{Reason: fmt.Sprintf(
				"scrypt work factor %.20s is above %d, trying a passphrase would take more than 1 GiB of memory", s.Args[1], MaxWorkFactor)}
		}
		return factor, nil
	}
	return 0, nil
}

// unwrap finds the file key, or says why it cannot.
func unwrap(header []byte, stanzas []*age.Stanza, keys Keys) ([]byte, error) {
	none := &NoKeyError{Identities: len(keys.Identities)}
	for _, s := range stanzas {
		none.Recipients = append(none.Recipients, s.Type)
	}
	identities := append([]age.Identity(nil), keys.Identities...)
	asked := &askedPassphrase{ask: keys.Passphrase}
	if keys.Passphrase != nil && isScrypt(none.Recipients) {
		identities = append(identities, asked)
	}
	if len(identities) == 0 {
		return nil, none
	}
	fileKey, err := age.DecryptHeader(header, identities...)
	var noMatch *age.NoIdentityMatchError
	var locked *lockedError
	switch {
	case err == nil:
		return fileKey, nil
	case asked.err != nil:
		return nil, fmt.Errorf("asking for the passphrase: %w", asked.err)
	case errors.As(err, &locked):
		return nil, locked.Err
	case errors.As(err, &noMatch):
		none.Wrong = asked.used
		return nil, none
	}
	return nil, &DamagedError{Layer: "age", Err: fmt.Errorf("reading the header: %w", err)}
}

// askedPassphrase is the identity of a file's own passphrase. age tries it
// after the native identities.
type askedPassphrase struct {
	ask  Passphrase
	used bool
	err  error // of ask
}

func (a *askedPassphrase) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	passphrase, err := a.ask()
	if err != nil {
		a.err = err
		return nil, err
	}
	a.used = true
	if len(passphrase) == 0 {
		return nil, age.ErrIncorrectIdentity // age refuses to make such a key
	}
	id, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	id.SetMaxWorkFactor(MaxWorkFactor)
	return id.Unwrap(stanzas)
}
