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

func etcdStatus(ctx context.Context, env *console.Environment, src *lifeboat.Backup) error {
	s, err := src.EndpointStatus(ctx)
	switch {
	case err != nil:
		return err
	case env.Format != console.FormatTable:
		return env.PrintDocument(map[string]any{"items": []*lifeboat.EndpointStatus{s}})
	}
	return printStatus(env, s)
}

func printStatus(env *console.Environment, s *lifeboat.EndpointStatus) error {
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
