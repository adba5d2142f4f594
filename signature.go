package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// SignatureSuffix is what minisign appends to a file's name.
const SignatureSuffix = place.SignatureSuffix

// checkSignature holds the source against its .minisig before a byte of it is
// parsed, and keeps what it has checked for file: storage that somebody else
// looks after may serve other bytes the second time. Without PubKey it does
// nothing.
func (o *opener) checkSignature(ctx context.Context) error {
	if o.opts.PubKey == "" {
		return nil
	}
	verifier, err := crypto.ReadVerifier(o.opts.PubKey)
	if err != nil {
		return &Error{Class: Misused, Err: err}
	}
	if o.src.path == "-" {
		return withHint(misusef("--pubkey cannot check standard input: it would have to be read before it is checked"), "save it to a file first")
	}
	unsignable := &Error{Class: Damaged, Err: errors.New("it carries no signature: only a file can, and --pubkey asks for one")}
	file, err := o.raw(ctx)
	if errors.Is(err, errIsFolder) {
		return unsignable
	}
	if err != nil {
		return plainCause(err)
	}
	defer file.Close()
	if !file.regular {
		return unsignable
	}
	signature, err := o.signature(ctx)
	if err != nil {
		return err
	}
	return o.verifyCopy(ctx, file, file.size, verifier, signature)
}

// verifyCopy takes a copy of file, and checks that.
func (o *opener) verifyCopy(ctx context.Context, file io.Reader, size int64, verifier *crypto.Verifier, signature []byte) error {
	phase := o.opts.Observer.start("checking the signature", size)
	defer phase.Done()
	copied, _, err := o.opts.spool().Take(ctx, o.opts.bounded(phase.reader(ctx, file)))
	if err != nil {
		return err
	}
	signed := &countedReader{r: phase.reader(ctx, copied)}
	comment, err := verifier.Verify(signed, signature)
	if err == nil {
		_, err = copied.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, copied.Close())
	}
	o.signed = copied
	o.src.signedBy, o.src.signedComment = verifier.ID(), comment
	o.src.layers = append(o.src.layers, Layer{Name: "signature", State: "good", Detail: "by key " + verifier.ID() + ": " + comment, Looked: signed.n, Of: "bytes"})
	return nil
}

// file opens the source: under PubKey the copy whose signature was checked.
// The caller closes it.
func (o *opener) file(ctx context.Context) (*source, error) {
	if o.signed == nil {
		return o.raw(ctx)
	}
	file := o.signed
	o.signed = nil
	return sourceOf(file)
}

// release gives up the copy that nobody came to read.
func (o *opener) release() {
	if o.signed != nil {
		_ = o.signed.Close() // nothing was written to it that anybody wants
	}
	if o.zip != nil {
		_ = o.zip.Close() // as above
	}
}

// signature is the content of the file beside the source.
func (o *opener) signature(ctx context.Context) ([]byte, error) {
	if o.listed != nil {
		return signatureIn(ctx, o.store, *o.listed)
	}
	path := o.src.path + SignatureSuffix
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noSignature(path)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, crypto.MaxSignature+1))
	if err == nil && len(data) > crypto.MaxSignature {
		err = &crypto.SignatureError{Reason: "the signature file is too large to be one"}
	}
	return data, err
}

// signatureIn is the signature beside an archive of a place.
func signatureIn(ctx context.Context, store place.Store, e place.Entry) ([]byte, error) {
	data, err := store.Read(ctx, e.Name+SignatureSuffix, crypto.MaxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noSignature(e.Path + SignatureSuffix)
	}
	return data, err
}

func noSignature(path string) error {
	return withHint(&crypto.SignatureError{Reason: fmt.Sprintf("there is no %q", path)}, "take the signature file along with the archive")
}

// noteUnsigned says what encryption does not: who made the file.
func (o *opener) noteUnsigned() {
	if o.opts.PubKey != "" {
		return
	}
	signed := o.listed != nil && o.listed.Signed
	if o.listed == nil && o.src.path != "-" {
		_, err := os.Stat(o.src.path + SignatureSuffix)
		signed = err == nil
	}
	if signed {
		o.opts.Observer.warn("the signature of %q was not checked: give --pubkey FILE", o.src.path)
		return
	}
	o.opts.Observer.warn("nothing proves who made %q: it is not signed, and anybody who knows the public key can encrypt to it", o.src.path)
}
