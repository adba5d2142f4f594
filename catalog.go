package lifeboat

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// Listing is one archive of a place and what is told about it without reading
// it to its end.
type Listing struct {
	place.Entry
	Cluster    string    // UID of the namespace kube-system, "" when nobody tells
	Revision   int64     // of etcd, 0 when nobody tells
	Time       time.Time // of the snapshot
	Clock      bool      // Time is by the snapshot's own Leases, not the file's time stamp
	Node       string
	Kubernetes string   // version
	Etcd       string   // version
	Recipients []string // fingerprints, where the signature tells them
	Signer     string   // id of the key whose signature covers what is told
	Told       Teller   // who tells the above

	Proof    *ProofRecord // of the last proof, nil when none is recorded beside it
	Unproven string       // why the record beside it is none of it; "" elsewhere
	Problem  string       // why nobody does; "" when somebody does
}

// Teller is where a Listing's facts come from.
type Teller string

// The tellers. None of them has looked at the snapshot: Verify does.
const (
	ToldByNobody    Teller = ""
	ToldBySignature Teller = "signature"    // its trusted comment, good under Options.PubKey
	ToldByArchive   Teller = "RECOVERY.txt" // the archive's first entry, which its maker wrote
)

// Catalog tells what the archives of a place are, by name: under Options.PubKey
// from the comments of their signatures, else from the beginning of each, which
// a key opens. With both, the two have to tell the same. What tells nothing is
// listed with the reason.
//
// A comment is proven by the signature; that the file is the one that was
// signed is Verify's to say.
func Catalog(ctx context.Context, store place.Store, opts Options) ([]Listing, error) {
	return catalog(ctx, store, opts, func(context.Context, *tellers) *catalogCache { return nil })
}

// CachedCatalog is Catalog, and does not ask an archive again that told whoever
// held the same key before. What it learned is kept in the place, encrypted, where
// that can be written to.
func CachedCatalog(ctx context.Context, store place.Store, opts Options) ([]Listing, error) {
	return catalog(ctx, store, opts, func(ctx context.Context, t *tellers) *catalogCache { return t.openCache(ctx) })
}

func catalog(ctx context.Context, store place.Store, opts Options, open func(context.Context, *tellers) *catalogCache) ([]Listing, error) {
	entries, err := listPlace(ctx, store)
	if err != nil {
		return nil, err
	}
	t, err := newTellers(store, opts)
	if err != nil {
		return nil, err
	}
	list, cache := make([]Listing, len(entries)), open(ctx, t)
	err = sideBySide(ctx, len(entries), tellersAtOnce, func(i int) error {
		var known bool
		if list[i], known = cache.listing(entries[i]); !known {
			list[i] = t.ask(ctx, entries[i])
			t.complete(ctx, &list[i])
			cache.add(list[i])
		}
		list[i].readProof(ctx, store)
		return ctx.Err()
	})
	if err == nil {
		cache.save(ctx)
	}
	return list, err
}

// tellersAtOnce is how many archives are asked side by side: what takes time is
// the way to the store.
const tellersAtOnce = 16

// listPlace gives the archives of a place, one at least.
func listPlace(ctx context.Context, store place.Store) ([]place.Entry, error) {
	entries, err := store.List(ctx)
	if err == nil && len(entries) == 0 {
		err = &Error{Class: Failed, Err: fmt.Errorf("reading %q: %w", store.Root(), place.ErrEmpty)}
	}
	return entries, err
}

// tellers ask archives of a place what they are.
type tellers struct {
	store    place.Store
	opts     Options // without an Observer: forty warnings that nothing is signed help nobody
	verifier *crypto.Verifier
}

func newTellers(store place.Store, opts Options) (*tellers, error) {
	var err error
	t := &tellers{store: store}
	if t.opts, err = opts.withKeys(); err != nil {
		return nil, err
	}
	t.opts.Observer = Observer{}
	if opts.PubKey != "" {
		if t.verifier, err = crypto.ReadVerifier(opts.PubKey); err != nil {
			return nil, &Error{Class: Misused, Err: err}
		}
	}
	return t, nil
}

// tell gives all that is known of an archive without reading it to its end.
func (t *tellers) tell(ctx context.Context, e place.Entry) Listing {
	l := t.ask(ctx, e)
	l.readProof(ctx, t.store)
	return l
}

// ask lets the archive, or the signature beside it, say what it is.
func (t *tellers) ask(ctx context.Context, e place.Entry) Listing {
	l := Listing{Entry: e}
	var err error
	if t.verifier != nil {
		err = l.readComment(ctx, t.store, t.verifier)
	} else {
		err = l.readBeginning(ctx, t.store, t.opts)
	}
	if err != nil {
		l.Problem = err.Error()
	}
	return l
}

// complete adds what a signature does not tell, where a key opens the archive. The
// two have to speak of the same snapshot.
func (t *tellers) complete(ctx context.Context, l *Listing) {
	if l.Told != ToldBySignature || len(t.opts.Identities) == 0 {
		return
	}
	inside := Listing{Entry: l.Entry}
	if inside.readBeginning(ctx, t.store, t.opts) != nil {
		return // of another program, or under another key
	}
	if inside.Cluster != l.Cluster || inside.Revision != l.Revision {
		*l = Listing{Entry: l.Entry, Problem: fmt.Sprintf("its signature tells of revision %d of cluster %s, and RECOVERY.txt in it of revision %d of cluster %s",
			l.Revision, orDash(l.Cluster), inside.Revision, orDash(inside.Cluster))}
		return
	}
	l.Node, l.Kubernetes, l.Etcd = inside.Node, inside.Kubernetes, inside.Etcd
}

func (l *Listing) readProof(ctx context.Context, store place.Store) {
	var err error
	if l.Proof, err = readProof(ctx, store, l.Entry); err != nil {
		l.Unproven = err.Error()
	}
}

// readComment takes the facts out of the trusted comment: "lifeboat archive
// cluster=UID revision=N time=RFC3339 recipients=a,b".
func (l *Listing) readComment(ctx context.Context, store place.Store, verifier *crypto.Verifier) error {
	signature, err := signatureIn(ctx, store, l.Entry)
	if err != nil {
		return err
	}
	comment, err := verifier.Comment(signature)
	if err != nil {
		return err
	}
	words, ok := strings.CutPrefix(comment, "lifeboat archive ")
	if !ok {
		return fmt.Errorf("the signature's comment is not one of an archive")
	}
	fields := map[string]string{}
	for word := range strings.FieldsSeq(words) {
		name, value, _ := strings.Cut(word, "=")
		fields[name] = undash(value)
	}
	l.Signer, l.Cluster = verifier.ID(), fields["cluster"]
	if recipients := fields["recipients"]; recipients != "" && recipients != "none" {
		l.Recipients = strings.Split(recipients, ",")
	}
	return l.tell(ToldBySignature, fields["revision"], fields["time"], fields["clock"])
}

// readBeginning takes the facts out of RECOVERY.txt, which stands first.
func (l *Listing) readBeginning(ctx context.Context, store place.Store, opts Options) error {
	o := newOpenerIn(store, l.Entry, opts)
	o.opts.PubKey = "" // nothing is checked but what a key opens
	in, err := o.decrypt(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	limits := opts.limits()
	limits.Beginning = true
	reader, err := archive.NewReader(io.LimitReader(in, maxBeginning), limits)
	if err != nil {
		return err
	}
	entry, err := reader.Next()
	if err != nil {
		return err
	}
	if entry.Name != "RECOVERY.txt" {
		return fmt.Errorf("it does not begin with RECOVERY.txt: another program made it")
	}
	fields := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(reader, maxRecovery))
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); strings.HasPrefix(lines.Text(), "  ") && len(words) >= 2 {
			if _, seen := fields[words[0]]; !seen {
				fields[words[0]] = undash(words[1])
			}
			if i := slices.Index(words, "revision"); words[0] == "etcd" && i > 0 && i+1 < len(words) {
				fields["etcd"] = undash(strings.TrimSuffix(words[1], ","))
				fields["revision"] = words[i+1]
			}
		}
	}
	l.Node, l.Cluster, l.Kubernetes, l.Etcd = fields["node"], fields["cluster"], fields["Kubernetes"], fields["etcd"]
	return l.tell(ToldByArchive, fields["revision"], fields["time"], fields["clock"])
}

// maxBeginning is how much of an archive's content is read for its first entry.
const maxBeginning = 64 << 10

// maxRecovery bounds what is read of RECOVERY.txt.
const maxRecovery = 64 << 10

// tell ends the reading: a teller without revision or time is none. The
// snapshot's own clock counts before the time stamp of its file.
func (l *Listing) tell(by Teller, revision, at, clock string) error {
	n, err := strconv.ParseInt(revision, 10, 64)
	if err != nil || n <= 0 {
		return fmt.Errorf("%s tells no revision of etcd", by)
	}
	if clock, _, _ = strings.Cut(clock, ","); clock != "" {
		at, l.Clock = clock, true
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return fmt.Errorf("%s tells no time of the snapshot", by)
	}
	l.Revision, l.Time, l.Told = n, t.UTC(), by
	return nil
}

// comment is the trusted comment that tells of an archive what is listed here.
func (l *Listing) comment(recipients string) string {
	at, clock := "-", "-"
	if l.Told != ToldByNobody {
		at = l.Time.Format(time.RFC3339)
	}
	if l.Clock {
		clock = at
	}
	return fmt.Sprintf("lifeboat archive cluster=%s revision=%d time=%s clock=%s recipients=%s", orDash(l.Cluster), l.Revision, at, clock, recipients)
}

// undash is a value of which "-" says that there is none.
func undash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// PlanPrune decides what of a catalog may go. Nothing goes from a place in which
// something could not be read: what is unread may be what the rest stands for.
// What the place itself holds, under a retention or a legal hold, stays.
func PlanPrune(ctx context.Context, store place.Store, list []Listing, policy place.Policy) ([]place.Decision, error) {
	if err := policy.Validate(); err != nil {
		return nil, &Error{Class: Misused, Err: err}
	}
	facts := make([]place.Facts, len(list))
	for i, l := range list {
		if l.Told == ToldByNobody {
			return nil, &Error{
				Class: Incomplete, Err: fmt.Errorf("pruning: %q cannot be read, so nothing is removed: %s", l.Name, l.Problem),
				Hint: "lifeboat archive catalog names all that cannot be read; give the key with -i, or --pubkey, or move it elsewhere",
			}
		}
		facts[i] = place.Facts{Entry: l.Entry, Cluster: l.Cluster, Revision: l.Revision, Time: l.Time}
		switch {
		case l.Unproven != "":
			return nil, &Error{Class: Incomplete, Err: fmt.Errorf("pruning: the proof of %q cannot be read, so nothing is removed: %s", l.Name, l.Unproven)}
		case l.Proof != nil && l.Proof.Started():
			facts[i].Proven = l.Proof.Proven
		}
	}
	decisions := policy.Apply(facts)
	for i, d := range decisions {
		if d.Keep() {
			continue
		}
		lock, err := store.Locked(ctx, d.Entry)
		if err != nil {
			return nil, &Error{Class: Incomplete, Err: fmt.Errorf("pruning: whether %q is locked cannot be told, so nothing is removed: %w", d.Name, err)}
		}
		if lock != "" {
			decisions[i].Locked, decisions[i].Reasons = lock, []string{lock}
		}
	}
	return decisions, nil
}

// Unread counts the archives of a catalog of which nobody tells anything.
func Unread(list []Listing) int {
	n := 0
	for _, l := range list {
		if l.Told == ToldByNobody {
			n++
		}
	}
	return n
}
