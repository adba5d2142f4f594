package lifeboat

import (
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// tellChoice says why another dir than the source is read, and what of the
// dirs given is damaged. What is damaged in the one that is read, its replay
// tells.
func (o *opener) tellChoice(best *datadir.Survivor, all []*datadir.Survivor) {
	warn := o.opts.Observer.warn
	if best.Joined() {
		warn("the database of %q cannot be read: that of %q is taken, and the write-ahead log of %q put onto it (%s)",
			best.Dir.Path, best.Lender.Dir.Path, best.Dir.Path, best.Belongs.Reason)
	} else if src := all[0]; best != src {
		newest, _ := best.Newest()
		own, _ := src.Newest()
		switch reason := src.Against(all); {
		case reason != datadir.Older:
			warn("reading %q instead of %q: %s", best.Dir.Path, o.src.path, reason)
		case src.EndKnown() && src.Damage() == "":
			warn("reading %q instead: its log is newer than that of %q", best.Dir.Path, o.src.path)
		default:
			warn("reading %q instead, whose log can be read to entry %d: that of %q to entry %d", best.Dir.Path, newest, o.src.path, own)
		}
	}
	if what := all[0].Membership(all); what == datadir.Removed {
		warn("%q: %s, and does not have what was written since", all[0].Dir.Path, what)
	}
	for _, s := range all {
		if s.Newborn && s != all[0] {
			warn("%q gives no evidence: there is nothing in it. Its member had not started yet, or its log stands elsewhere (--src-wal-dir)", s.Dir.Path)
		}
		if damage := s.Damage(); s != best && !best.Joined() && damage != "" {
			last, _ := s.Log.Last()
			warn("%q: %s; the newest entry of its log that can be read is %d", s.Dir.Path, damage, last)
		}
	}
}

// tellReplay says what of the result comes from the log, and how well it is
// proven.
func (o *opener) tellReplay(r *datadir.Replay) {
	warn, note := o.opts.Observer.warn, o.opts.Observer.note
	if b := r.Survivor.Belongs; b.Verdict == datadir.NotProvable {
		warn("it is not provable that the write-ahead log is of this database: %s", b.Reason)
	}
	if !r.AtHand.Complete() && r.AtHand.Voters > 0 {
		warn("%s", r.AtHand)
	}
	if dir := r.Survivor.Dir; r.Survivor.Log.Segments == 0 {
		warn("there is no write-ahead log in %q: what was acknowledged last may be missing. %s", dir.WAL(), whereLog(dir.LogElsewhere()))
	}
	if l := r.Survivor.Log; l.Leftover > 0 && l.Behind == 0 {
		last, _ := l.Last()
		if l.Torn {
			note("the write-ahead log ends at entry %d; a record that was cut off behind it was never acknowledged by this member", last)
		} else {
			warn("the write-ahead log ends at entry %d, and %d bytes follow that are no record: a write that was cut off "+
				"and so never acknowledged, or a hole that the disk made; --peer-dir tells", last, l.Leftover)
		}
	}
	if r.Damage != "" {
		warn("the write-ahead log is damaged %s; what it held from there on is missing", r.Damage)
	}
	if r.LogLast > r.Last {
		warn("%s of the write-ahead log left out: no commit is recorded, but they may have been acknowledged", datadir.Span{First: r.Last + 1, Last: r.LogLast})
	}
	if r.Entries() > 0 {
		note("%s of the write-ahead log read beyond the database", datadir.Span{First: r.Database + 1, Last: r.Last})
	}
	if len(r.Unproven) > 0 {
		warn("not proven committed, and kept: %s", changesOf(r, o.opts.EtcdPrefix))
	}
}

// whereLog says where the log of a dir without one may stand.
func whereLog(found []string) string {
	if len(found) == 0 {
		return "Where etcd ran with --wal-dir, name that folder with --src-wal-dir"
	}
	return fmt.Sprintf("One stands in %q: --src-wal-dir %s reads it", found, words.ShellQuote(found[0]))
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

// ObjectName is what kubectl calls the object under an etcd key, with its
// namespace; the key itself where it is none of Kubernetes'. prefix is
// kube-apiserver's --etcd-prefix, "" for /registry.
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
