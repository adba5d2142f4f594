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

// copied is the record of a copy. It is written before the copy has its name.
type copied struct {
	Name      string `json:"name"`
	Of        string `json:"of"`   // version of the source
	Size      int64  `json:"size"` // of the copy
	SHA256    string `json:"sha256"`
	Signature string `json:"signature,omitempty"` // of the copy
}

func copiesOf(e place.Entry) string {
	sum := sha256.Sum256([]byte(e.Name + "\x00" + e.Version))
	return ".lifeboat/rekeyed/" + hex.EncodeToString(sum[:16])
}

// resume holds what stands in the other place against what former runs have
// written down, and gives it the signature that a kill has kept from it.
func (k *rekeying) resume(ctx context.Context, e, have place.Entry) (signed bool, err error) {
	c, err := k.recorded(ctx, e, have)
	switch {
	case err != nil:
		return false, err
	case c == nil:
		return false, refusef("it is there already, and no re-keyed copy of this one")
	case have.Signed || k.how.Signer == nil:
		return have.Signed, nil
	}
	err = k.sign(ctx, have, []byte(c.Signature))
	return err == nil, err
}

// recorded is the record of the copy that stands in the other place, by its
// content; nil when no former run has made it.
func (k *rekeying) recorded(ctx context.Context, e, have place.Entry) (*copied, error) {
	names, err := k.to.Below(ctx, copiesOf(e))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	file, err := k.to.Open(ctx, have)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	digest, err := hexSum(ctxio.Reader(ctx, file))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var c copied
		text, err := k.to.Read(ctx, name, 1<<16)
		if err == nil && json.Unmarshal(text, &c) == nil && c.Name == e.Name && c.Of == e.Version && c.SHA256 == digest {
			return &c, nil
		}
	}
	return nil, nil
}

// copy streams an archive from one place to the other.
func (k *rekeying) copy(ctx context.Context, e place.Entry) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	go func() { w.CloseWithError(k.write(ctx, w, e)) }()
	defer r.Close()
	sum := sha256.New()
	counted := &countedReader{r: io.TeeReader(r, sum)}
	var signed *signing
	var signature []byte
	content := io.Reader(counted)
	if k.how.Signer != nil {
		signed = k.startSigning(ctx, e)
		defer signed.stop()
		content = io.TeeReader(counted, signed)
	}
	content = &atEnd{content, func() error {
		if signed != nil {
			var err error
			if signature, err = signed.end(); err != nil {
				return err
			}
		}
		record, err := json.Marshal(copied{e.Name, e.Version, counted.n, hex.EncodeToString(sum.Sum(nil)), string(signature)})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s/%x.json", copiesOf(e), sum.Sum(nil)[:8])
		return k.to.Put(ctx, name, bytes.NewReader(record))
	}}
	if err := k.to.Put(ctx, e.Name, content); err != nil {
		return err
	}
	if signed == nil {
		return nil
	}
	return k.to.Put(ctx, e.Name+SignatureSuffix, bytes.NewReader(signature))
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

// sign puts a signature beside a copy that a killed run has left without. It is
// the one that the run made of what it read itself: what stands in the place is not
// signed for standing there.
func (k *rekeying) sign(ctx context.Context, have place.Entry, signature []byte) error {
	file, err := k.to.Open(ctx, have)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = k.how.Signer.Verifier().Verify(ctxio.Reader(ctx, file), signature)
	if errors.Is(err, crypto.ErrSignature) {
		return refusef("it is there without a signature, and this key has made none of it: remove it there, and run again")
	}
	if err != nil {
		return err
	}
	return k.to.Put(ctx, have.Name+SignatureSuffix, bytes.NewReader(signature))
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

// signing signs what is written to it.
type signing struct {
	*io.PipeWriter
	ended     chan struct{}
	signature []byte
	err       error
}

func (k *rekeying) startSigning(ctx context.Context, e place.Entry) *signing {
	comment := k.comment(ctx, e)
	r, w := io.Pipe()
	s := &signing{PipeWriter: w, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.signature, s.err = k.how.Signer.Sign(r, comment)
		r.CloseWithError(s.err)
	}()
	return s
}

func (s *signing) end() ([]byte, error) {
	err := s.Close()
	<-s.ended
	return s.signature, errors.Join(err, s.err)
}

// stop gives up what was not ended.
func (s *signing) stop() {
	s.CloseWithError(context.Canceled)
	<-s.ended
}
