package lifeboat

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/lifeboat-dr/lifeboat/internal/text"
)

// WriteText shows the inspection in headed parts.
func (f *Inspection) WriteText(w io.Writer) error {
	out := text.NewSection(w)
	f.writeSource(out)
	f.writeEtcd(out)
	f.writeKubernetes(out)
	f.History.write(out)
	f.writeFiles(out)
	if len(f.Needs) > 0 {
		out.Heading("Not in it, and needed for a restore")
		for _, need := range f.Needs {
			out.Line("  %s", text.Printable(need))
		}
	}
	out.Heading("Next")
	for _, command := range f.Next {
		out.Line("  %s", command)
	}
	return out.Err
}

func (f *Inspection) writeSource(out *text.Section) {
	s := f.Source
	out.Line("%s: %s", text.Printable(s.Path), s.Kind)
	if s.Size > 0 {
		out.Line("%s, modified %s", humanize.IBytes(uint64(s.Size)), s.Modified.UTC().Format(time.RFC3339))
	}
	rows := [][]string{}
	for _, l := range s.Layers {
		rows = append(rows, []string{"  " + l.Name, l.State, l.Detail})
	}
	out.Table(rows)
	for _, fact := range s.Facts {
		out.Line("  note: entry %q: %s", fact.Entry, fact.Detail)
	}
	if s.WALEntries > 0 {
		out.Line("  note: %d entries of the write-ahead log stand beyond the database", s.WALEntries)
	}
}

func (f *Inspection) writeEtcd(out *text.Section) {
	e := f.Etcd
	out.Heading("etcd")
	free := 0.0
	if e.Size > 0 {
		free = 100 * float64(e.Size-e.SizeInUse) / float64(e.Size)
	}
	out.Table([][]string{
		{"  CLUSTER VERSION", "STORAGE VERSION", "DB SIZE", "IN USE", "PERCENTAGE NOT IN USE", "REVISION", "RAFT TERM", "RAFT INDEX", "KEYS"},
		{"  " + text.OrDash(e.ClusterVersion), text.OrDash(e.StorageVersion), humanize.Bytes(uint64(e.Size)), humanize.Bytes(uint64(e.SizeInUse)),
			fmt.Sprintf("%.0f%%", free), strconv.FormatInt(e.Revision, 10), text.OrDash(text.Number(e.RaftTerm)), text.Number(e.RaftIndex), strconv.FormatInt(e.LiveKeys, 10)},
	})
	rows := [][]string{{"  MEMBER", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"}}
	for _, m := range f.Members {
		rows = append(rows, []string{"  " + strconv.FormatUint(m.ID, 16), text.OrDash(m.Name), strings.Join(m.PeerURLs, ","), text.OrDash(strings.Join(m.ClientURLs, ",")), strconv.FormatBool(m.IsLearner)})
	}
	out.Table(rows)
	switch c := e.CompactRevision; {
	case e.ScheduledCompact > e.FinishedCompact:
		out.Line("  compacted to revision %d, and a compaction to %d was under way", c, e.ScheduledCompact)
	case c > 0:
		out.Line("  compacted to revision %d", c)
	default:
		out.Line("  nothing was compacted: the whole history is here")
	}
	if e.AuthEnabled {
		out.Line("  authentication is enabled: what is restored from it asks its clients for a user")
	}
	for _, a := range f.Alarms {
		out.Line("  ALARM %s of member %x", a.Alarm, a.MemberID)
	}
	for _, p := range f.Problems {
		out.Line("  PROBLEM %s", p)
	}
}

func (f *Inspection) writeKubernetes(out *text.Section) {
	k := f.Kubernetes
	out.Heading("Kubernetes")
	if v := k.Version; v.Version != "" {
		guess := ""
		if v.Guess {
			guess = ", a guess"
		}
		out.Line("  %s (%s%s)", v.Version, v.From, guess)
	}
	if !k.Newest.IsZero() {
		out.Line("  newest lease renewal %s: about when the backup was made", k.Newest.Format(time.RFC3339))
	}
	rows := [][]string{{"  NAMESPACE", "OBJECTS", "BYTES"}}
	for _, n := range k.Namespaces {
		name := n.Name
		if name == "" {
			name = "(cluster)"
		}
		rows = append(rows, []string{"  " + name, strconv.FormatInt(n.Objects, 10), strconv.FormatInt(n.Bytes, 10)})
	}
	out.Table(rows)
	for _, l := range k.Locks {
		state := "OPEN: a key is at hand"
		switch {
		case l.Locked == l.Objects:
			state = "LOCKED: no key at hand opens them"
		case l.Locked > 0:
			state = fmt.Sprintf("%d LOCKED: no key at hand opens them", l.Locked)
		}
		out.Line("  encrypted at rest with %s: %d objects, %s", l.Lock, l.Objects, state)
	}
	for _, n := range k.Keyspace.Elsewhere {
		if n.Objects > 0 {
			out.Line("  %d objects stand under %q: --etcd-prefix %q", n.Objects, n.Prefix, n.Prefix)
		}
	}
	switch err := k.Keyspace.Check(); {
	case err != nil:
		out.Line("  %s", text.Printable(err.Error()))
	case len(k.Locks) == 0:
		out.Line("  nothing is encrypted at rest: %d values looked at", k.Keyspace.Keys)
	}
}

func (h *HistoryFacts) write(out *text.Section) {
	out.Heading("History")
	if h == nil {
		out.Line("  nothing in it tells the time: look back with --rev")
		return
	}
	for _, w := range h.Windows {
		out.Line("  revision %d (%s) to %d (%s)", w.First, w.FirstTime, w.Last, w.LastTime)
	}
	if h.WidestGap.Known() {
		out.Line("  known worst is the time about %s", h.WidestGap)
	}
}

func (f *Inspection) writeFiles(out *text.Section) {
	out.Heading("Control plane files")
	if f.Files == nil {
		out.Line("  none: no kubernetes/ folder in SRC")
		return
	}
	for i, c := range f.Files.Certificates {
		mark := ""
		if i == 0 {
			mark = "   EARLIEST"
		}
		if len(f.Files.Certificates) > 5 && i >= 3 {
			out.Line("  ... and %d more certificates that end later (-o json lists them)", len(f.Files.Certificates)-i)
			break
		}
		out.Line("  %s ends %s%s", text.Printable(c.Path), c.NotAfter.UTC().Format(time.DateOnly), mark)
	}
	for _, p := range f.Files.Problems {
		out.Line("  PROBLEM %q: %s", p.Path, p.Detail)
	}
}
