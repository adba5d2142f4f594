package etcd

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdStatusCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "what etcdctl endpoint status would say, offline",
		UsageText: "lifeboat etcd status /var/lib/etcd\nlifeboat etcd status etcd-backup.snapshot -o json",
		ArgsUsage: "SRC",
		Description: `The page structure is checked and every record counted. The sha256 trailer of a
snapshot file is not: that would take several times as long as all the rest.
--require-hash has it checked, and so do inspect, hash and restore.`,
		Flags: append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			trailer := lifeboat.TrailerNever
			if c.Bool("require-hash") {
				trailer = lifeboat.TrailerFirst
			}
			return withSource(c, env, trailer, func(src *lifeboat.Backup) error { return etcdStatus(c.Context, env, src) })
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

	Evidence *datadir.Evidence `json:"evidence,omitempty"` // of a data dir
}

func etcdStatus(ctx context.Context, env *console.Environment, src *lifeboat.Backup) error {
	info, err := src.DB().Info(ctx)
	if err != nil {
		return err
	}
	alarms, err := src.DB().Alarms()
	if err != nil {
		return err
	}
	s := endpointStatus{Endpoint: src.Path(), Info: info}
	s.Status.Header, s.Status.Version, s.Status.StorageVersion = headerOf(src), info.ClusterVersion, info.StorageVersion
	s.Status.DBSize, s.Status.DBSizeInUse = info.Size, info.SizeInUse
	s.Status.RaftIndex, s.Status.RaftAppliedIndex, s.Status.RaftTerm = info.RaftIndex, info.RaftIndex, info.RaftTerm
	for _, a := range alarms {
		s.Status.Errors = append(s.Status.Errors, fmt.Sprintf("alarm %s of member %x", a.Alarm, a.MemberID))
	}
	s.Evidence = src.Evidence()
	if r := src.Replay(); r != nil {
		// The sizes are those of the member's own file, not of the copy that
		// the log was put onto.
		s.Status.DBSize, s.Status.DBSizeInUse = r.Survivor.Info.Size, r.Survivor.Info.SizeInUse
		s.Status.RaftIndex, s.Tail, s.Commit = r.LogLast, r.Spans, r.Survivor.Log.Commit
		_, s.Status.RaftTerm = r.Survivor.Newest()
		members, _, err := src.DB().Members()
		if err != nil {
			return err
		}
		for _, m := range members {
			s.Status.IsLearner = s.Status.IsLearner || m.ID == r.Survivor.Log.NodeID && m.IsLearner
		}
	}
	if src.Kind() == lifeboat.Snapshot {
		s.Hash = src.Trailer().String()
		if src.Trailer() == snapshot.TrailerMissing {
			s.Hash = "not checked"
		}
	}
	if env.Format != console.FormatTable {
		return env.PrintDocument(map[string]any{"items": []endpointStatus{s}})
	}
	return s.print(env)
}

func (s endpointStatus) print(env *console.Environment) error {
	st := s.Status
	free := 0.0
	if st.DBSize > 0 {
		free = 100 * float64(st.DBSize-st.DBSizeInUse) / float64(st.DBSize)
	}
	t := console.NewTable(env.Stdout, "ENDPOINT", "ID", "VERSION", "STORAGE VERSION", "DB SIZE", "IN USE", "PERCENTAGE NOT IN USE",
		"IS LEARNER", "RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS")
	t.Row(s.Endpoint, console.OrDash(hexID(st.Header.MemberID)), console.OrDash(st.Version), console.OrDash(st.StorageVersion),
		humanize.Bytes(uint64(st.DBSize)), humanize.Bytes(uint64(st.DBSizeInUse)), fmt.Sprintf("%.0f%%", free),
		strconv.FormatBool(st.IsLearner), console.OrDash(console.Number(st.RaftTerm)), console.Number(st.RaftIndex), console.Number(st.RaftAppliedIndex),
		console.OrDash(strings.Join(st.Errors, ", ")))
	if err := t.Flush(); err != nil {
		return err
	}
	out := console.NewSection(env)
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

func hexID(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 16)
}
