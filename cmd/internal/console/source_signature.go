package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// SignatureSuffix is what minisign appends to a file's name.
const SignatureSuffix = ".minisig"

// CheckSignature holds SRC against SRC.minisig before a byte of SRC is parsed,
// and keeps what it has checked for file: storage that somebody else looks
// after may serve other bytes the second time. Without --pubkey it does nothing.
func (o *Opener) CheckSignature(ctx context.Context) error {
	if o.Opts.PubKey == "" {
		return nil
	}
	verifier, err := crypto.ReadVerifier(o.Opts.PubKey)
	if err != nil {
		return UsageError(err)
	}
	if o.Src.Path == "-" {
		return WithHint(Usagef("--pubkey cannot check standard input: it would have to be read before it is checked"), "save it to a file first")
	}
	file, err := os.Open(o.Src.Path)
	if err != nil {
		return PlainCause(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return PlainCause(err)
	}
	if !info.Mode().IsRegular() {
		return &CodedError{Code: ExitDamaged, Err: errors.New("it carries no signature: only a file can, and --pubkey asks for one")}
	}
	signature, err := readSignature(o.Src.Path + SignatureSuffix)
	if err != nil {
		return err
	}
	phase := o.Env.Progress.Start("checking the signature", info.Size())
	defer phase.Done()
	src := phase.Reader(&contextReader{ctx, file})
	if o.Opts.MaxSize > 0 {
		src = &boundedReader{r: src, left: o.Opts.MaxSize}
	}
	spool := snapshot.Spool{Where: snapshot.Where(o.Opts.Spool), Dir: o.Opts.SpoolDir}
	copied, _, err := spool.Take(ctx, src)
	if err != nil {
		return err
	}
	comment, err := verifier.Verify(&contextReader{ctx, copied}, signature)
	if err == nil {
		_, err = copied.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, copied.Close())
	}
	o.signed = copied
	o.Src.SignedBy, o.Src.SignedComment = verifier.ID(), comment
	o.Src.Layers = append(o.Src.Layers, Layer{"signature", "good", "by key " + verifier.ID() + ": " + comment})
	return nil
}

// File opens SRC: under --pubkey the copy whose signature was checked. The
// caller closes it.
func (o *Opener) File() (*os.File, error) {
	if o.signed == nil {
		return os.Open(o.Src.Path)
	}
	file := o.signed
	o.signed = nil
	return file, nil
}

// Release gives up the copy that nobody came to read.
func (o *Opener) Release() {
	if o.signed != nil {
		_ = o.signed.Close() // nothing was written to it that anybody wants
	}
}

func readSignature(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, WithHint(&crypto.SignatureError{Reason: fmt.Sprintf("there is no %q", path)}, "take the signature file along with the archive")
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

// noteUnsigned says what encryption does not: who made the file.
func (o *Opener) noteUnsigned() {
	if o.Opts.PubKey != "" {
		return
	}
	if _, err := os.Stat(o.Src.Path + SignatureSuffix); o.Src.Path != "-" && err == nil {
		o.Env.Warn("the signature of %q was not checked: give --pubkey FILE", o.Src.Path)
		return
	}
	o.Env.Warn("nothing proves who made %q: it is not signed, and anybody who knows the public key can encrypt to it", o.Src.Path)
}
