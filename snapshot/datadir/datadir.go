// Package datadir reads the data dir of an etcd member:
//
//	DIR/member/snap/db                      the database (bbolt)
//	DIR/member/snap/TTTT-IIII.snap          membership as raft's snapshot has it, up to etcd 3.6
//	DIR/member/wal/SEQ-INDEX.wal            the write-ahead log, in segments
//
// A data dir is more than its database: what etcd acknowledged last may stand
// in the log alone. [Open] finds the parts without changing one of them,
// [Dir.Tail] counts the log's entries beyond the database.
//
// The layout is etcd's own (server/storage/datadir).
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	etcddatadir "go.etcd.io/etcd/server/v3/storage/datadir"
)

// ErrNotDataDir says that a folder holds no etcd database where a member has it.
var ErrNotDataDir = errors.New("not the data dir of an etcd member")

// Dir is the data dir of a member.
type Dir struct {
	Path string
}

// Open finds the data dir at path, or just above it: operators also name the
// member folder, or snap.
func Open(path string) (*Dir, error) {
	for _, dir := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		info, err := os.Stat(etcddatadir.ToBackendFileName(dir))
		if err == nil && info.Mode().IsRegular() {
			return &Dir{Path: dir}, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			return nil, err
		}
		if filepath.Base(dir) != "snap" && filepath.Base(dir) != "member" {
			break
		}
	}
	return nil, fmt.Errorf("opening %q: %w: there is no %s in it", path, ErrNotDataDir, filepath.Join("member", "snap", "db"))
}

// Database is the path of the member's database.
func (d *Dir) Database() string { return etcddatadir.ToBackendFileName(d.Path) }

// WAL is the folder of the member's log.
func (d *Dir) WAL() string { return etcddatadir.ToWALDir(d.Path) }
