package lifeboat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// Outcome is what a look at one archive of a place came to.
type Outcome string

// The outcomes. Of the last two nothing is known yet: they are no verdicts.
const (
	OutcomeGood       Outcome = "good"
	OutcomeMismatch   Outcome = "MISMATCH"    // whole, and its parts do not belong together
	OutcomeNoKey      Outcome = "no key"      // none at hand opens it
	OutcomeBad        Outcome = "BAD"         // damaged, or its signature is not good
	OutcomeRefused    Outcome = "refused"     // it could be read, and must not
	OutcomeNotChecked Outcome = "not checked" // it was not its turn
	OutcomeFailed     Outcome = "failed"      // the place did not give it, or not as it was listed
)

// Verdict reports whether the outcome says something about the archive.
func (o Outcome) Verdict() bool { return o != OutcomeFailed && o != OutcomeNotChecked && o != "" }

// Finding is one archive of a place and what is known of it. It is what a ledger
// keeps.
type Finding struct {
	Name    string  `json:"name"`
	Version string  `json:"version"` // of the content that was looked at
	Size    int64   `json:"size"`    // bytes
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // why it is not good
	Checks  []Check `json:"checks,omitempty"` // of which Outcome is the sum

	Told            Teller    `json:"told"`
	Cluster         string    `json:"cluster,omitempty"` // UID of the namespace kube-system
	Revision        int64     `json:"revision,omitempty"`
	CompactRevision int64     `json:"compactRevision,omitempty"`
	Hash            uint32    `json:"hash,omitempty"`  // etcd's, 0 where it was not computed
	Time            time.Time `json:"time,omitzero"`   // of the snapshot
	Clock           bool      `json:"clock,omitempty"` // Time is by the snapshot's own Leases
	Signer          string    `json:"signer,omitempty"`

	Run    string    `json:"run,omitempty"` // that looked
	Looked time.Time `json:"looked"`        // when
}

// ToldByContent is the teller of an archive that was read whole.
const ToldByContent Teller = "content"

// newFinding is of an archive that nobody has looked at.
func newFinding(e place.Entry, now time.Time) Finding {
	return Finding{Name: e.Name, Version: e.Version, Size: e.Size, Outcome: OutcomeNotChecked, Looked: now}
}

// verified looks at all of an archive. An error says that the look was cut short
// by ctx.
func (t *tellers) verified(ctx context.Context, e place.Entry, now time.Time) (Finding, error) {
	f := newFinding(e, now)
	err := f.read(ctx, newOpenerIn(t.store, e, t.opts))
	if ctx.Err() != nil {
		return f, ctx.Err()
	}
	if err == nil {
		err = Verdict(f.Checks)
	}
	if err == nil {
		err = f.named()
	}
	f.Outcome = outcomeOf(err)
	if err != nil {
		f.Reason = strings.TrimPrefix(err.Error(), fmt.Sprintf("opening %q: ", e.Path))
	}
	if f.Told == ToldByNobody { // it could not be read: what does it say it is?
		f.tellFrom(t.tell(ctx, e))
	}
	return f, nil
}

// told is an archive that is not looked at.
func (t *tellers) told(ctx context.Context, e place.Entry, now time.Time) Finding {
	f := newFinding(e, now)
	l := t.tell(ctx, e)
	f.tellFrom(l)
	f.Reason = l.Problem
	return f
}

func (f *Finding) tellFrom(l Listing) {
	if l.Told != ToldByNobody {
		f.Told, f.Cluster, f.Revision, f.Time, f.Clock, f.Signer = l.Told, l.Cluster, l.Revision, l.Time, l.Clock, l.Signer
	}
}

// read opens the archive, checks all of it and takes the facts out of it.
func (f *Finding) read(ctx context.Context, o *opener) error {
	defer o.release()
	if err := o.open(ctx); err != nil {
		return errors.Join(err, o.src.Close())
	}
	b := o.src
	defer b.Close()
	v, found, err := b.verify(ctx)
	if err != nil {
		return err
	}
	seen := v.sighting(found)
	v.say(NotChecked(olderCheck, "in a place, the newest of its cluster alone is held against this host"))
	f.Checks = v.checks
	f.Told, f.Cluster, f.Revision, f.CompactRevision, f.Hash, f.Signer = ToldByContent, seen.Cluster, seen.Revision, seen.CompactRevision, seen.Hash, seen.Key
	f.Time, f.Clock = b.snapshotTime(ctx)
	return nil
}

// snapshotTime is when the snapshot was made, by its own Leases where it has
// any, else as the archive says.
func (b *Backup) snapshotTime(ctx context.Context) (at time.Time, clock bool) {
	if c, err := b.Clock(ctx); err == nil && c.Doubt == "" {
		if m := c.Time(b.db.Revision()); m.Known() {
			return m.Time().UTC().Truncate(time.Second), true
		}
	}
	if m := b.Manifest(); m != nil {
		return m.Time, false
	}
	return b.modTime.UTC(), false
}

// named holds the cluster against a name that archive create has made.
func (f *Finding) named() error {
	if said, ok := clusterInName(f.Name); ok && f.Cluster != "" && !strings.HasPrefix(f.Cluster, said) {
		return &Error{Class: Incomplete, Err: fmt.Errorf("it is of cluster %s, and its name says %s: another cluster's archive in its place", f.Cluster, said)}
	}
	return nil
}

// outcomeOf is what an error says of an archive.
func outcomeOf(err error) Outcome {
	if err == nil {
		return OutcomeGood
	}
	if errors.Is(err, place.ErrReplaced) || errors.Is(err, fs.ErrPermission) {
		return OutcomeFailed
	}
	switch ClassOf(err) {
	case Damaged:
		return OutcomeBad
	case NoKey:
		return OutcomeNoKey
	case Incomplete:
		return OutcomeMismatch
	case Refused:
		return OutcomeRefused
	default:
		return OutcomeFailed
	}
}

// readFinding reads a record of a ledger.
func readFinding(record []byte) (Finding, error) {
	f := Finding{}
	if err := json.Unmarshal(record, &f); err != nil || f.Name == "" || f.Version == "" || f.Outcome == "" {
		return f, &Error{
			Class: Damaged, Err: errors.New("reading the ledger: a record is damaged"),
			Hint: "the records are in .lifeboat/verified of the place and may be removed: the archives are then looked at again",
		}
	}
	return f, nil
}
