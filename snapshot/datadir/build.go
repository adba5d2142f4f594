package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// memberBuild is a member's data dir under way, and its log where that goes
// elsewhere.
type memberBuild struct {
	*build
	member  PlannedMember
	wal     *build // nil where the log stands in the data dir
	parent  string // the folder around it, if it was made for it
	settled bool   // committed, or aborted
}

func beginMember(m NewMember, planned PlannedMember) (*memberBuild, error) {
	parent := filepath.Dir(planned.Builds)
	if existing(parent) == parent {
		parent = ""
	} else if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	b, err := m.Target.begin()
	if err != nil {
		return nil, err
	}
	mb := &memberBuild{build: b, member: planned, parent: parent}
	if planned.WALDir != "" {
		if mb.wal, err = (Target{Path: planned.WALDir}).begin(); err != nil {
			return nil, errors.Join(fmt.Errorf("log folder: %w", err), mb.abort())
		}
	}
	return mb, nil
}

// walBuilt is where the log is built, "" for in the data dir.
func (b *memberBuild) walBuilt() string {
	if b.wal == nil {
		return ""
	}
	return b.wal.data
}

// dir is the data dir as it stands while it is built.
func (b *memberBuild) dir() *Dir { return &Dir{Path: b.data, wal: b.walBuilt()} }

// sync writes all that was built through to the disk.
func (b *memberBuild) sync() error {
	if b.wal != nil {
		if err := syncTree(b.wal.part); err != nil {
			return err
		}
	}
	return syncTree(b.part)
}

// commitAll puts the log, then the data dir in place: a data dir without its
// log would start a new cluster. Both were synced before, so that little can
// come between them.
func (b *memberBuild) commitAll() error {
	b.settled = true
	if b.wal != nil {
		if err := b.wal.commit(); err != nil {
			return errors.Join(err, b.build.abort())
		}
	}
	err := b.commit()
	if err != nil && b.wal != nil && !b.placed {
		err = errors.Join(err, os.RemoveAll(b.wal.final)) // ours: it did not exist before
	}
	return err
}

// abort removes what was built and not committed.
func (b *memberBuild) abort() error {
	if b.settled {
		return nil
	}
	b.settled = true
	err := b.build.abort()
	if b.wal != nil {
		err = errors.Join(err, b.wal.abort())
	}
	if b.parent != "" {
		_ = os.Remove(b.parent) // another member's dir may stand in it
	}
	return err
}
