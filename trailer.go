package lifeboat

import (
	"context"
	"errors"
	"os"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func wrongTrailer() error {
	return &Error{
		Class: Damaged, Err: errors.New("sha256 trailer: the database is not the one that etcd wrote: damaged or cut"),
		Hint: "take another copy of the backup",
	}
}

// unproven opens a snapshot without waiting for its sha256 trailer: that takes
// longer than all that a status needs, and than a copy, beside which it can run.
func (o *opener) unproven(ctx context.Context, file *os.File) (err error) {
	o.src.kind = Snapshot
	if o.src.db, err = snapshot.OpenFile(ctx, file); err != nil {
		return err
	}
	o.src.file = file
	if o.opts.Trailer == TrailerBeside {
		o.src.late = startTrailer(ctx, o.src.db)
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

// Prove waits for the check of the trailer that TrailerBeside began, and gives
// its error: until then nothing that was made of the backup counts. With
// TrailerFirst it returns nil at once, as Open has proved it.
func (b *Backup) Prove() error {
	if b.late == nil {
		return nil
	}
	<-b.late.done
	b.trailer = b.late.verdict
	if b.late.err == nil && b.trailer == snapshot.TrailerWrong {
		return wrongTrailer()
	}
	return b.late.err
}
