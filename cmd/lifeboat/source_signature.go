package main

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

// signatureSuffix is what minisign appends to a file's name.
const signatureSuffix = ".minisig"

// checkSignature holds SRC against SRC.minisig before a byte of SRC is parsed,
// and keeps what it has checked for file: storage that somebody else looks
// after may serve other bytes the second time. Without --pubkey it does nothing.
func (o *opener) checkSignature(ctx context.Context) error {
	if o.opts.PubKey == "" {
		return nil
	}
	verifier, err := crypto.ReadVerifier(o.opts.PubKey)
	if err != nil {
		return usageError(err)
	}
	if o.src.path == "-" {
		return withHint(usagef("--pubkey cannot check standard input: it would have to be read before it is checked"), "save it to a file first")
	}
	file, err := os.Open(o.src.path)
	if err != nil {
		return plainCause(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return plainCause(err)
	}
	if !info.Mode().IsRegular() {
		return &codedError{Code: exitDamaged, Err: errors.New("it carries no signature: only a file can, and --pubkey asks for one")}
	}
	signature, err := readSignature(o.src.path + signatureSuffix)
	if err != nil {
		return err
	}
	phase := o.env.progress.Start("checking the signature", info.Size())
	defer phase.Done()
	src := phase.Reader(&contextReader{ctx, file})
	if o.opts.MaxSize > 0 {
		src = &boundedReader{r: src, left: o.opts.MaxSize}
	}
	spool := snapshot.Spool{Where: snapshot.Where(o.opts.Spool), Dir: o.opts.spoolDir}
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
	o.src.signedBy, o.src.signedComment = verifier.ID(), comment
	o.src.layers = append(o.src.layers, layer{"signature", "good", "by key " + verifier.ID() + ": " + comment})
	return nil
}

// file opens SRC: under --pubkey the copy whose signature was checked. The
// caller closes it.
func (o *opener) file() (*os.File, error) {
	if o.signed == nil {
		return os.Open(o.src.path)
	}
	file := o.signed
	o.signed = nil
	return file, nil
}

// release gives up the copy that nobody came to read.
func (o *opener) release() {
	if o.signed != nil {
		_ = o.signed.Close() // nothing was written to it that anybody wants
	}
}

func readSignature(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(&crypto.SignatureError{Reason: fmt.Sprintf("there is no %q", path)}, "take the signature file along with the archive")
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
func (o *opener) noteUnsigned() {
	if o.opts.PubKey != "" {
		return
	}
	if _, err := os.Stat(o.src.path + signatureSuffix); o.src.path != "-" && err == nil {
		o.env.warn("the signature of %q was not checked: give --pubkey FILE", o.src.path)
		return
	}
	o.env.warn("nothing proves who made %q: it is not signed, and anybody who knows the public key can encrypt to it", o.src.path)
}
