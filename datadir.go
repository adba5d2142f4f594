package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// dataDir reads a member's state: its database, with the log's entries beyond
// it put onto a copy that has no name.
func (o *opener) dataDir(ctx context.Context) error {
	o.src.kind = DataDir
	survivors, err := o.survey(ctx)
	if err != nil {
		return err
	}
	best, err := datadir.Best(survivors)
	if err != nil {
		return &Error{Class: Refused, Err: err, Hint: hintOneCluster}
	}
	if err := checkCollected(survivors, best); err != nil {
		return err
	}
	if joined := datadir.Join(datadir.AtHand(survivors), best); joined != nil {
		best = joined
	}
	o.tellChoice(best, survivors)
	o.src.survivors = survivors
	return o.replay(ctx, best, survivors)
}

// checkCollected refuses to build where only evidence is at hand, and from a dir
// that is not as its own evidence has it.
func checkCollected(survivors []*datadir.Survivor, best *datadir.Survivor) error {
	own := survivors[0]
	for _, s := range survivors[1:] {
		c := s.Collected()
		if c == nil || s.Log.NodeID == 0 || s.Log.NodeID != own.Log.NodeID || own.Collected() != nil {
			continue
		}
		if err := s.SameDir(own.Dir); err != nil {
			return &Error{Class: Refused, Err: err, Hint: "collect it anew, and weigh the evidence again: lifeboat etcd collect, lifeboat etcd compare"}
		}
	}
	if c := best.Collected(); c != nil {
		return &Error{
			Class: Refused, Err: fmt.Errorf("the dir to build from is %q of host %q: only its evidence is here", c.Path, c.Host),
			Hint: "build there, with the evidence of the others as --peer-dir",
		}
	}
	return nil
}

const hintOneCluster = "give the dirs of one cluster's members"

// survey looks at the source and at the peers' dirs.
func (o *opener) survey(ctx context.Context) ([]*datadir.Survivor, error) {
	phase := o.opts.Observer.start("reading the write-ahead log", 0)
	defer phase.Done()
	paths := append([]string{o.src.path}, o.opts.PeerDirs...)
	if err := checkWALDirs(o.opts.WALDirs, len(paths)); err != nil {
		return nil, err
	}
	var survivors []*datadir.Survivor
	for i, path := range paths {
		wal := ""
		if i < len(o.opts.WALDirs) {
			wal = o.opts.WALDirs[i]
		}
		survey := surveyDir
		if i > 0 {
			survey = surveyPeer
		}
		s, err := survey(ctx, path, wal)
		if err != nil {
			return nil, err
		}
		survivors = append(survivors, s)
	}
	return survivors, nil
}

// checkWALDirs: a log that is taken for another member's would be refused or,
// worse, fit.
func checkWALDirs(walDirs []string, dirs int) error {
	if n := len(walDirs); n > 1 && n != dirs {
		return misusef("--src-wal-dir is given %d times for %d data dirs: give it once for the first of them, or for each, "+
			"in their order, and \"\" for one that has its log in it", n, dirs)
	}
	return nil
}

// surveyPeer looks at the dir of one member among several. A folder with nothing
// in it gives no evidence, and does not stand in the others' way.
func surveyPeer(ctx context.Context, path, wal string) (*datadir.Survivor, error) {
	if wal == "" && datadir.IsEmpty(path) {
		return datadir.Unborn(path), nil
	}
	return surveyDir(ctx, path, wal)
}

// surveyDir looks at one data dir, whose log stands in wal, "" for in it.
func surveyDir(ctx context.Context, path, wal string) (*datadir.Survivor, error) {
	if datadir.IsCollected(path) {
		s, err := datadir.ReadCollected(path)
		if err != nil {
			return nil, &Error{Class: Damaged, Err: err, Hint: "collect it anew, on its host: lifeboat etcd collect DIR --to FILE"}
		}
		return s, nil
	}
	dir, err := memberAt(path)
	if err != nil {
		return nil, hintFolder(path, err)
	}
	if wal != "" {
		dir = dir.WithWAL(wal)
	}
	s, err := dir.Survey(ctx)
	if errors.Is(err, datadir.ErrForeignLog) {
		return nil, &Error{Class: Refused, Err: err, Hint: "give the log that this member wrote; to read the database alone, copy its file to another folder"}
	}
	if err != nil {
		return nil, hintInUse(path, err)
	}
	if s.Log.Segments == 0 && wal != "" {
		return nil, &Error{Class: Failed, Err: fmt.Errorf("--src-wal-dir %q: there is no write-ahead log in it", wal)}
	}
	return s, nil
}

// memberAt is the data dir at a path, or the one that a database file is part
// of.
func memberAt(path string) (*datadir.Dir, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		if dir, _ := datadir.Beside(path); dir != nil {
			return dir, nil
		}
	}
	return datadir.Open(path)
}

// isMember reports whether a file is the database of a data dir: what was
// acknowledged last may stand in the log beside it alone. Under a signature,
// which is of the file, it is read by itself.
func (o *opener) isMember(info os.FileInfo) bool {
	if !info.Mode().IsRegular() || snapshot.HasTrailer(info.Size()) {
		return false
	}
	dir, log := datadir.Beside(o.src.path)
	switch {
	case dir != nil && o.signed == nil:
		o.opts.Observer.note("%q is the database of a data dir: the write-ahead log in %q is read as well", o.src.path, log)
		return true
	case log != "":
		o.opts.Observer.warn("the write-ahead log in %q is not read; what was acknowledged last may stand in it alone. With the member's data dir as SRC it is", log)
	}
	return false
}

const stopEtcd = "stop etcd first: move its manifest out of /etc/kubernetes/manifests and wait until the container is gone"

// hintInUse says what to do with the database of a living member: nothing is
// read under its hands, but it gives a snapshot itself.
func hintInUse(path string, err error) error {
	if !errors.Is(err, snapshot.ErrInUse) {
		return err
	}
	manifest, _ := os.ReadFile("/etc/kubernetes/manifests/etcd.yaml") // without one, kubeadm's paths
	file := filepath.Join(path, "lifeboat.snapshot")
	return withHint(err, "etcd runs on it, and gives a snapshot of itself: crictl exec $(crictl ps --name '^etcd$' -q) "+controlplane.Etcdctl(manifest)+" snapshot save "+words.ShellQuote(file)+
		"; give that file. Or "+stopEtcd)
}

func (o *opener) replay(ctx context.Context, s *datadir.Survivor, all []*datadir.Survivor) error {
	phase := o.opts.Observer.start("replaying the write-ahead log", 0)
	defer phase.Done()
	opts := datadir.ReplayOptions{CommittedOnly: o.opts.CommittedOnly, AcceptLoss: o.opts.AcceptLoss, Spool: o.opts.spool()}
	for _, peer := range all {
		if peer != s {
			opts.Peers = append(opts.Peers, peer)
		}
	}
	r, err := s.Replay(ctx, opts)
	if err != nil {
		return hintReplay(err, s.Dir)
	}
	if loss := r.Loss(all); loss != nil { // AcceptLoss, or Replay had refused it
		o.opts.Observer.warn("%s", loss.Doubts())
	}
	o.src.replay, o.src.tail = r, s.Log.Tail(s.Info.RaftIndex)
	o.tellReplay(r)
	return o.database(ctx, r.File)
}

// hintReplay says where a dir that cannot be replayed may still be had.
func hintReplay(err error, dir *datadir.Dir) error {
	damage, loss := (*datadir.DamagedError)(nil), (*datadir.LossError)(nil)
	switch {
	case errors.As(err, &loss):
		return &Error{
			Class: Damaged, Err: loss,
			Hint: "with --peer-dir, the whole dirs of more voters may prove that nothing is missing; --accept-loss goes on without it",
		}
	case errors.As(err, &damage):
		return withHint(err, fmt.Sprintf("another member's dir may be whole: lifeboat etcd compare DIR DIR; "+
			"--accept-loss goes on with what stands before the damage, to entry %d", damage.Index))
	case errors.Is(err, datadir.ErrNoLog):
		return withHint(err, whereLog(dir.LogElsewhere())+"; --accept-loss goes on without what was acknowledged last")
	case errors.Is(err, datadir.ErrNotStarted):
		return &Error{Class: Refused, Err: err, Hint: "give the data dir of a member that has started; where its log stands in another folder (--wal-dir), name that with --src-wal-dir"}
	case errors.Is(err, snapshot.ErrDamaged), errors.Is(err, snapshot.ErrNotDatabase):
		return withHint(err, "with --peer-dir DIR another member's database is taken, and this log put onto it where the two fit; else restore a snapshot: lifeboat etcd restore")
	}
	return err
}
