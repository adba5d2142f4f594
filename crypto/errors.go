package crypto

import (
	"errors"
	"fmt"
	"strings"
)

// The three ways in which an encrypted file stays closed, for errors.Is.
var (
	ErrNoKey   = errors.New("no key fits")
	ErrDamaged = errors.New("damaged")
	ErrPolicy  = errors.New("refused")
)

// NoKeyError says that the file is encrypted and that nothing at hand opens
// it. errors.Is(err, ErrNoKey) holds.
//
// A header whose stanza was damaged looks the same: age's stanzas are
// authenticated by the key that they are to yield.
type NoKeyError struct {
	Recipients []string // stanza types of the file
	Identities int      // how many identities were tried
	Wrong      bool     // a passphrase was given, and it is not the one
	Err        error    // more, or nil
}

func (e *NoKeyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no key fits: encrypted to %s; ", describe(e.Recipients))
	switch {
	case e.Wrong:
		b.WriteString("the passphrase is not the right one")
	case isScrypt(e.Recipients):
		b.WriteString("no passphrase was given")
	case e.Identities == 0:
		b.WriteString("no identity was given")
	default:
		fmt.Fprintf(&b, "identities tried: %d", e.Identities)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %s", clip(e.Err))
	}
	return b.String()
}

func (e *NoKeyError) Is(target error) bool { return target == ErrNoKey }
func (e *NoKeyError) Unwrap() error        { return e.Err }

// DamagedError says where the file stops being what age wrote.
// errors.Is(err, ErrDamaged) holds.
type DamagedError struct {
	Layer string // "age" or "armor"

	// Offset counts bytes. In layer "age" it is where the broken part (header,
	// nonce or chunk) begins in the binary age file; in layer "armor" how much
	// of the armored file had been read.
	Offset int64
	Err    error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s layer damaged at offset %d: %s", e.Layer, e.Offset, clip(e.Err))
}

func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }
func (e *DamagedError) Unwrap() error        { return e.Err }

// PolicyError says that the file could be opened but will not be, because it
// was made to do harm. errors.Is(err, ErrPolicy) holds.
type PolicyError struct {
	Reason string
}

func (e *PolicyError) Error() string        { return "refusing to open: " + e.Reason }
func (e *PolicyError) Is(target error) bool { return target == ErrPolicy }

// clip keeps an error readable: age quotes the line it stumbled over, which
// may be two megabytes of it.
func clip(err error) string {
	const most = 300
	s := err.Error()
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// describe counts stanza types: "X25519 (2), ssh-rsa (1)". They come out of
// the file: age admits printable ASCII only, of any length and number.
func describe(types []string) string {
	const most = 5
	var order []string
	count := map[string]int{}
	for _, t := range types {
		if count[t]++; count[t] == 1 {
			order = append(order, t)
		}
	}
	var parts []string
	for i, t := range order {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d other types", len(order)-most))
			break
		}
		name := t
		if len(name) > 40 {
			name = name[:40] + "…"
		}
		parts = append(parts, fmt.Sprintf("%s (%d)", name, count[t]))
	}
	return strings.Join(parts, ", ")
}

func isScrypt(types []string) bool {
	return len(types) == 1 && types[0] == "scrypt"
}
