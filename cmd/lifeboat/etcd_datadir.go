package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// refuseDirFlags: what is said of a data dir must not be passed over in silence
// where SRC is none.
func (o sourceOptions) refuseDirFlags() error {
	switch {
	case len(o.PeerDirs) > 0:
		return usagef("--peer-dir goes with the data dir of a member")
	case len(o.WALDirs) > 0:
		return usagef("--src-wal-dir goes with the data dir of a member")
	case o.CommittedOnly:
		return usagef("--committed-only goes with the data dir of a member: nothing else has a write-ahead log")
	}
	return nil
}

// dataDir reads a member's state: its database, with the log's entries beyond
// it put onto a copy that has no name.
func (o *opener) dataDir(ctx context.Context) error {
	o.src.kind = kindDataDir
	survivors, err := o.survey(ctx)
	if err != nil {
		return err
	}
	best, err := datadir.Best(survivors)
	if err != nil {
		return &codedError{Code: exitRefused, Err: err, Hint: "give the dirs of one cluster's members"}
	}
	o.tellChoice(best, survivors)
	o.src.survivors = survivors
	return o.replay(ctx, best, survivors)
}

// survey looks at SRC and at the peers' dirs.
func (o *opener) survey(ctx context.Context) ([]*datadir.Survivor, error) {
	phase := o.env.progress.Start("reading the write-ahead log", 0)
	defer phase.Done()
	paths := append([]string{o.src.path}, o.opts.PeerDirs...)
	if err := o.opts.checkWALDirs(len(paths)); err != nil {
		return nil, err
	}
	var survivors []*datadir.Survivor
	for i, path := range paths {
		s, err := o.opts.survey(ctx, path, i)
		if err != nil {
			return nil, err
		}
		survivors = append(survivors, s)
	}
	return survivors, nil
}

// checkWALDirs: a log that is taken for another member's would be refused or,
// worse, fit.
func (o sourceOptions) checkWALDirs(dirs int) error {
	if n := len(o.WALDirs); n > 1 && n != dirs {
		return usagef("--src-wal-dir is given %d times for %d data dirs: give it once for the first of them, or for each, "+
			"in their order, and \"\" for one that has its log in it", n, dirs)
	}
	return nil
}

// walDir is where the log of a command's i-th data dir stands, "" for in it.
func (o sourceOptions) walDir(i int) string {
	if i < len(o.WALDirs) {
		return o.WALDirs[i]
	}
	return ""
}

// survey looks at the i-th data dir of a command.
func (o sourceOptions) survey(ctx context.Context, path string, i int) (*datadir.Survivor, error) {
	dir, err := datadir.Open(path)
	if err != nil {
		return nil, err
	}
	wal := o.walDir(i)
	if wal != "" {
		dir = dir.WithWAL(wal)
	}
	s, err := dir.Survey(ctx)
	if err != nil {
		return nil, inUseHint(err)
	}
	if s.Log.Segments == 0 && wal != "" {
		return nil, failf("--src-wal-dir %q: there is no write-ahead log in it", wal)
	}
	return s, nil
}

func inUseHint(err error) error {
	if errors.Is(err, snapshot.ErrInUse) {
		return withHint(err, "stop etcd first: move its manifest out of /etc/kubernetes/manifests and wait until the container is gone")
	}
	return err
}

func (o *opener) replay(ctx context.Context, s *datadir.Survivor, all []*datadir.Survivor) error {
	phase := o.env.progress.Start("replaying the write-ahead log", 0)
	defer phase.Done()
	opts := datadir.ReplayOptions{
		CommittedOnly: o.opts.CommittedOnly, AcceptLoss: o.opts.AcceptLoss,
		Spool: snapshot.Spool{Where: snapshot.Where(o.opts.Spool), Dir: o.opts.spoolDir},
	}
	for _, peer := range all {
		if peer != s {
			opts.Peers = append(opts.Peers, peer)
		}
	}
	r, err := s.Replay(ctx, opts)
	if damage := (*datadir.DamagedError)(nil); errors.As(err, &damage) {
		return withHint(err, fmt.Sprintf("another member's dir may be whole: lifeboat etcd compare DIR DIR; "+
			"--accept-loss goes on with what stands before the damage, to entry %d", damage.Index))
	}
	if errors.Is(err, datadir.ErrNoLog) {
		return withHint(err, "where etcd ran with --wal-dir, name that folder with --src-wal-dir; --accept-loss goes on without what was acknowledged last")
	}
	if errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrNotDatabase) {
		return withHint(err, "another member's dir may be whole: lifeboat etcd compare DIR DIR; else restore a snapshot: lifeboat etcd restore")
	}
	if err != nil {
		return err
	}
	if err := o.weigh(r, all); err != nil {
		return errors.Join(err, r.File.Close())
	}
	o.src.replay, o.src.tail = r, s.Log.Tail(s.Info.RaftIndex)
	o.tellReplay(r)
	return o.database(ctx, r.File)
}

// tellReplay says what of the result comes from the log, and how well it is
// proven.
func (o *opener) tellReplay(r *datadir.Replay) {
	if r.Survivor.Log.Segments == 0 {
		o.env.warn("there is no write-ahead log in %q: what was acknowledged last may be missing. Where etcd ran with --wal-dir, name that folder with --src-wal-dir", r.Survivor.Dir.WAL())
	}
	if l := r.Survivor.Log; l.Leftover > 0 && l.Behind == 0 {
		last, _ := l.Last()
		if l.Torn {
			o.env.note("the write-ahead log ends at entry %d; a record that was cut off behind it was never acknowledged by this member", last)
		} else {
			o.env.warn("the write-ahead log ends at entry %d, and %d bytes follow that are no record: a write that was cut off "+
				"and so never acknowledged, or a hole that the disk made; --peer-dir tells", last, l.Leftover)
		}
	}
	if r.Damage != "" {
		o.env.warn("the write-ahead log is damaged %s; what it held from there on is missing", r.Damage)
	}
	if r.LogLast > r.Last {
		o.env.warn("%s of the write-ahead log left out: no commit is recorded, but they may have been acknowledged", entries(r.Last+1, r.LogLast))
	}
	if r.Entries() > 0 {
		o.env.note("%s of the write-ahead log read beyond the database", entries(r.Database+1, r.Last))
	}
	if len(r.Unproven) > 0 {
		o.env.warn("not proven committed, and kept: %s", changesOf(r, o.opts.EtcdPrefix))
	}
}

// entries names a run of entries: "entry 7", "entries 7 to 9".
func entries(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("entry %d", first)
	}
	return fmt.Sprintf("entries %d to %d", first, last)
}

// namedChanges bounds the changes that a message names.
const namedChanges = 10

func changesOf(r *datadir.Replay, prefix string) string {
	var names []string
	for _, c := range r.Unproven[:min(len(r.Unproven), namedChanges)] {
		verb := ""
		if c.Deleted {
			verb = "deletion of "
		}
		names = append(names, fmt.Sprintf("%s%s at revision %d", verb, objectName(prefix, c.Key), c.Revision))
	}
	if more := len(r.Unproven) + r.More - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// objectName is what kubectl calls the object under a key, with its namespace;
// the key itself where it is none of Kubernetes'.
func objectName(prefix, path string) string {
	if prefix == "" {
		prefix = registry.DefaultPrefix
	}
	key, err := registry.ParseKey(prefix, path)
	if err != nil {
		return path
	}
	return (&registry.Object{Key: key, Namespace: key.Namespace, Name: key.Name}).String()
}
