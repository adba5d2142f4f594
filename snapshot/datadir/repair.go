package datadir

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// RepairOptions say what to do to a database that is full.
type RepairOptions struct {
	Disarm  bool  // clear the alarms
	Compact bool  // drop the history, as etcd's compaction does
	Keep    int64 // revisions to keep of it
	Defrag  bool  // write the pages anew, without free ones

	Spool snapshot.Spool // where the copies go
}

// Repaired is a repaired copy of a database.
type Repaired struct {
	File   *os.File         `json:"-"` // without a name; the caller closes it
	Alarms []snapshot.Alarm `json:"alarms"`
	Before snapshot.Info    `json:"before"`
	After  snapshot.Info    `json:"after"`
}

// Repair makes a repaired copy of a database, db and file being the same one,
// opened. Compaction is etcd's own; every living key stays, with its revisions
// and its lease, and that is checked.
func Repair(ctx context.Context, db *snapshot.DB, file *os.File, opts RepairOptions) (*Repaired, error) {
	r, err := repair(ctx, db, file, opts)
	if err != nil {
		return nil, fmt.Errorf("repairing: %w", err)
	}
	return r, nil
}

func repair(ctx context.Context, db *snapshot.DB, file *os.File, opts RepairOptions) (r *Repaired, err error) {
	r = &Repaired{}
	if r.Alarms, err = db.Alarms(); err != nil {
		return nil, err
	}
	if r.Before, err = db.Info(ctx); err != nil {
		return nil, err
	}
	if err := refuseNewer(r.Before); err != nil {
		return nil, err
	}
	req := repairRequest{Size: r.Before.Size, Disarm: opts.Disarm}
	if opts.Compact {
		req.Compact = r.Before.Revision - opts.Keep
		if req.Compact <= max(r.Before.CompactRevision, 0) {
			req.Compact = 0 // what is to be kept is all that there is
		}
	}
	files, err := r.files(ctx, file, &req, opts)
	if err != nil {
		return nil, err
	}
	err = etcdproc.Do(ctx, repairTask, req, &struct{}{}, files...)
	if files[0] != file && files[0] != r.File {
		err = errors.Join(err, files[0].Close())
	}
	if err != nil {
		return nil, errors.Join(err, r.File.Close())
	}
	if err := r.check(ctx, db, req); err != nil {
		return nil, errors.Join(fmt.Errorf("checking the result: %w", err), r.File.Close())
	}
	return r, nil
}

// files are those that the child works on: the source itself where it is only
// read, and where the result goes.
func (r *Repaired) files(ctx context.Context, file *os.File, req *repairRequest, opts RepairOptions) ([]*os.File, error) {
	var err error
	source := file
	if req.Compact > 0 || !opts.Defrag {
		if source, _, err = opts.Spool.Take(ctx, &fileReader{file: file, size: r.Before.Size}); err != nil {
			return nil, err
		}
	}
	if r.File = source; !opts.Defrag {
		return []*os.File{source}, nil
	}
	req.Defrag = true
	if r.File, _, err = opts.Spool.Take(ctx, &fileReader{}); err != nil {
		if source != file {
			err = errors.Join(err, source.Close())
		}
		return nil, err
	}
	return []*os.File{source, r.File}, nil
}

// check reads the result as anybody would.
func (r *Repaired) check(ctx context.Context, source *snapshot.DB, req repairRequest) error {
	file, err := os.Open(fdPath(r.File))
	if err != nil {
		return err
	}
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return err
	}
	defer db.Close()
	if r.After, err = db.Info(ctx); err != nil {
		return err
	}
	if req.Compact > 0 {
		err = sameKeys(ctx, db, source, 0, nil)
	} else {
		err = sameRecords(ctx, db, source, 0, 0, schema.Alarm)
	}
	if err != nil {
		return err
	}
	alarms, err := db.Alarms()
	switch {
	case err != nil:
		return err
	case r.After.Revision != r.Before.Revision || r.After.Leases != r.Before.Leases || r.After.RaftIndex != r.Before.RaftIndex:
		return fmt.Errorf("revision %d, %d leases, index %d; want %d, %d, %d", r.After.Revision, r.After.Leases, r.After.RaftIndex,
			r.Before.Revision, r.Before.Leases, r.Before.RaftIndex)
	case req.Disarm && len(alarms) > 0:
		return fmt.Errorf("%d alarms are left", len(alarms))
	}
	return nil
}
