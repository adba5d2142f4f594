package crypto

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// ErrNothingToDrop says that no recipient of the file is one of those that
// were to be dropped.
var ErrNothingToDrop = errors.New("no recipient of the file is opened by the identity to drop")

// Change says whom a file is encrypted to afterwards.
type Change struct {
	// Only is the whole new list; without it the present recipients stay, less
	// those that Drop opens (the stanzas of X25519 do not name their recipient).
	Only []Recipient
	Drop []age.Identity

	Add []Recipient
}

// Rekeyed says what Rekey did. Recipients are stanza types.
type Rekeyed struct {
	Before  []string `json:"before"`
	After   []string `json:"after"`
	Dropped int      `json:"dropped"`
	Payload int64    `json:"payload"` // bytes copied
}

// Rekey writes the age file src to dst under a new header: the same file key,
// wrapped for other recipients. The payload is copied byte for byte, and
// authenticated to its last chunk beside that: damage is found here, and not by
// whoever needs the copy. An armored file stays armored.
//
// This does not revoke: whoever could open the old file may have kept the file
// key, which opens the new one as well.
//
// Errors: *NoKeyError, *DamagedError and *PolicyError as of NewReader,
// ErrRecipients, ErrNothingToDrop, ErrNotEncrypted.
func Rekey(dst io.Writer, src io.Reader, keys Keys, change Change) (Rekeyed, error) {
	from := &source{r: src}
	buffered := bufio.NewReaderSize(from, 64<<10)
	form, err := detect(buffered)
	if err != nil {
		return Rekeyed{}, fmt.Errorf("reading the first bytes: %w", err)
	}
	if form == plain {
		if err := mangledIn(buffered); err != nil {
			return Rekeyed{}, err
		}
		return Rekeyed{}, ErrNotEncrypted
	}
	d := &decrypter{src: from, layer: "age"}
	var encrypted io.Reader = buffered
	if form == armored {
		encrypted = &watch{r: armor.NewReader(&lineLimit{r: buffered}), d: d}
		a := armor.NewWriter(dst)
		done, err := rekey(a, encrypted, d, keys, change)
		if err != nil {
			return done, err
		}
		return done, a.Close()
	}
	return rekey(dst, encrypted, d, keys, change)
}

// ErrNotEncrypted says that a file is no age file.
var ErrNotEncrypted = errors.New("not an age file")

func rekey(dst io.Writer, encrypted io.Reader, d *decrypter, keys Keys, change Change) (Rekeyed, error) {
	var consumed bytes.Buffer
	header, err := age.ExtractHeader(io.TeeReader(encrypted, &consumed))
	if err != nil {
		return Rekeyed{}, d.damaged(0, fmt.Errorf("reading the header: %w", err))
	}
	stanzas, err := stanzasOf(header)
	if err != nil {
		return Rekeyed{}, d.damaged(0, err)
	}
	done := Rekeyed{Before: typesOf(stanzas)}
	if _, err := checkScrypt(stanzas); err != nil {
		return done, err
	}
	fileKey, err := unwrap(header, stanzas, keys)
	if err != nil {
		return done, err
	}
	if stanzas, done.Dropped, err = change.apply(stanzas, fileKey); err != nil {
		return done, err
	}
	done.After = typesOf(stanzas)
	fresh, err := sealHeader(stanzas, fileKey)
	if err != nil {
		return done, err
	}
	if _, err := dst.Write(fresh); err != nil {
		return done, fmt.Errorf("writing the header: %w", err)
	}
	consumed.Next(len(header))
	proof := newProof(header, fileKey)
	done.Payload, err = io.CopyBuffer(both{dst, proof}, struct{ io.Reader }{io.MultiReader(&consumed, encrypted)}, make([]byte, 256<<10))
	if plain, wrong := proof.end(); wrong != nil && d.src.err == nil && d.layer != "armor" && (err == nil || errors.Is(err, wrong)) {
		chunk := plain / chunkSize
		d.src.ended = d.src.ended || errors.Is(wrong, io.ErrUnexpectedEOF)
		return done, d.damaged(int64(len(header))+nonceSize+chunk*sealedSize, d.explain(chunk, wrong))
	}
	if err != nil {
		if d.src.err != nil || d.layer == "armor" {
			return done, d.damaged(int64(len(header))+done.Payload, err)
		}
		return done, fmt.Errorf("copying the payload: %w", err)
	}
	return done, nil
}

// apply gives the stanzas of the new header.
func (c Change) apply(stanzas []*age.Stanza, fileKey []byte) (after []*age.Stanza, dropped int, err error) {
	if len(c.Only) == 0 {
		for _, s := range stanzas {
			drop, err := opens(c.Drop, s, fileKey)
			if err != nil {
				return nil, 0, err
			}
			if drop {
				dropped++
				continue
			}
			after = append(after, s)
		}
		if dropped == 0 && len(c.Drop) > 0 {
			return nil, 0, ErrNothingToDrop
		}
	}
	// Types first: wrapping for a passphrase takes a second.
	types := typesOf(after)
	for _, r := range slices.Concat(c.Only, c.Add) {
		types = append(types, r.Type)
	}
	if err := checkTogether(types); err != nil {
		return nil, 0, err
	}
	var first []string // labels of those that were added so far
	kept := after
	for _, r := range slices.Concat(c.Only, c.Add) {
		wrapped, labels, err := r.wrap(fileKey)
		if err != nil {
			return nil, 0, fmt.Errorf("wrapping the file key for %s: %w", r.Fingerprint(), err)
		}
		if len(after) > 0 && !slices.Equal(labels, labelsOf(kept, first)) {
			return nil, 0, errMixed
		}
		first = labels
		after = append(after, wrapped...)
	}
	return after, dropped, nil
}

// labelsOf are the labels that a further recipient has to have: those of the
// stanzas that stay, as far as their type tells, else those of the one added
// before.
func labelsOf(kept []*age.Stanza, added []string) []string {
	switch {
	case len(kept) == 0:
		return added
	case postQuantum(kept[0].Type):
		return []string{"postquantum"}
	}
	return nil
}

// opens reports whether an identity gets the file key out of this one stanza.
func opens(identities []age.Identity, s *age.Stanza, fileKey []byte) (bool, error) {
	for _, id := range identities {
		key, err := id.Unwrap([]*age.Stanza{s})
		var locked *lockedError
		if errors.As(err, &locked) {
			return false, locked.Err
		}
		if err == nil && hmac.Equal(key, fileKey) {
			return true, nil
		}
	}
	return false, nil
}

// sealHeader writes an age header (filippo.io/age/internal/format and
// headerMAC in primitives.go) and lets age read it before anybody else does.
func sealHeader(stanzas []*age.Stanza, fileKey []byte) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(intro)
	for _, s := range stanzas {
		b.WriteString("-> " + s.Type)
		for _, arg := range s.Args {
			b.WriteString(" " + arg)
		}
		b.WriteByte('\n')
		// Lines of 64 columns; the last one is shorter, maybe empty.
		body := base64.RawStdEncoding.EncodeToString(s.Body)
		for len(body) >= 64 {
			b.WriteString(body[:64] + "\n")
			body = body[64:]
		}
		b.WriteString(body + "\n")
	}
	b.WriteString("---")
	key, err := hkdf.Key(sha256.New, fileKey, nil, "header", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("sealing the header: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(b.Bytes())
	b.WriteString(" " + base64.RawStdEncoding.EncodeToString(mac.Sum(nil)) + "\n")
	if _, err := age.DecryptHeader(b.Bytes(), age.NewInjectedFileKeyIdentity(fileKey)); err != nil {
		return nil, fmt.Errorf("sealing the header: age does not take it: %w", err)
	}
	return b.Bytes(), nil
}

func typesOf(stanzas []*age.Stanza) []string {
	types := make([]string, 0, len(stanzas))
	for _, s := range stanzas {
		types = append(types, s.Type)
	}
	return types
}
