package datadir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// memberBuild is a member's data dir under way, and its log where that goes
// elsewhere.
type memberBuild struct {
	*whole.Dir
	member PlannedMember
	wal    *whole.Dir // nil where the log stands in the data dir
	parent string     // the folder around it, if it was made for it
}

func beginMember(m NewMember, planned PlannedMember, owner *Owner) (*memberBuild, error) {
	if _, err := m.Target.place(); err != nil { // it may have been started since it was planned
		return nil, err
	}
	parent := filepath.Dir(planned.Builds)
	if existing(parent) == parent {
		parent = ""
	} else if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	opts := m.Target.dirOptions()
	opts.Owner = owner
	dir, err := whole.NewDir(m.Target.Path, opts)
	if err != nil {
		return nil, err
	}
	b := &memberBuild{Dir: dir, member: planned, parent: parent}
	b.member.Aside = dir.Aside
	if planned.WALDir != "" {
		opts = whole.Options{Owner: owner, Sources: opts.Sources, Found: opts.Found}
		if b.wal, err = whole.NewDir(planned.WALDir, opts); err != nil {
			return nil, errors.Join(fmt.Errorf("log folder: %w", err), b.abort())
		}
	}
	return b, nil
}

// walBuilt is where the log is built, "" for in the data dir.
func (b *memberBuild) walBuilt() string {
	if b.wal == nil {
		return ""
	}
	return b.wal.Data
}

// dir is the data dir as it stands while it is built.
func (b *memberBuild) dir() *Dir { return &Dir{Path: b.Data, wal: b.walBuilt()} }

// sync writes all that was built through to the disk.
func (b *memberBuild) sync(ctx context.Context) error {
	if b.wal != nil {
		if err := b.wal.Sync(ctx); err != nil {
			return err
		}
	}
	return b.Sync(ctx)
}

// commitAll puts the log, then the data dir in place: a data dir without its
// log would start a new cluster. Both were synced before, so that little can
// come between them.
func (b *memberBuild) commitAll() error {
	if b.wal != nil {
		if err := b.wal.Commit(); err != nil {
			return errors.Join(err, b.Discard())
		}
	}
	err := b.Commit()
	b.member.Aside = b.Aside
	if err != nil && b.wal != nil && !b.Placed() {
		err = errors.Join(err, os.RemoveAll(b.wal.Final)) // ours: it did not exist before
	}
	return err
}

// abort removes what was built and not committed.
func (b *memberBuild) abort() error {
	err := b.Discard()
	if b.wal != nil {
		err = errors.Join(err, b.wal.Discard())
	}
	if b.parent != "" && !b.Placed() {
		_ = os.Remove(b.parent) // another member's dir may stand in it
	}
	return err
}
