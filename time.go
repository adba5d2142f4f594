package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// past is what a backup holds of the time before its newest revision.
type past struct {
	joined  *snapshot.Joined // nil without older backups
	sources map[*snapshot.DB]*os.File
	bridges []*snapshot.DB // made with a log, or that one was put onto; closed with the backup
	older   []*Backup

	clock *registry.Clock
}

// Join joins older backups of the same cluster to b, in any order: then
// Objects, Extract, History and Clock reach back into them. b takes them over,
// also when it fails. Of each, what both hold is compared record by record; a
// difference is a *snapshot.ForkError.
//
// Where b is a data dir whose log goes on from the end of an older backup, that
// one is continued with the log, and there is no hole between them.
func (b *Backup) Join(ctx context.Context, older ...*Backup) error {
	b.past.older = append(b.past.older, older...)
	b.past.sources = map[*snapshot.DB]*os.File{b.db: b.file}
	parts := []snapshot.Part{{Name: b.path, DB: b.db}}
	for _, o := range b.past.older {
		if err := b.sameCluster(ctx, o); err != nil {
			return err
		}
		part, err := b.bridge(ctx, o)
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	joined, err := snapshot.Join(ctx, parts...)
	if err != nil {
		return &Error{Class: Refused, Err: err}
	}
	for _, link := range joined.Links() {
		switch {
		case !link.Proved():
			b.opts.Observer.warn("%q and %q have no record in common: nothing proves that they hold the same history", link.Older, link.Newer)
		case link.Hole.Last > 0:
			b.opts.Observer.note("revisions %d to %d are in no backup: a hole between %q and %q", link.Hole.First, link.Hole.Last, link.Older, link.Newer)
		}
	}
	b.past.joined, b.past.clock = joined, nil
	return nil
}

// sameCluster compares the uid of kube-system, which every cluster has and
// keeps.
func (b *Backup) sameCluster(ctx context.Context, o *Backup) error {
	var uids [2]string
	for i, backup := range []*Backup{b, o} {
		reg, err := backup.Objects(0)
		if err != nil {
			return err
		}
		if uids[i], err = reg.ClusterUID(ctx); err != nil {
			return err
		}
	}
	if uids[0] != uids[1] && uids[0] != "" && uids[1] != "" {
		return &Error{Class: Refused, Err: fmt.Errorf("%q and %q: %w", b.path, o.path, registry.ErrOtherCluster)}
	}
	return nil
}

// bridge is an older backup, continued with the log of b where that goes on
// from it.
func (b *Backup) bridge(ctx context.Context, o *Backup) (snapshot.Part, error) {
	part := snapshot.Part{Name: o.path, DB: o.db}
	b.past.sources[o.db] = o.file
	if b.replay == nil || o.db.Revision() >= b.db.Windows()[0].First {
		return part, nil // nothing to continue with, or no hole
	}
	replay, err := b.replay.Survivor.Bridge(ctx, o.db, o.file, snapshot.Spool{Where: b.opts.Spool, Dir: b.opts.ScratchDir})
	if errors.Is(err, datadir.ErrNoBridge) {
		b.opts.Observer.note("%v", err)
		return part, nil
	}
	if err != nil {
		return part, err
	}
	db, err := snapshot.OpenFile(ctx, replay.File)
	if err != nil {
		return part, err
	}
	b.past.bridges = append(b.past.bridges, db)
	b.past.sources[db] = replay.File
	b.opts.Observer.note("%q was continued with the log: revisions %d to %d", o.path, o.db.Revision()+1, db.Revision())
	return snapshot.Part{Name: o.path + " and the log", DB: db}, nil
}

// continued puts the log of Options.WALDirs onto the snapshot that was opened:
// from here on the backup is that of the log's end, with every revision on the
// way.
func (o *opener) continued(ctx context.Context) error {
	if len(o.opts.WALDirs) == 0 {
		return nil
	}
	phase := o.opts.Observer.start("replaying the write-ahead log", 0)
	defer phase.Done()
	b, path := o.src, o.opts.WALDirs[0]
	log, err := datadir.LogAt(path).Survey(ctx)
	if err != nil {
		return hintInUse(path, err)
	}
	if log.Log.Segments == 0 {
		return &Error{Class: Failed, Err: fmt.Errorf("--src-wal-dir %q: there is no write-ahead log in it", path)}
	}
	replay, err := log.Bridge(ctx, b.db, b.file, o.opts.spool())
	switch {
	case errors.Is(err, datadir.ErrNoBridge), errors.Is(err, datadir.ErrForeignLog):
		return &Error{Class: Refused, Err: err, Hint: "give the log of a member of this backup's cluster that begins before the backup ends"}
	case err != nil:
		return hintReplay(err, log.Dir)
	}
	db, err := snapshot.OpenFile(ctx, replay.File)
	if err != nil {
		return err
	}
	o.tellReplay(replay)
	o.opts.Observer.note("%q was continued with the log in %q: revisions %d to %d", b.path, path, b.db.Revision()+1, db.Revision())
	b.past.bridges = append(b.past.bridges, b.db) // the trailer may still be read
	b.db, b.file = db, replay.File
	return nil
}

// closePast gives up what Join took over.
func (b *Backup) closePast() error {
	var errs []error
	for _, db := range b.past.bridges {
		errs = append(errs, db.Close())
	}
	for _, o := range b.past.older {
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}

// History is the keyspace with its past, older backups included.
func (b *Backup) History() snapshot.History {
	if b.past.joined != nil {
		return b.past.joined
	}
	return b.db
}

// Holding is the database that can be read, and restored from, at a revision;
// that of b itself where it holds it.
func (b *Backup) Holding(rev int64) (*snapshot.DB, *os.File, error) {
	if b.past.joined == nil || rev == 0 || b.db.Windows()[0].Holds(rev) {
		return b.db, b.file, nil
	}
	for db, file := range b.past.sources {
		if db.Windows()[0].Holds(rev) {
			return db, file, nil
		}
	}
	for _, err := range b.past.joined.At(context.Background(), rev, nil) {
		if err != nil {
			return nil, nil, err
		}
	}
	return b.db, b.file, nil
}

// Clock tells when revisions were written. It is read once.
func (b *Backup) Clock(ctx context.Context) (*registry.Clock, error) {
	if b.past.clock != nil {
		return b.past.clock, nil
	}
	reg, err := b.Objects(0)
	if err != nil {
		return nil, err
	}
	phase := b.opts.Observer.start("reading the clock", 0)
	defer phase.Done()
	return b.keepClock(reg.Clock(ctx))
}

// clockBeside reads the clock while its caller reads something else, which costs
// no time where there is a second core. What it returns waits for the clock and
// has to be called.
func (b *Backup) clockBeside(ctx context.Context) func() (*registry.Clock, error) {
	reg, err := b.Objects(0)
	if err != nil || b.past.clock != nil {
		return func() (*registry.Clock, error) { return b.past.clock, err }
	}
	var clock *registry.Clock
	done := make(chan struct{})
	go func() {
		defer close(done)
		clock, err = reg.Clock(ctx)
	}()
	return func() (*registry.Clock, error) {
		<-done
		return b.keepClock(clock, err)
	}
}

// keepClock says what is wrong with a clock that was read.
func (b *Backup) keepClock(clock *registry.Clock, err error) (*registry.Clock, error) {
	if err != nil {
		return nil, err
	}
	b.warnOfClocks(clock)
	if clock.Doubt != "" {
		b.opts.Observer.warn("%s", clock.Doubt)
	}
	b.past.clock = clock
	return clock, nil
}

// warnOfClocks names the clocks that are wrong, the first of them.
func (b *Backup) warnOfClocks(clock *registry.Clock) {
	const most = 5
	wrong := 0
	for _, s := range clock.Clocks {
		if !s.Wrong() {
			continue
		}
		if wrong++; wrong <= most {
			b.opts.Observer.warn("%s", s)
		}
	}
	if wrong > most {
		b.opts.Observer.warn("%d more clocks are wrong, of %d: their times do not count either", wrong-most, len(clock.Clocks))
	}
}

// RevisionAt is the newest revision that was certainly written by a time, which
// is read as registry.ParseMoment reads it, in a zone; with when it was written.
// A time that is not in the backup is a *registry.TimeError.
func (b *Backup) RevisionAt(ctx context.Context, text string, zone *time.Location) (int64, registry.Moment, error) {
	clock, err := b.Clock(ctx)
	if err != nil {
		return 0, registry.Moment{}, err
	}
	spans := clock.Range()
	at, err := registry.ParseMoment(text, spans[0].LastTime.Time(), zone)
	if err != nil {
		return 0, registry.Moment{}, misusef("%w", err)
	}
	return clock.At(at)
}

// Trash is what was deleted and is still in the history, as of a revision.
func (b *Backup) Trash(ctx context.Context, rev int64, want func(registry.Key) bool) (*registry.Trash, error) {
	reg, err := b.Objects(rev)
	if err != nil {
		return nil, err
	}
	clock, err := b.Clock(ctx)
	if err != nil && !errors.Is(err, registry.ErrNoClock) {
		return nil, err
	}
	return reg.Trash(ctx, clock, want)
}

// HintDeleted adds to an error, that an object or a namespace is not there, when
// it was deleted and where it still is, if the history knows.
func (b *Backup) HintDeleted(ctx context.Context, err error, rev int64, match func(registry.Key) bool) error {
	reg, openErr := b.Objects(rev)
	clock, clockErr := b.Clock(ctx)
	if openErr != nil || clockErr != nil {
		return err
	}
	gone, ok := reg.LastSeen(ctx, clock, match)
	if !ok {
		return err
	}
	where := fmt.Sprintf("--rev %d", gone.Cut)
	if latest := clock.Time(gone.Cut).Latest; !latest.IsZero() {
		at := latest.Truncate(time.Second).Add(time.Second)
		if found, _, err := clock.At(at); err == nil && found <= gone.Cut {
			where = "--at " + at.UTC().Format(time.RFC3339)
		}
	}
	return withHint(err, fmt.Sprintf("it was deleted at revision %d (%s); %s has it, and so has --deleted", gone.Revision, gone.When, where))
}
