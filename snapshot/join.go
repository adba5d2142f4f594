package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Part is one database of a joined history.
type Part struct {
	Name string // for people: the backup that it was found in
	DB   *DB
}

// Joined is the history of one cluster as several of its databases hold it.
// The databases stay the caller's: they are closed after the last use of it.
type Joined struct {
	pieces []piece // the newest first
	links  []Link
}

// piece is what of a database counts: its window, cut where a newer one begins.
type piece struct {
	Part
	window Window
	since  int64 // records above this one are taken from here
}

var _ History = (*Joined)(nil)

// Link says how it was proved that two databases hold the same history.
type Link struct {
	Older    string `json:"older"`
	Newer    string `json:"newer"`
	Compared int64  `json:"compared"` // records that both hold, all of them alike
	Hole     Window `json:"hole"`     // revisions that neither holds; zero for none
}

// Proved reports whether anything was there to compare.
func (l Link) Proved() bool { return l.Compared > 0 }

// ForkError says that two databases have different pasts: one of them was
// restored to before its end, or is another cluster's. It is ErrFork.
type ForkError struct {
	Older, Newer string
	Revision     int64 // the first at which they differ, as far as both show it
}

// ErrFork says that databases do not hold the history of one cluster.
var ErrFork = errors.New("the backups hold different histories")

func (e *ForkError) Error() string {
	return fmt.Sprintf("%v: %q and %q differ from revision %d on", ErrFork, e.Older, e.Newer, e.Revision)
}

// Is makes every ForkError ErrFork.
func (e *ForkError) Is(target error) bool { return target == ErrFork }

// HoleError says that a revision stands between what the backups hold. It is
// ErrCompacted.
type HoleError struct {
	Revision      int64
	Before, After int64 // the nearest revisions that can be read; 0 for none
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("revision %d: no backup holds it; the nearest are %d and %d", e.Revision, e.Before, e.After)
}

// Is makes every HoleError ErrCompacted.
func (e *HoleError) Is(target error) bool { return target == ErrCompacted }

// Join joins databases, in any order, after it has compared what they have in
// common, record by record. Memory grows with the number of keys where there is
// a hole, and not at all with the history. A difference is a *ForkError.
func Join(ctx context.Context, parts ...Part) (*Joined, error) {
	if len(parts) == 0 {
		return nil, errors.New("joining backups: none was given")
	}
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.DB.revision, a.DB.revision), cmp.Compare(a.DB.compacted, b.DB.compacted))
	})
	j := &Joined{}
	for i, p := range parts {
		if i == 0 {
			j.pieces = append(j.pieces, piece{Part: p, window: p.DB.Windows()[0]})
			continue
		}
		link, err := compareHistories(ctx, p, parts[i-1])
		if err != nil {
			return nil, fmt.Errorf("joining backups: %w", err)
		}
		j.links = append(j.links, link)
		j.add(p)
	}
	return j, nil
}

// add adds a database that is no newer than those before it, unless they hold
// all that it holds.
func (j *Joined) add(p Part) {
	last := &j.pieces[len(j.pieces)-1]
	w := p.DB.Windows()[0]
	if w.First >= last.window.First {
		return
	}
	w.Last = min(w.Last, last.window.First)
	last.since = w.Last
	j.pieces = append(j.pieces, piece{Part: p, window: w})
}

// Links say how each backup, the newest first, is connected to the next one.
func (j *Joined) Links() []Link { return j.links }

// Revision meets Reader.
func (j *Joined) Revision() int64 { return j.pieces[0].window.Last }

// Windows meets History. Pieces that touch are one window.
func (j *Joined) Windows() []Window {
	var all []Window
	for _, p := range j.pieces {
		if n := len(all); n > 0 && all[n-1].First == p.window.Last {
			all[n-1].First = p.window.First
			continue
		}
		all = append(all, p.window)
	}
	return all
}

// Holder names the backup that answers for a revision, "" when none does.
func (j *Joined) Holder(rev int64) string {
	for _, p := range j.pieces {
		if p.window.Holds(rev) {
			return p.Name
		}
	}
	return ""
}

// At meets Reader. A revision in a hole is a *HoleError.
func (j *Joined) At(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[KeyValue, error] {
	for _, p := range j.pieces {
		if rev == 0 || p.window.Holds(rev) || rev > p.window.Last && p.DB == j.pieces[0].DB {
			return p.DB.At(ctx, rev, match)
		}
	}
	hole := &HoleError{Revision: rev}
	for _, p := range j.pieces {
		if p.window.First > rev {
			hole.After = p.window.First
		} else if p.window.Last < rev && hole.Before == 0 {
			hole.Before = p.window.Last
		}
	}
	return func(yield func(KeyValue, error) bool) { yield(KeyValue{}, hole) }
}

// Changes meets History. A Key and Value belong to the database they are from.
func (j *Joined) Changes(ctx context.Context, match func(key []byte) bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, p := range j.pieces {
			for r, err := range p.DB.changes(ctx, p.since, p.window.Last, match) {
				if err != nil {
					yield(Record{}, fmt.Errorf("%q: %w", p.Name, err))
					return
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}
