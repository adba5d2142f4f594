package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdStatusCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "what etcdctl endpoint status would say, offline",
		UsageText: "lifeboat etcd status /var/lib/etcd\nlifeboat etcd status etcd-backup.snapshot -o json",
		ArgsUsage: "SRC",
		Description: `The page structure is checked and every record counted. The sha256 trailer of a
snapshot file is not: that would take several times as long as all the rest.
--require-hash has it checked, and so do inspect, hash and restore.`,
		Flags: append(sourceFlags(), outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error {
			trailer := trailerNot
			if c.Bool("require-hash") {
				trailer = trailerFirst
			}
			return withSource(c, env, trailer, func(src *source) error { return etcdStatus(c.Context, env, src) })
		},
	}
}

// endpointStatus is `etcdctl endpoint status -w json` under its field names,
// and what only a file can say besides.
type endpointStatus struct {
	Endpoint string `json:"Endpoint"`
	Status   struct {
		Header           etcdHeader `json:"header"`
		Version          string     `json:"version,omitempty"`
		DBSize           int64      `json:"dbSize"`
		RaftIndex        uint64     `json:"raftIndex"`
		RaftTerm         uint64     `json:"raftTerm,omitempty"`
		RaftAppliedIndex uint64     `json:"raftAppliedIndex"`
		Errors           []string   `json:"errors,omitempty"`
		DBSizeInUse      int64      `json:"dbSizeInUse"`
		IsLearner        bool       `json:"isLearner,omitempty"`
		StorageVersion   string     `json:"storageVersion,omitempty"`
	} `json:"Status"`
	Info   snapshot.Info  `json:"file"`
	Tail   []datadir.Span `json:"walTail,omitempty"`
	Hash   string         `json:"sha256Trailer,omitempty"` // of a snapshot: good, or not checked
	Commit uint64         `json:"commitIndex,omitempty"`   // newest on record
}

func etcdStatus(ctx context.Context, env *environment, src *source) error {
	info, err := src.db.Info(ctx)
	if err != nil {
		return err
	}
	alarms, err := src.db.Alarms()
	if err != nil {
		return err
	}
	s := endpointStatus{Endpoint: src.path, Info: info}
	s.Status.Header, s.Status.Version, s.Status.StorageVersion = src.header(), info.ClusterVersion, info.StorageVersion
	s.Status.DBSize, s.Status.DBSizeInUse = info.Size, info.SizeInUse
	s.Status.RaftIndex, s.Status.RaftAppliedIndex, s.Status.RaftTerm = info.RaftIndex, info.RaftIndex, info.RaftTerm
	for _, a := range alarms {
		s.Status.Errors = append(s.Status.Errors, fmt.Sprintf("alarm %s of member %x", a.Alarm, a.MemberID))
	}
	if r := src.replay; r != nil {
		// The sizes are those of the member's own file, not of the copy that
		// the log was put onto.
		s.Status.DBSize, s.Status.DBSizeInUse = r.Survivor.Info.Size, r.Survivor.Info.SizeInUse
		s.Status.RaftIndex, s.Tail, s.Commit = r.LogLast, r.Spans, r.Survivor.Log.Commit
		_, s.Status.RaftTerm = r.Survivor.Newest()
		members, _, err := src.db.Members()
		if err != nil {
			return err
		}
		for _, m := range members {
			s.Status.IsLearner = s.Status.IsLearner || m.ID == r.Survivor.Log.NodeID && m.IsLearner
		}
	}
	if src.kind == kindSnapshot {
		s.Hash = src.trailer.String()
		if src.trailer == snapshot.TrailerMissing {
			s.Hash = "not checked"
		}
	}
	if env.format != formatTable {
		return env.printDocument(map[string]any{"items": []endpointStatus{s}})
	}
	return s.print(env)
}

func (s endpointStatus) print(env *environment) error {
	st := s.Status
	free := 0.0
	if st.DBSize > 0 {
		free = 100 * float64(st.DBSize-st.DBSizeInUse) / float64(st.DBSize)
	}
	t := newTable(env.stdout, "ENDPOINT", "ID", "VERSION", "STORAGE VERSION", "DB SIZE", "IN USE", "PERCENTAGE NOT IN USE",
		"IS LEARNER", "RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS")
	t.row(s.Endpoint, orDash(hexID(st.Header.MemberID)), orDash(st.Version), orDash(st.StorageVersion),
		humanize.Bytes(uint64(st.DBSize)), humanize.Bytes(uint64(st.DBSizeInUse)), fmt.Sprintf("%.0f%%", free),
		strconv.FormatBool(st.IsLearner), orDash(number(st.RaftTerm)), number(st.RaftIndex), number(st.RaftAppliedIndex),
		orDash(strings.Join(st.Errors, ", ")))
	if err := t.flush(); err != nil {
		return err
	}
	out := newSection(env)
	i := s.Info
	out.line("")
	compacted := "nothing was compacted"
	if i.CompactRevision > 0 {
		compacted = fmt.Sprintf("compacted to %d", i.CompactRevision)
	}
	out.line("revision %d, %s; %d keys in %d records, %d of them deletions; %d leases",
		i.Revision, compacted, i.LiveKeys, i.Records, i.Tombstones, i.Leases)
	if i.AuthEnabled {
		out.line("authentication is enabled")
	}
	if s.Hash != "" {
		out.line("sha256 trailer: %s", s.Hash)
	}
	for _, span := range s.Tail {
		out.line("%s of the write-ahead log: %s", entries(span.First, span.Last), span.Standing)
	}
	return out.err
}

func hexID(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 16)
}
