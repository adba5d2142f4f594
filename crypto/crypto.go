// Package crypto is age and minisign as a backup needs them: opening and making
// encrypted files, changing whom they are encrypted to, signatures.
//
// NewReader is the one call most readers need. It looks at the first bytes of
// a stream: an age file, binary or armored, is decrypted with the Keys given,
// anything else is handed through unchanged.
//
//	file, err := crypto.ReadIdentities("recovery.key", askPassphrase)
//	...
//	plain, info, err := crypto.NewReader(src, crypto.Keys{Identities: file.Identities})
//
// age authenticates 64 KiB at a time, and only the last chunk says that
// nothing is missing behind it. The reader therefore gives io.EOF only after
// that chunk was authenticated and src had no byte left; whatever was read
// before is authentic, but not known to be whole.
//
// NewWriter is the way back. Rekey changes the recipients of a file without
// touching its payload. age proves nothing about who wrote a file: anybody who
// knows a recipient can make one. Signer and Verifier do, in minisign's format.
//
// The format is age-encryption.org/v1, its cryptography is filippo.io/age; the
// signatures are those of aead.dev/minisign.
package crypto

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// MaxWorkFactor is the largest scrypt work factor that is accepted: 2^20
// rounds, 1 GiB of memory. age's own default of 22 would let a hostile file
// take 4 GiB.
const MaxWorkFactor = 20

// Keys are what a file may be opened with. The zero value opens plain files.
type Keys struct {
	// Identities are tried on every recipient of the file.
	Identities []age.Identity

	// Passphrase is asked at most once, and only for a file that is encrypted
	// with a passphrase which no Identity opens. nil means that there is none.
	Passphrase Passphrase
}

// Passphrase fetches a passphrase from the terminal, a file or a descriptor.
// An error of it (an interrupted prompt, say) is passed on, wrapped.
type Passphrase func() ([]byte, error)

// Info says what was found around the plaintext. It is filled as far as the
// header could be read, also when NewReader gives an error.
type Info struct {
	Encrypted bool `json:"encrypted"`
	Armored   bool `json:"armored,omitempty"`

	// Recipients are the types of the header's stanzas, in their order:
	// "X25519", "mlkem768x25519", "scrypt", "ssh-ed25519", "ssh-rsa", or
	// whatever a plugin wrote.
	Recipients []string `json:"recipients,omitempty"`

	// WorkFactor is the binary logarithm of scrypt's rounds, 0 without scrypt.
	WorkFactor int `json:"workFactor,omitempty"`
}

// NewReader returns the plaintext of src, told by its first bytes: an age
// file, an armored age file (up to 1024 bytes of white space before it, CRLF
// allowed), else src itself from its first byte.
//
// Errors: *NoKeyError when the file is encrypted and nothing given opens it,
// *DamagedError when it is not what age wrote, *PolicyError when opening it
// would cost too much; errors of src and of keys.Passphrase come through
// wrapped. The same holds for the reader's own errors. An age file that a shell,
// an editor or a mail program has changed is a *MangledError.
func NewReader(src io.Reader, keys Keys) (io.Reader, Info, error) {
	from := &source{r: src}
	buffered := bufio.NewReaderSize(from, 64<<10)
	form, err := detect(buffered)
	if err != nil {
		return nil, Info{}, fmt.Errorf("reading the first bytes: %w", err)
	}
	if form == plain {
		return buffered, Info{}, mangledIn(buffered)
	}
	info := Info{Encrypted: true, Armored: form == armored}
	d := &decrypter{src: from, layer: "age"}
	var encrypted io.Reader = buffered
	if info.Armored {
		encrypted = &watch{r: armor.NewReader(&lineLimit{r: buffered}), d: d}
	}
	if err := d.open(encrypted, keys, &info); err != nil {
		return nil, info, err
	}
	return d, info, nil
}

// decrypter is age's reader with its errors sorted and placed.
type decrypter struct {
	src     *source
	payload io.Reader // plaintext from age.Decrypt
	layer   string    // the layer that broke: "age", or "armor" once that has
	header  int64     // bytes before the first chunk
	out     int64     // plaintext handed out
	err     error     // sticky, io.EOF included
}

// chunkSize and sealedSize are age's STREAM chunk, plain and with its tag
// (filippo.io/age/internal/stream).
const (
	chunkSize  = 64 << 10
	sealedSize = chunkSize + 16
	nonceSize  = 16
)

// open reads the header, finds the file key and stands before the payload.
func (d *decrypter) open(encrypted io.Reader, keys Keys, info *Info) error {
	var consumed bytes.Buffer // ExtractHeader reads ahead, age caps the header at 2 MiB
	header, err := age.ExtractHeader(io.TeeReader(encrypted, &consumed))
	if err != nil {
		return d.damaged(0, fmt.Errorf("reading the header: %w", err))
	}
	stanzas, err := stanzasOf(header)
	if err != nil {
		return d.damaged(0, err)
	}
	for _, s := range stanzas {
		info.Recipients = append(info.Recipients, s.Type)
	}
	if info.WorkFactor, err = checkScrypt(stanzas); err != nil {
		return err
	}
	fileKey, err := unwrap(header, stanzas, keys)
	if err != nil {
		return err
	}
	rest := io.MultiReader(&consumed, encrypted)
	d.header = int64(len(header)) + nonceSize
	d.payload, err = age.Decrypt(rest, age.NewInjectedFileKeyIdentity(fileKey))
	if err != nil {
		return d.damaged(int64(len(header)), err)
	}
	return nil
}

// Read gives authenticated plaintext.
func (d *decrypter) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.payload.Read(p)
	d.out += int64(n)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		d.err = io.EOF
	default:
		chunk := d.out / chunkSize
		d.err = d.damaged(d.header+chunk*sealedSize, d.explain(chunk, err))
	}
	return n, d.err
}

// explain puts the chunk before age's words. age cannot tell a file that was
// cut from one that was altered, so a failure at the end of src says both.
func (d *decrypter) explain(chunk int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("chunk %d: the file was cut short: %w", chunk, io.ErrUnexpectedEOF)
	case d.src.ended:
		return fmt.Errorf("chunk %d, where the file ends (cut short, or altered): %w", chunk, err)
	}
	return fmt.Errorf("chunk %d: %w", chunk, err)
}

// damaged blames the file, unless it was src that could not be read: a disk
// error must not pass for a damaged archive.
func (d *decrypter) damaged(offset int64, err error) error {
	if d.src.err != nil {
		return fmt.Errorf("reading the %s file: %w", d.layer, d.src.err)
	}
	if d.layer == "armor" {
		offset = d.src.read
	}
	return &DamagedError{Layer: d.layer, Offset: offset, Err: err}
}

// source counts what is read from the caller's reader and keeps its error,
// because age wraps some errors and restates others.
type source struct {
	r     io.Reader
	read  int64
	ended bool
	err   error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	switch {
	case err == io.EOF:
		s.ended = true
	case err != nil:
		s.err = err
	}
	return n, err
}

// watch notices that the armor broke, and not the age file in it.
type watch struct {
	r io.Reader
	d *decrypter
}

func (w *watch) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.d.layer = "armor"
	}
	return n, err
}
