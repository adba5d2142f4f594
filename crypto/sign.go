package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// ErrSignature says that a file is not proven to come from the holder of the
// key that was asked for.
var ErrSignature = errors.New("signature is not good")

// SignatureError says why. errors.Is(err, ErrSignature) holds.
type SignatureError struct{ Reason string }

func (e *SignatureError) Error() string        { return "signature is not good: " + e.Reason }
func (e *SignatureError) Is(target error) bool { return target == ErrSignature }

// MaxComment bounds a trusted comment, as minisign does
// (TRUSTEDCOMMENTMAXBYTES).
const MaxComment = 8000

// MaxSignature is more than any signature file has.
const MaxSignature = 16 << 10

// Signer signs files in minisign's format, which minisign -V verifies.
type Signer struct{ key minisign.PrivateKey }

// GenerateSigner makes a key pair in minisign's file format, locked with the
// passphrase unless that is empty. (minisign's lock takes 1 GiB of memory.)
func GenerateSigner(passphrase []byte) (private, public []byte, err error) {
	pub, priv, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generating a signing key: %w", err)
	}
	if public, err = pub.MarshalText(); err != nil {
		return nil, nil, fmt.Errorf("generating a signing key: %w", err)
	}
	if len(passphrase) > 0 {
		private, err = minisign.EncryptKey(string(passphrase), priv)
	} else {
		private, err = priv.MarshalText()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("generating a signing key: %w", err)
	}
	return append(private, '\n'), append(public, '\n'), nil
}

// ReadSigner reads minisign's secret key file; ask is called when it is
// locked. A wrong passphrase is ErrNoKey. No error shows a part of the file.
func ReadSigner(path string, ask Passphrase) (s *Signer, warnings []string, err error) {
	data, mode, err := readSmall(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the signing key: %w", err)
	}
	if mode.IsRegular() && mode.Perm()&0o077 != 0 {
		warnings = append(warnings, fmt.Sprintf("%q can be read by others (mode %04o): chmod 600 it", path, mode.Perm()))
	}
	s = &Signer{}
	if !minisign.IsEncrypted(data) {
		if s.key.UnmarshalText(data) != nil {
			return nil, nil, fmt.Errorf("reading the signing key %q: not a secret key of minisign", path)
		}
		return s, warnings, nil
	}
	if ask == nil {
		return nil, nil, &NoKeyError{Recipients: []string{"scrypt"}, Err: fmt.Errorf("the signing key %q is locked", path)}
	}
	passphrase, err := ask()
	if err != nil {
		return nil, nil, fmt.Errorf("asking for the passphrase of %q: %w", path, err)
	}
	if s.key, err = minisign.DecryptKey(string(passphrase), data); err != nil {
		return nil, nil, &NoKeyError{Recipients: []string{"scrypt"}, Wrong: true, Err: fmt.Errorf("the signing key %q is locked", path)}
	}
	return s, warnings, nil
}

// ID is the key's id as minisign shows it: 16 hex digits.
func (s *Signer) ID() string { return keyID(s.key.ID()) }

func keyID(id uint64) string { return fmt.Sprintf("%016X", id) }

// Public is the public half, in minisign's file format.
func (s *Signer) Public() ([]byte, error) {
	pub, ok := s.key.Public().(minisign.PublicKey)
	if !ok {
		return nil, errors.New("no public half in the signing key")
	}
	text, err := pub.MarshalText()
	return append(text, '\n'), err
}

// Verifier checks what this key has signed.
func (s *Signer) Verifier() *Verifier {
	public, _ := s.key.Public().(minisign.PublicKey) // it is one
	return &Verifier{public}
}

// Sign reads src to its end and gives the content of its .minisig file. The
// trusted comment is signed along; it has to be one line.
func (s *Signer) Sign(src io.Reader, comment string) ([]byte, error) {
	through := s.Through(src)
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{through}, make([]byte, 1<<20)); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return through.Signature(comment)
}

// Signing is a stream that is signed while somebody reads it.
type Signing struct {
	signer *Signer
	src    *minisign.Reader
}

// Through lets src be read, and signed.
func (s *Signer) Through(src io.Reader) *Signing { return &Signing{s, minisign.NewReader(src)} }

// Read reads what is signed.
func (s *Signing) Read(p []byte) (int, error) { return s.src.Read(p) }

// Signature is the content of the .minisig file of all that was read.
func (s *Signing) Signature(comment string) ([]byte, error) {
	if len(comment) > MaxComment || strings.ContainsAny(comment, "\r\n") {
		return nil, errors.New("signing: the comment is not one short line")
	}
	return s.src.SignWithComments(s.signer.key, comment, "signature from minisign secret key "+s.signer.ID()), nil
}

// Verifier is minisign's public key.
type Verifier struct{ key minisign.PublicKey }

// ReadVerifier reads minisign's public key file, or one with the bare key.
func ReadVerifier(path string) (*Verifier, error) {
	data, _, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	v := &Verifier{}
	if v.key.UnmarshalText(data) != nil {
		return nil, fmt.Errorf("reading the public key %q: not a public key of minisign", path)
	}
	return v, nil
}

// ID is the key's id as minisign shows it.
func (v *Verifier) ID() string { return keyID(v.key.ID()) }

// Comment gives the trusted comment of a signature, checked against the key. It
// proves who wrote the comment and for which signature, and nothing about any
// file: that is Verify's.
func (v *Verifier) Comment(signature []byte) (string, error) {
	s, err := v.parse(signature)
	if err != nil {
		return "", err
	}
	text, err := v.key.MarshalText()
	if err != nil {
		return "", fmt.Errorf("reading the public key: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	raw, err := base64.StdEncoding.DecodeString(lines[len(lines)-1])
	if err != nil || len(raw) != 2+8+ed25519.PublicKeySize {
		return "", errors.New("reading the public key: it has another form than minisign's")
	}
	signed := append(slices.Clone(s.Signature[:]), s.TrustedComment...)
	if !ed25519.Verify(raw[2+8:], signed, s.CommentSignature[:]) {
		return "", &SignatureError{"the comment is not what was signed"}
	}
	return s.TrustedComment, nil
}

// Verify reads src to its end and gives the trusted comment of its signature.
//
// Any doubt is a *SignatureError: another key, another file, another comment,
// no signature file. Signatures of minisign's old kind, over the file itself
// instead of its hash, are refused: one over 64 chosen bytes would pass for
// one over the file whose hash they are.
func (v *Verifier) Verify(src io.Reader, signature []byte) (comment string, err error) {
	s, err := v.parse(signature)
	if err != nil {
		return "", err
	}
	r := minisign.NewReader(src)
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 1<<20)); err != nil {
		return "", fmt.Errorf("verifying the signature: %w", err)
	}
	if !r.Verify(v.key, signature) {
		return "", &SignatureError{"the file or the comment is not what was signed"}
	}
	return s.TrustedComment, nil
}

// parse reads a signature that this key can have made.
func (v *Verifier) parse(signature []byte) (minisign.Signature, error) {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return s, &SignatureError{"the signature file is malformed"}
	}
	if s.KeyID != v.key.ID() {
		return s, &SignatureError{fmt.Sprintf("made with key %s, not with %s", keyID(s.KeyID), v.ID())}
	}
	if s.Algorithm != minisign.HashEdDSA {
		return s, &SignatureError{"of minisign's old kind (not pre-hashed), which is not accepted: sign the file again"}
	}
	return s, nil
}
