package console

import (
	"context"
	"errors"
	"os"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func wrongTrailer() error {
	return &CodedError{
		Code: ExitDamaged, Err: errors.New("sha256 trailer: the database is not the one that etcd wrote: damaged or cut"),
		Hint: "take another copy of the backup",
	}
}

// unproven opens a snapshot without waiting for its sha256 trailer: that takes
// longer than all that a status needs, and than a copy, beside which it can run.
func (o *Opener) unproven(ctx context.Context, file *os.File) (err error) {
	o.Src.Kind = KindSnapshot
	if o.Src.Db, err = snapshot.OpenFile(ctx, file); err != nil {
		return err
	}
	o.Src.File = file
	if o.Opts.Trailer == TrailerBeside {
		o.Src.late = startTrailer(ctx, o.Src.Db)
	}
	return nil
}

// lateTrailer is a check of the trailer on its way.
type lateTrailer struct {
	cancel  context.CancelFunc
	done    chan struct{}
	verdict snapshot.Trailer
	err     error
}

func startTrailer(ctx context.Context, db *snapshot.DB) *lateTrailer {
	ctx, cancel := context.WithCancel(ctx)
	l := &lateTrailer{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.verdict, l.err = db.Trailer(ctx)
	}()
	return l
}

// stop ends the check, which reads what is about to be closed.
func (l *lateTrailer) stop() {
	if l != nil {
		l.cancel()
		<-l.done
	}
}

// Prove waits for the check of the trailer. Without one that runs beside there
// is nothing left to prove.
func (s *Source) Prove() error {
	if s.late == nil {
		return nil
	}
	<-s.late.done
	s.Trailer = s.late.verdict
	if s.late.err == nil && s.Trailer == snapshot.TrailerWrong {
		return wrongTrailer()
	}
	return s.late.err
}
