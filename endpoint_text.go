package lifeboat

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/lifeboat-dr/lifeboat/internal/text"
)

// WriteText shows the status as etcdctl does, and below it what only a file says.
func (s *EndpointStatus) WriteText(w io.Writer) error {
	st := s.Status
	free := 0.0
	if st.DBSize > 0 {
		free = 100 * float64(st.DBSize-st.DBSizeInUse) / float64(st.DBSize)
	}
	t := text.NewTable(w, "ENDPOINT", "ID", "VERSION", "STORAGE VERSION", "DB SIZE", "IN USE", "PERCENTAGE NOT IN USE",
		"IS LEARNER", "RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS")
	t.Row(s.Endpoint, text.OrDash(hexID(st.Header.MemberID)), text.OrDash(st.Version), text.OrDash(st.StorageVersion),
		humanize.Bytes(uint64(st.DBSize)), humanize.Bytes(uint64(st.DBSizeInUse)), fmt.Sprintf("%.0f%%", free),
		strconv.FormatBool(st.IsLearner), text.OrDash(text.Number(st.RaftTerm)), text.Number(st.RaftIndex), text.Number(st.RaftAppliedIndex),
		text.OrDash(strings.Join(st.Errors, ", ")))
	if err := t.Flush(); err != nil {
		return err
	}
	out := text.NewSection(w)
	i := s.Info
	out.Line("")
	compacted := "nothing was compacted"
	if i.CompactRevision > 0 {
		compacted = fmt.Sprintf("compacted to %d", i.CompactRevision)
	}
	out.Line("revision %d, %s; %d keys in %d records, %d of them deletions; %d leases",
		i.Revision, compacted, i.LiveKeys, i.Records, i.Tombstones, i.Leases)
	if i.AuthEnabled {
		out.Line("authentication is enabled")
	}
	if s.Hash != "" {
		out.Line("sha256 trailer: %s", s.Hash)
	}
	for _, span := range s.Tail {
		out.Line("%s of the write-ahead log: %s", span, span.Standing)
	}
	return out.Err
}

// hexID is an id as etcdctl writes it, empty for none.
func hexID(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 16)
}

// WriteText shows the members as etcdctl does, and those that were removed.
func (l *MemberList) WriteText(w io.Writer) error {
	t := text.NewTable(w, "ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")
	for _, m := range l.Members {
		status := "started"
		if m.Name == "" {
			status = "unstarted"
		}
		t.Row(hexID(m.ID), status, text.OrDash(m.Name), strings.Join(m.PeerURLs, ","), text.OrDash(strings.Join(m.ClientURLs, ",")), strconv.FormatBool(m.IsLearner))
	}
	for _, id := range l.Removed {
		t.Row(hexID(id), "removed", "-", "-", "-", "-")
	}
	return t.Flush()
}

// WriteText shows the alarms, and which of them are ghosts'.
func (l *AlarmList) WriteText(w io.Writer) error {
	t := text.NewTable(w, "MEMBER", "NAME", "ALARM", "NOTE")
	for _, a := range l.Alarms {
		name, note := "-", "a ghost: there is no such member; writes are refused all the same"
		if known, ok := l.Names[a.MemberID]; ok {
			name, note = known, "-"
		}
		t.Row(hexID(a.MemberID), name, a.Alarm, note)
	}
	return t.Flush()
}

// WriteText shows a line for each key.
func (l *KeyList) WriteText(w io.Writer) error {
	t := text.NewTable(w, "KEY", "CREATE REVISION", "MOD REVISION", "VERSION", "LEASE", "VALUE SIZE")
	for _, k := range l.Keys {
		t.Row(k.Key, strconv.FormatInt(k.CreateRevision, 10), strconv.FormatInt(k.ModRevision, 10),
			strconv.FormatInt(k.Version, 10), text.OrDash(hexID(uint64(k.Lease))), strconv.Itoa(k.ValueSize))
	}
	return t.Flush()
}
