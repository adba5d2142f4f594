// Package datadir reads, rebuilds and writes the data dir of an etcd member:
//
//	DIR/member/snap/db                      the database (bbolt)
//	DIR/member/snap/TTTT-IIII.snap          membership as raft's snapshot has it, up to etcd 3.6
//	DIR/member/snap/IIII.snap.db            a database that the leader sent, not taken over yet
//	DIR/member/wal/SEQ-INDEX.wal            the write-ahead log, in segments
//
// A data dir is more than its database: what etcd acknowledged last stands in
// the log alone, and often beyond the commit index that the log records. So
// [Dir.Replay] puts the log's entries onto a copy of the database, with etcd's
// own code, and says of each stretch how well it is proven:
//
//	dir, err := datadir.Open("/var/lib/etcd")
//	r, err := dir.Replay(ctx, datadir.ReplayOptions{})
//	defer r.File.Close()
//	db, err := snapshot.OpenFile(ctx, r.File)
//
// [Restore] makes data dirs that start, of a database or of what Replay gave.
// Nothing here changes what it reads.
//
// etcd's code ends the process over files that it does not expect, so it works
// in a child, on copies. Call etcdproc.Main(datadir.Tasks()...) first thing in
// main, and in TestMain.
//
// The layout is etcd's own (server/storage/datadir).
package datadir

import (
	"errors"
	"path/filepath"
	"syscall"

	etcddatadir "go.etcd.io/etcd/server/v3/storage/datadir"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// ErrNotDataDir says that a folder holds no etcd database where a member has it.
var ErrNotDataDir = errors.New("not the data dir of an etcd member")

// Tasks is the work that a child does for this package; give it to
// etcdproc.Main.
func Tasks() []etcdproc.Task {
	return []etcdproc.Task{
		{Name: replayTask, Do: replayChild},
		{Name: dropTask, Do: dropChild},
		{Name: restoreTask, Do: restoreChild},
		{Name: repairTask, Do: repairChild},
	}
}

// Dir is the data dir of a member.
type Dir struct {
	Path string

	member   string // the folder with snap and wal in it, "" for "member" in Path
	database string // where the database stands, "" for in that folder
	wal      string // where the log stands, "" for in that folder

	collected *Collected // of a dir on another host, whose evidence stands at Path
}

// memberDir is the folder with snap and wal in it.
func (d *Dir) memberDir() string {
	if d.member != "" {
		return d.member
	}
	return filepath.Dir(etcddatadir.ToSnapDir(d.Path))
}

// folders are those that hold the member's files.
func (d *Dir) folders() []string {
	if d.database != "" {
		return []string{filepath.Dir(d.database), d.WAL()}
	}
	return []string{d.memberDir(), d.WAL()}
}

// WithWAL is d with its log in another folder, as after etcd's --wal-dir.
func (d *Dir) WithWAL(path string) *Dir {
	with := *d
	with.wal = path
	return &with
}

// SpaceForCopy makes sure that a copy of all files of the member fits under dir;
// else it is ErrNoSpace. Holes, of which a log that is allocated ahead has
// many, take none.
func (d *Dir) SpaceForCopy(dir string) error {
	need := int64(0)
	for _, root := range d.folders() {
		files, err := filesOf(root)
		if err != nil {
			return err
		}
		for _, info := range files {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				need += 512 * stat.Blocks
			}
		}
	}
	return checkSpace(dir, need)
}

// Database is the path of the member's database.
func (d *Dir) Database() string {
	if d.database != "" {
		return d.database
	}
	return filepath.Join(d.memberDir(), "snap", "db")
}

// SeparateWAL is the folder of the member's log where that is not in Path, else
// "".
func (d *Dir) SeparateWAL() string { return d.wal }

// WAL is the folder of the member's log.
func (d *Dir) WAL() string {
	if d.wal != "" {
		return d.wal
	}
	return filepath.Join(d.memberDir(), "wal")
}
