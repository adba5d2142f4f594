package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/coreos/go-semver/semver"
	"go.etcd.io/etcd/api/v3/version"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// Survivor is what one member's data dir says of itself: the evidence on which
// it is decided what the cluster had acknowledged.
type Survivor struct {
	Dir  *Dir
	Log  *Log
	Info snapshot.Info // of the database, without the counts; zero where DatabaseErr is set

	Members []snapshot.Member // as the database has them, before the log's tail
	Removed []uint64

	V2    V2Membership // what raft's snapshot file says of the members
	V2Err error        // why it cannot be read; from etcd 3.6 on nobody needs it

	// Database is the file that the log continues: member/snap/db, or the one
	// that the leader had sent and that the member had not taken over yet.
	Database    string
	DatabaseErr error // why the database cannot be read, nil where it can

	// Lender is whose database it is, nil for the dir's own; see Join.
	Lender *Survivor

	// Newborn says that the member was killed before it had anything: there is no
	// database, or one without buckets, and no entries. That is no damage.
	Newborn bool

	// Belongs says whether the log continues the database; zero where there is
	// no log, or no database.
	Belongs Belonging

	newest      map[revision]putSum // the database's newest records
	refusesPuts bool                // an alarm is raised in it, or it asks for users' rights
}

// Survey looks at a data dir. An error means that there is nothing to look at,
// or that a process holds it; a damaged database is in the result.
func (d *Dir) Survey(ctx context.Context) (*Survivor, error) {
	s, err := d.survey(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking at %q: %w", d.Path, err)
	}
	return s, nil
}

func (d *Dir) survey(ctx context.Context) (*Survivor, error) {
	if err := d.InUse(); err != nil {
		return nil, err
	}
	l, err := d.Log(ctx)
	if err != nil {
		return nil, err
	}
	s := &Survivor{Dir: d, Log: l, Database: d.Database()}
	s.V2, s.V2Err = d.V2Membership()
	s.DatabaseErr = s.readDatabase(ctx)
	if errors.Is(s.DatabaseErr, snapshot.ErrInUse) || ctx.Err() != nil {
		return nil, s.DatabaseErr
	}
	s.Newborn = s.isNewborn()
	// A snapshot that came from the leader: the log begins anew behind it, and
	// the database of before ends below it (etcd server/storage/backend.go
	// RecoverSnapshotBackend).
	if sent := filepath.Join(filepath.Dir(d.Database()), fmt.Sprintf("%016x.snap.db", l.Snapshot)); s.Info.RaftIndex < l.Snapshot {
		if _, err := os.Stat(sent); err == nil {
			s.Database = sent
			s.DatabaseErr = s.readDatabase(ctx)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return s, s.checkBelonging(ctx)
}

// checkBelonging refuses a log that is not the database's.
func (s *Survivor) checkBelonging(ctx context.Context) (err error) {
	if s.DatabaseErr != nil || s.Log.Segments == 0 {
		return nil //nolint:nilerr // the survivor holds it
	}
	if s.Belongs, err = s.belongs(ctx); err != nil {
		return err
	}
	if s.Belongs.Verdict == Disproved {
		return fmt.Errorf("%w: %s", ErrForeignLog, s.Belongs.Reason)
	}
	return nil
}

func (s *Survivor) readDatabase(ctx context.Context) error {
	db, err := snapshot.Open(ctx, s.Database)
	if errors.Is(err, fs.ErrNotExist) {
		if others := s.databasesBeside(); len(others) > 0 {
			return fmt.Errorf("%w; in its place stand others: %q", ErrNoDatabase, others)
		}
		return ErrNoDatabase
	}
	if err != nil {
		return err
	}
	defer db.Close()
	if err := s.read(db); err != nil {
		return err
	}
	s.newest, err = newestOf(ctx, db)
	return err
}

func (s *Survivor) read(db *snapshot.DB) error {
	info, err := db.Status()
	if err != nil {
		return err
	}
	if err := refuseNewer(info); err != nil {
		return err
	}
	members, removed, err := db.Members()
	if err != nil {
		return err
	}
	alarms, err := db.Alarms()
	if err != nil {
		return err
	}
	s.Info, s.Members, s.Removed = info, members, removed
	s.refusesPuts = info.AuthEnabled || len(alarms) > 0
	return nil
}

// isNewborn: etcd makes the folders, an empty file, then bbolt's first pages, then
// buckets, and the log after them.
func (s *Survivor) isNewborn() bool {
	if len(s.Log.Stretches) > 0 || s.DatabaseErr == nil {
		return false
	}
	info, err := os.Stat(s.Database)
	return errors.Is(s.DatabaseErr, snapshot.ErrNotEtcd) || errors.Is(s.DatabaseErr, ErrNoDatabase) || err == nil && info.Size() == 0
}

// refuseNewer keeps the linked etcd away from what it does not understand; it
// would end the process over it.
func refuseNewer(info snapshot.Info) error {
	own := semver.New(version.Version)
	for what, text := range map[string]string{"storage version": info.StorageVersion, "cluster version": info.ClusterVersion} {
		if text == "" {
			continue
		}
		v, err := semver.NewVersion(text)
		if err != nil {
			return fmt.Errorf("parsing %s %q: %w", what, text, snapshot.ErrDamaged)
		}
		if v.Major > own.Major || v.Major == own.Major && v.Minor > own.Minor {
			return fmt.Errorf("%s %s is beyond %s: %w", what, v, version.Version, etcdproc.ErrNewer)
		}
	}
	return nil
}

// Proven is the newest entry of which this dir alone knows that it was
// committed: by a hard state, or because it was applied. It is where etcd's
// own --force-new-cluster cuts.
func (s *Survivor) Proven() uint64 {
	return max(s.Log.Commit, s.Info.RaftIndex, s.Log.Snapshot)
}

// Newest is the newest entry of the dir that can be used, in its database or in
// the log that continues it; without a database, the newest one that its log has.
func (s *Survivor) Newest() (index, term uint64) {
	if s.DatabaseErr != nil {
		return s.Log.Last()
	}
	index, term = s.Info.RaftIndex, s.Info.RaftTerm
	stretch, _ := s.Log.beyond(index)
	if stretch != nil && stretch.Last >= index {
		index = stretch.Last
		term, _ = stretch.Term(index)
	}
	return index, term
}

// Voters are the members whose word counts, as the database has them. Zombies
// have none: raft does not know them.
func (s *Survivor) Voters() []uint64 {
	var ids []uint64
	for _, m := range s.Members {
		if !m.IsLearner {
			ids = append(ids, m.ID)
		}
	}
	zombies, _ := s.Differences(s.Members)
	return without(ids, zombies)
}

func without(ids, some []uint64) []uint64 {
	return slices.DeleteFunc(ids, func(id uint64) bool { return slices.Contains(some, id) })
}

// Name is the member's name, "" where the database does not have it.
func (s *Survivor) Name() string {
	for _, m := range s.Members {
		if m.ID == s.Log.NodeID {
			return m.Name
		}
	}
	return ""
}

// has reports whether an entry of the other dir's log is in this one: in its
// log, or below what its log and its database still show, where both have the
// same entry further up and so, by raft's log matching, the same ones before.
// That an entry of that index was applied here says nothing: it may have been
// another one.
func (s *Survivor) has(index, term uint64, of *Survivor) bool {
	if stretch := s.Log.at(index); stretch != nil {
		own, _ := stretch.Term(index)
		return own == term
	}
	same := func(above, own uint64) bool {
		stretch := of.Log.at(above)
		if above < index || stretch == nil {
			return false
		}
		theirs, _ := stretch.Term(above)
		return theirs == own
	}
	for i := range s.Log.Stretches {
		first := s.Log.Stretches[i].First
		if own, _ := s.Log.Stretches[i].Term(first); same(first, own) {
			return true
		}
	}
	return same(s.Info.RaftIndex, s.Info.RaftTerm)
}

// contradicts reports whether this dir knows that the other one holds an entry
// that was never committed: it has another one in that place, which was.
func (s *Survivor) contradicts(other *Survivor) bool {
	index, _ := other.Newest()
	index = min(index, s.Proven())
	stretch, mine := other.Log.at(index), s.Log.at(index)
	if stretch == nil || mine == nil || index <= other.Proven() {
		return false
	}
	a, _ := stretch.Term(index)
	b, _ := mine.Term(index)
	return a != b
}

// Best is the survivor to build from: the one with the greatest last term and,
// within it, the greatest last index. A dir without a readable database, and
// one with entries that another dir knows to be replaced, come last. Whether it
// has every write that was acknowledged, its Evidence tells.
//
// Dirs that are disproved to be of one cluster are ErrOtherCluster.
func Best(survivors []*Survivor) (*Survivor, error) {
	for i, s := range survivors {
		for _, o := range survivors[:i] {
			if why := s.otherThan(o); why != "" {
				return nil, fmt.Errorf("%w: %s in %q and in %q", ErrOtherCluster, why, s.Dir.Path, o.Dir.Path)
			}
		}
	}
	rank := func(s *Survivor) int {
		return slices.Index([]Reason{Older, Replaced, Unreadable, Empty}, s.Against(survivors))
	}
	best := survivors[0]
	for _, s := range survivors[1:] {
		if newer(s, best, rank(s), rank(best)) {
			best = s
		}
	}
	return best, nil
}

func newer(a, b *Survivor, rankA, rankB int) bool {
	if rankA != rankB {
		return rankA < rankB
	}
	indexA, termA := a.Newest()
	indexB, termB := b.Newest()
	return after(indexA, termA, indexB, termB)
}
