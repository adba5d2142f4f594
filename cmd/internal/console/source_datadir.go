package console

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
func (o SourceOptions) refuseDirFlags() error {
	switch {
	case len(o.PeerDirs) > 0:
		return Usagef("--peer-dir goes with the data dir of a member")
	case len(o.WALDirs) > 0:
		return Usagef("--src-wal-dir goes with the data dir of a member")
	case o.CommittedOnly:
		return Usagef("--committed-only goes with the data dir of a member: nothing else has a write-ahead log")
	}
	return nil
}

// dataDir reads a member's state: its database, with the log's entries beyond
// it put onto a copy that has no name.
func (o *Opener) dataDir(ctx context.Context) error {
	o.Src.Kind = KindDataDir
	survivors, err := o.survey(ctx)
	if err != nil {
		return err
	}
	best, err := datadir.Best(survivors)
	if err != nil {
		return &CodedError{Code: ExitRefused, Err: err, Hint: "give the dirs of one cluster's members"}
	}
	o.tellChoice(best, survivors)
	o.Src.Survivors = survivors
	return o.replay(ctx, best, survivors)
}

// survey looks at SRC and at the peers' dirs.
func (o *Opener) survey(ctx context.Context) ([]*datadir.Survivor, error) {
	phase := o.Env.Progress.Start("reading the write-ahead log", 0)
	defer phase.Done()
	paths := append([]string{o.Src.Path}, o.Opts.PeerDirs...)
	if err := o.Opts.CheckWALDirs(len(paths)); err != nil {
		return nil, err
	}
	var survivors []*datadir.Survivor
	for i, path := range paths {
		s, err := o.Opts.Survey(ctx, path, i)
		if err != nil {
			return nil, err
		}
		survivors = append(survivors, s)
	}
	return survivors, nil
}

// CheckWALDirs: a log that is taken for another member's would be refused or,
// worse, fit.
func (o SourceOptions) CheckWALDirs(dirs int) error {
	if n := len(o.WALDirs); n > 1 && n != dirs {
		return Usagef("--src-wal-dir is given %d times for %d data dirs: give it once for the first of them, or for each, "+
			"in their order, and \"\" for one that has its log in it", n, dirs)
	}
	return nil
}

// WalDir is where the log of a command's i-th data dir stands, "" for in it.
func (o SourceOptions) WalDir(i int) string {
	if i < len(o.WALDirs) {
		return o.WALDirs[i]
	}
	return ""
}

// Survey looks at the i-th data dir of a command.
func (o SourceOptions) Survey(ctx context.Context, path string, i int) (*datadir.Survivor, error) {
	dir, err := datadir.Open(path)
	if err != nil {
		return nil, err
	}
	wal := o.WalDir(i)
	if wal != "" {
		dir = dir.WithWAL(wal)
	}
	s, err := dir.Survey(ctx)
	if err != nil {
		return nil, InUseHint(err)
	}
	if s.Log.Segments == 0 && wal != "" {
		return nil, Failf("--src-wal-dir %q: there is no write-ahead log in it", wal)
	}
	return s, nil
}

func InUseHint(err error) error {
	if errors.Is(err, snapshot.ErrInUse) {
		return WithHint(err, "stop etcd first: move its manifest out of /etc/kubernetes/manifests and wait until the container is gone")
	}
	return err
}

func (o *Opener) replay(ctx context.Context, s *datadir.Survivor, all []*datadir.Survivor) error {
	phase := o.Env.Progress.Start("replaying the write-ahead log", 0)
	defer phase.Done()
	opts := datadir.ReplayOptions{
		CommittedOnly: o.Opts.CommittedOnly, AcceptLoss: o.Opts.AcceptLoss,
		Spool: snapshot.Spool{Where: snapshot.Where(o.Opts.Spool), Dir: o.Opts.SpoolDir},
	}
	for _, peer := range all {
		if peer != s {
			opts.Peers = append(opts.Peers, peer)
		}
	}
	r, err := s.Replay(ctx, opts)
	if damage := (*datadir.DamagedError)(nil); errors.As(err, &damage) {
		return WithHint(err, fmt.Sprintf("another member's dir may be whole: lifeboat etcd compare DIR DIR; "+
			"--accept-loss goes on with what stands before the damage, to entry %d", damage.Index))
	}
	if errors.Is(err, datadir.ErrNoLog) {
		return WithHint(err, "where etcd ran with --wal-dir, name that folder with --src-wal-dir; --accept-loss goes on without what was acknowledged last")
	}
	if errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrNotDatabase) {
		return WithHint(err, "another member's dir may be whole: lifeboat etcd compare DIR DIR; else restore a snapshot: lifeboat etcd restore")
	}
	if err != nil {
		return err
	}
	if err := o.weigh(r, all); err != nil {
		return errors.Join(err, r.File.Close())
	}
	o.Src.Replay, o.Src.Tail = r, s.Log.Tail(s.Info.RaftIndex)
	o.tellReplay(r)
	return o.database(ctx, r.File)
}

// tellReplay says what of the result comes from the log, and how well it is
// proven.
func (o *Opener) tellReplay(r *datadir.Replay) {
	if r.Survivor.Log.Segments == 0 {
		o.Env.Warn("there is no write-ahead log in %q: what was acknowledged last may be missing. Where etcd ran with --wal-dir, name that folder with --src-wal-dir", r.Survivor.Dir.WAL())
	}
	if l := r.Survivor.Log; l.Leftover > 0 && l.Behind == 0 {
		last, _ := l.Last()
		if l.Torn {
			o.Env.Note("the write-ahead log ends at entry %d; a record that was cut off behind it was never acknowledged by this member", last)
		} else {
			o.Env.Warn("the write-ahead log ends at entry %d, and %d bytes follow that are no record: a write that was cut off "+
				"and so never acknowledged, or a hole that the disk made; --peer-dir tells", last, l.Leftover)
		}
	}
	if r.Damage != "" {
		o.Env.Warn("the write-ahead log is damaged %s; what it held from there on is missing", r.Damage)
	}
	if r.LogLast > r.Last {
		o.Env.Warn("%s of the write-ahead log left out: no commit is recorded, but they may have been acknowledged", Entries(r.Last+1, r.LogLast))
	}
	if r.Entries() > 0 {
		o.Env.Note("%s of the write-ahead log read beyond the database", Entries(r.Database+1, r.Last))
	}
	if len(r.Unproven) > 0 {
		o.Env.Warn("not proven committed, and kept: %s", changesOf(r, o.Opts.EtcdPrefix))
	}
}

// Entries names a run of entries: "entry 7", "entries 7 to 9".
func Entries(first, last uint64) string {
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
		names = append(names, fmt.Sprintf("%s%s at revision %d", verb, ObjectName(prefix, c.Key), c.Revision))
	}
	if more := len(r.Unproven) + r.More - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// ObjectName is what kubectl calls the object under a key, with its namespace;
// the key itself where it is none of Kubernetes'.
func ObjectName(prefix, path string) string {
	if prefix == "" {
		prefix = registry.DefaultPrefix
	}
	key, err := registry.ParseKey(prefix, path)
	if err != nil {
		return path
	}
	return (&registry.Object{Key: key, Namespace: key.Namespace, Name: key.Name}).String()
}
