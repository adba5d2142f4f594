package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/filelock"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Patience is how long a run waits for etcd to let go of its data dir.
type Patience struct {
	Limit  time.Duration // 0 for two minutes: kubelet's grace period is 30 s
	Settle time.Duration // how long it has to be free; 0 for 3 s: kubelet may be starting it again
}

func (p Patience) limit() time.Duration {
	if p.Limit == 0 {
		return 2 * time.Minute
	}
	return p.Limit
}

func (p Patience) settle() time.Duration {
	if p.Settle == 0 {
		return 3 * time.Second
	}
	return p.Settle
}

// doWait waits until nothing has held the data dir for a while.
func doWait(ctx context.Context, r *Run, s Step) error {
	limit := time.NewTimer(r.Patience.limit())
	defer limit.Stop()
	var free time.Time // since when
	for {
		switch err := r.root.inUse(s.From); {
		case errors.Is(err, snapshot.ErrInUse):
			free = time.Time{}
			select {
			case <-limit.C:
				return fmt.Errorf("waiting until %q is free: %w", s.From, err)
			default:
			}
		case err != nil:
			return err
		case free.IsZero():
			free = time.Now()
		case time.Since(free) >= r.Patience.settle():
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(100*time.Millisecond, r.Patience.settle())):
		}
	}
}

// inUse is snapshot.ErrInUse where a process holds the data dir: it has a file
// of it open, or its database locked.
func (r *Root) inUse(dir string) error {
	d, err := datadir.Open(r.Path(dir))
	if errors.Is(err, datadir.ErrNotDataDir) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.InUse(); err != nil {
		return err
	}
	return locked(d.Database())
}

// locked asks for bbolt's lock, which etcd holds as long as it runs.
func locked(database string) error {
	f, err := os.Open(database)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a member that has not started yet, or lost it
	}
	if err != nil {
		return err
	}
	defer f.Close()
	err = filelock.Probe(f)
	if errors.Is(err, filelock.ErrHeld) {
		return &snapshot.InUseError{Path: database}
	}
	return err
}
