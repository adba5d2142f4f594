package lifeboat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/archive/place/bucket"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
	"github.com/lifeboat-dr/lifeboat/internal/shard"
)

// RekeyOptions say how the archives of a place are re-keyed.
type RekeyOptions struct {
	Change crypto.Change // as of crypto.Rekey
	Rotate bool          // encrypt anew, to Change.Only, with fresh keys
	Signer *crypto.Signer
	Shard  shard.Shard // the zero value is all
}

// Rekeyed is what became of one archive of a place.
type Rekeyed struct {
	Name   string `json:"name"`
	Action string `json:"action"` // re-keyed, already there, failed
	Reason string `json:"reason,omitempty"`
	Signed bool   `json:"signed"`

	err error
}

// RekeyPlace copies the archives of a place to another one, which is made where it
// is a folder that is not there, each under a new header or, with Rotate, a new
// key; never in place. What a killed run has
// copied is not copied again. An error of a single archive is in its Rekeyed; see
// RekeyVerdict.
func RekeyPlace(ctx context.Context, from place.Store, target string, opts Options, how RekeyOptions) ([]Rekeyed, error) {
	entries, err := listPlace(ctx, from)
	if err != nil {
		return nil, err
	}
	to, err := makePlace(ctx, from.Root(), target)
	if err != nil {
		return nil, err
	}
	there, err := to.List(ctx)
	if err != nil {
		return nil, err
	}
	t, err := newTellers(from, opts)
	if err != nil {
		return nil, err
	}
	k := &rekeying{tellers: t, to: to, how: how, there: map[string]place.Entry{}}
	for _, e := range there {
		k.there[e.Name] = e
	}
	mine := share(entries, how.Shard)
	phase := opts.Observer.start("re-keying "+from.Root(), sizeOf(mine))
	defer phase.Done()
	done := make([]Rekeyed, len(mine))
	err = sideBySide(ctx, len(mine), rekeysAtOnce, func(i int) error {
		done[i] = k.one(ctx, mine[i])
		phase.Add(mine[i].Size)
		return ctx.Err()
	})
	return done, err
}

// rekeysAtOnce is a few: each copies at the speed of the two places.
const rekeysAtOnce = 4

func sizeOf(entries []place.Entry) (total int64) {
	for _, e := range entries {
		total += e.Size
	}
	return total
}

// makePlace opens the place that copies go to. Neither place may hold the other.
func makePlace(ctx context.Context, from, to string) (place.Store, error) {
	a, err := realPlace(from)
	if err != nil {
		return nil, err
	}
	b, err := realPlace(to)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
		return nil, refusef("re-keying %q to %q: the copies belong in another place: a half-done place would be lost", from, to)
	}
	if !bucket.Is(to) {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return nil, err
		}
	}
	return OpenPlace(ctx, to)
}

// realPlace is a place without links, with a slash at its end. What does not
// exist yet stands in what does.
func realPlace(root string) (string, error) {
	if bucket.Is(root) {
		return strings.TrimSuffix(root, "/") + "/", nil
	}
	path, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	for rest := ""; ; path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest) {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return strings.TrimSuffix(filepath.Join(real, rest), "/") + "/", nil
		}
		if path == filepath.Dir(path) || !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
}

// rekeying is one run of RekeyPlace.
type rekeying struct {
	*tellers
	to    place.Store
	how   RekeyOptions
	there map[string]place.Entry
}

func (k *rekeying) one(ctx context.Context, e place.Entry) Rekeyed {
	r := Rekeyed{Name: e.Name, Action: "re-keyed"}
	have, exists := k.there[e.Name]
	switch {
	case !exists:
		r.err = k.copy(ctx, e)
		r.Signed = r.err == nil && k.how.Signer != nil
	default:
		r.Action = "already there"
		r.Signed, r.err = k.resume(ctx, e, have)
	}
	if r.err != nil {
		r.Action, r.Reason = "failed", r.err.Error()
	}
	return r
}

// copied is the record of a copy, which is known again by its signature or, where
// it has none, by its digest. It is written before the copy has its name.
type copied struct {
	Name      string `json:"name"`
	Of        string `json:"of"` // version of the source
	SHA256    string `json:"sha256,omitempty"`
	Signature string `json:"signature,omitempty"`
}

func copiesOf(e place.Entry) string {
	sum := sha256.Sum256([]byte(e.Name + "\x00" + e.Version))
	return ".lifeboat/rekeyed/" + hex.EncodeToString(sum[:16])
}

// resume holds what stands in the other place against what former runs have
// written down, and gives it the signature that a kill has kept from it. That is
// the one of what the run read itself: a copy is not signed for standing there.
func (k *rekeying) resume(ctx context.Context, e, have place.Entry) (signed bool, err error) {
	records, err := k.records(ctx, e)
	if err != nil {
		return false, err
	}
	for _, c := range records {
		made, err := k.made(ctx, c, have)
		switch {
		case err != nil:
			return false, err
		case !made:
		case have.Signed || k.how.Signer == nil:
			return have.Signed, nil
		case c.Signature == "":
			return false, refusef("it is there without a signature, and this key has made none of it: remove it there, and run again")
		default:
			err = k.to.Put(ctx, have.Name+SignatureSuffix, strings.NewReader(c.Signature))
			return err == nil, err
		}
	}
	return false, refusef("it is there already, and no re-keyed copy of this one")
}

// records are those of all copies of an archive.
func (k *rekeying) records(ctx context.Context, e place.Entry) ([]copied, error) {
	names, err := k.to.Below(ctx, copiesOf(e))
	var list []copied
	for _, name := range names {
		var c copied
		text, err := k.to.Read(ctx, name, 1<<16)
		if err == nil && json.Unmarshal(text, &c) == nil && c.Name == e.Name && c.Of == e.Version {
			list = append(list, c)
		}
	}
	return list, err
}

// made reports whether what stands in the other place is the copy of a record.
func (k *rekeying) made(ctx context.Context, c copied, have place.Entry) (bool, error) {
	file, err := k.to.Open(ctx, have)
	if err != nil {
		return false, err
	}
	defer file.Close()
	switch {
	case c.Signature == "":
		digest, err := hexSum(ctxio.Reader(ctx, file))
		return digest == c.SHA256, err
	case k.how.Signer == nil:
		return false, refusef("a former run has signed its copies: give --sign, as it was given")
	}
	_, err = k.how.Signer.Verifier().Verify(ctxio.Reader(ctx, file), []byte(c.Signature))
	if errors.Is(err, crypto.ErrSignature) {
		return false, nil
	}
	return err == nil, err
}

// copy streams an archive from one place to the other.
func (k *rekeying) copy(ctx context.Context, e place.Entry) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	go func() { w.CloseWithError(k.write(ctx, w, e)) }()
	defer r.Close()
	content, sealed := k.sealed(ctx, e, r)
	var c copied
	content = &atEnd{content, func() (err error) {
		if c, err = sealed(); err != nil {
			return err
		}
		record, err := json.Marshal(c)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(record)
		return k.to.Put(ctx, fmt.Sprintf("%s/%x.json", copiesOf(e), sum[:8]), bytes.NewReader(record))
	}}
	err := k.to.Put(ctx, e.Name, content)
	if err != nil || c.Signature == "" {
		return err
	}
	return k.to.Put(ctx, e.Name+SignatureSuffix, strings.NewReader(c.Signature))
}

// sealed reads a copy and gives its record at the end. What is signed needs no
// other sum.
func (k *rekeying) sealed(ctx context.Context, e place.Entry, r io.Reader) (io.Reader, func() (copied, error)) {
	if k.how.Signer != nil {
		signing := k.how.Signer.Through(r)
		return signing, func() (copied, error) {
			signature, err := signing.Signature(k.comment(ctx, e))
			return copied{Name: e.Name, Of: e.Version, Signature: string(signature)}, err
		}
	}
	sum := sha256.New()
	return io.TeeReader(r, sum), func() (copied, error) {
		return copied{Name: e.Name, Of: e.Version, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
	}
}

// write writes the re-keyed archive.
func (k *rekeying) write(ctx context.Context, w io.Writer, e place.Entry) error {
	if k.how.Rotate {
		in, err := newOpenerIn(k.store, e, k.opts).decrypt(ctx)
		if err != nil {
			return err
		}
		defer in.Close()
		if !in.Info.Encrypted {
			return crypto.ErrNotEncrypted
		}
		out, err := crypto.NewWriter(w, in.Info.Armored, k.how.Change.Only...)
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 1<<20))
		}
		if err != nil {
			return err
		}
		return out.Close()
	}
	in, err := newOpenerIn(k.store, e, k.opts).sealed(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = crypto.Rekey(w, ctxio.Reader(ctx, in), in.Keys, k.how.Change)
	return err
}

// comment says of the copy what is told of the source.
func (k *rekeying) comment(ctx context.Context, e place.Entry) string {
	l := k.tell(ctx, e)
	recipients := "unchanged"
	if list := slices.Concat(k.how.Change.Only, k.how.Change.Add); len(list) > 0 {
		var names []string
		for _, r := range list {
			names = append(names, r.Fingerprint())
		}
		recipients = strings.Join(names, ",")
		if len(k.how.Change.Only) == 0 {
			recipients = "former," + recipients
		}
	}
	return l.comment(recipients)
}

// RekeyVerdict is the worst of what became of the archives, nil when all are
// there.
func RekeyVerdict(done []Rekeyed) error {
	var errs []error
	for _, r := range done {
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", r.Name, r.err))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	e := &Error{Class: ClassOf(errors.Join(errs...)), Err: fmt.Errorf("of %d archives, %d are not re-keyed", len(done), len(errs))}
	if e.Class == Failed {
		e.Hint = "run it again: what is copied is not copied twice"
	}
	return e
}

// atEnd does something before whoever reads hears of the end.
type atEnd struct {
	io.Reader
	do func() error
}

func (a *atEnd) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err == io.EOF && a.do != nil {
		do := a.do
		a.do = nil
		if failed := do(); failed != nil {
			return n, failed
		}
	}
	return n, err
}
