package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// VerifyQuick looks at both ends of an archive's encryption and at nothing
// between: the signature, the keys, the last chunk. It is for archives in
// files; what it skips is among the checks.
func VerifyQuick(ctx context.Context, path string, opts Options) ([]Check, error) {
	o := newOpener(path, opts)
	defer o.release()
	v := &verification{b: o.src}
	err := o.locate(ctx)
	if err == nil {
		err = o.checkSignature(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	if opts.PubKey != "" {
		v.layers()
	} else {
		v.say(NotChecked("signature", "no --pubkey was given"))
	}
	file, err := o.file(ctx)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return v.quick(o, file, file.size)
}

func (v *verification) quick(o *opener, file io.ReaderAt, size int64) ([]Check, error) {
	keys, err := o.keys()
	if err != nil {
		return nil, err
	}
	plain, found, err := crypto.NewReader(io.NewSectionReader(file, 0, size), keys)
	if err == nil {
		err = v.lastChunk(file, size, found, keys.Identities)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", o.src.path, err)
	}
	reader, err := archive.NewReader(plain, o.opts.limits())
	if errors.Is(err, archive.ErrNotArchive) {
		return nil, withHint(misusef("opening %q: %w: --quick is for archives", o.src.path, err), "leave --quick out")
	}
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", o.src.path, err)
	}
	entry, err := reader.Next()
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", o.src.path, err)
	}
	v.say(
		Note(string(reader.Format()), "begins with %q", entry.Name),
		NotChecked("content", "--quick skips everything between: all files, the manifest, the snapshot, certificates, and that the parts belong together"),
	)
	return v.checks, nil
}

// lastChunk authenticates the end of an age file (age.DecryptReaderAt does so
// before it returns), with the identities at hand: asking for a passphrase a
// second time is not worth it.
func (v *verification) lastChunk(file io.ReaderAt, size int64, found crypto.Info, identities []age.Identity) error {
	switch {
	case found.Armored:
		v.say(NotChecked("age", "the header opens; an armored file has to be read to its end to know more"))
		return nil
	case !found.Encrypted:
		return nil
	}
	var none *age.NoIdentityMatchError
	err := error(&age.NoIdentityMatchError{})
	if len(identities) > 0 {
		_, _, err = age.DecryptReaderAt(file, size, identities...)
	}
	switch {
	case errors.As(err, &none):
		v.say(NotChecked("age", "the header opens; opened with a passphrase, the end was not looked at"))
	case err != nil:
		return &crypto.DamagedError{Layer: "age", Offset: size, Err: fmt.Errorf("the end of the file: %w", err)}
	default:
		v.say(Good("age", 1, "chunks", "the header opens and the last chunk is authentic: nothing is missing behind it; %s", recipientsOf(found)))
	}
	return nil
}
