package datadir

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// ErrNoBridge says that a log does not continue an older database.
var ErrNoBridge = errors.New("the log does not continue the older backup")

// LogAt is a folder of log segments by itself, without the data dir that they
// are from. Survey reads it; there is no database.
func LogAt(path string) *Dir { return &Dir{Path: path, member: path, wal: path} }

// Bridge puts the entries of the dir's log onto an older database of the same
// cluster: a nightly snapshot, of whichever member. Compactions are passed over,
// so the result has every revision from the older database on, and can be
// restored to each of them. base and its file stay the caller's.
//
// That it is the same history is proved by the term of the entry at which the
// two meet, and, where the dir's own database can be read, by comparing the
// result with it, record by record: a difference is a *snapshot.ForkError.
// Without that database the ids in the log, and what its entries up to there
// wrote, are compared with base; what is disproved is ErrForeignLog, and how well
// the rest is known stands in the result's Survivor. A log that begins too late
// is ErrNoBridge. The caller closes the Replay's File.
func (s *Survivor) Bridge(ctx context.Context, base *snapshot.DB, file *os.File, spool snapshot.Spool) (*Replay, error) {
	r, err := s.bridge(ctx, base, file, spool)
	if err != nil {
		return nil, fmt.Errorf("continuing an older backup with the log of %q: %w", s.Dir.Path, err)
	}
	return r, nil
}

func (s *Survivor) bridge(ctx context.Context, base *snapshot.DB, file *os.File, spool snapshot.Spool) (*Replay, error) {
	old := &Survivor{Dir: s.Dir, Log: s.Log, V2: s.V2, Database: fdPath(file)}
	if err := old.read(base); err != nil {
		return nil, err
	}
	old.Info.FileSize = old.Info.Size // the log is put onto the pages, without a trailer
	if err := s.meets(old.Info.RaftIndex, old.Info.RaftTerm); err != nil {
		return nil, err
	}
	if s.DatabaseErr != nil {
		if err := old.continues(ctx, base); err != nil {
			return nil, err
		}
	}
	r, err := old.replay(ctx, ReplayOptions{Spool: spool, keepHistory: true})
	if err != nil {
		return nil, err
	}
	if err := s.compareWithOwn(ctx, r); err != nil {
		return nil, errors.Join(err, r.File.Close())
	}
	return r, nil
}

// continues weighs whether the log is of an older database's cluster.
func (s *Survivor) continues(ctx context.Context, base *snapshot.DB) (err error) {
	if s.newest, err = newestOf(ctx, base); err != nil {
		return err
	}
	s.Belongs = s.sameMembers()
	if s.Belongs.Verdict != Disproved {
		w, err := s.written(ctx)
		if err != nil {
			return err
		}
		if content := s.judge(w); content.Verdict != NotProvable {
			s.Belongs = content
		}
	}
	if s.Belongs.Verdict == Disproved {
		return fmt.Errorf("%w: %s", ErrForeignLog, s.Belongs.Reason)
	}
	return nil
}

// meets makes sure that the log goes on where a database of that entry ends.
func (s *Survivor) meets(index, term uint64) error {
	stretch := s.Log.at(index + 1)
	if stretch == nil {
		stretch = s.Log.at(index)
	}
	switch {
	case stretch == nil && len(s.Log.Stretches) == 0:
		return fmt.Errorf("%w: it has no entries", ErrNoBridge)
	case stretch == nil:
		return fmt.Errorf("%w: that ends with entry %d, and the log has entries %d to %d", ErrNoBridge, index,
			s.Log.Stretches[0].First, s.Log.Stretches[len(s.Log.Stretches)-1].Last)
	}
	if own, ok := stretch.Term(index); ok && term != 0 && own != term {
		return fmt.Errorf("%w: entry %d is of term %d there and of term %d in the log", ErrNoBridge, index, term, own)
	}
	return nil
}

// compareWithOwn holds the result against the dir's own database.
func (s *Survivor) compareWithOwn(ctx context.Context, r *Replay) error {
	if s.DatabaseErr != nil {
		return nil // nothing to compare with
	}
	own, err := snapshot.Open(ctx, s.Database)
	if err != nil {
		return err
	}
	defer own.Close()
	twin, err := os.Open(fdPath(r.File))
	if err != nil {
		return err
	}
	bridged, err := snapshot.OpenFile(ctx, twin)
	if err != nil {
		return err
	}
	defer bridged.Close()
	_, err = snapshot.Join(ctx, snapshot.Part{Name: "the older backup with the log", DB: bridged}, snapshot.Part{Name: s.Database, DB: own})
	return err
}
