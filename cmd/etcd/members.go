package etcd

import (
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func etcdMembersCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "members",
		Usage:     "the members of the cluster, also those that were removed",
		UsageText: "lifeboat etcd members /var/lib/etcd\nlifeboat etcd members etcd-backup.snapshot -o json",
		ArgsUsage: "SRC",
		Flags:     append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			return withSource(c, env, lifeboat.TrailerFirst, func(src *lifeboat.Backup) error { return etcdMembers(env, src) })
		},
	}
}

// memberList is `etcdctl member list -w json`, and what only a file can say.
type memberList struct {
	Header  etcdHeader        `json:"header"`
	Members []snapshot.Member `json:"members"`
	Removed []uint64          `json:"removed,omitempty"`

	// Zombies are members that the database has and that are none for etcd up to
	// 3.5: a server of 3.6 would take them for members again.
	Zombies []uint64 `json:"zombies,omitempty"`
	// Unpromoted are learners in the database that are voters for etcd up to 3.5.
	Unpromoted []uint64 `json:"unpromoted,omitempty"`
}

func etcdMembers(env *console.Environment, src *lifeboat.Backup) error {
	list := memberList{Header: headerOf(src)}
	list.Header.Revision = 0
	var err error
	if list.Members, list.Removed, err = src.DB().Members(); err != nil {
		return err
	}
	if src.Replay() != nil {
		if s := src.Replay().Survivor; s.V2Err != nil {
			env.Warn("%v", s.V2Err)
		} else {
			list.Zombies, list.Unpromoted = s.Differences(list.Members)
		}
	}
	for _, id := range list.Zombies {
		env.Warn("member %x is in the database, but not of the cluster: a zombie, which etcd 3.6 would take for a member", id)
	}
	for _, id := range list.Unpromoted {
		env.Warn("member %x is a learner in the database, but was promoted: etcd 3.6 would take it for a learner", id)
	}
	if env.Format != console.FormatTable {
		return env.PrintDocument(list)
	}
	t := console.NewTable(env.Stdout, "ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")
	for _, m := range list.Members {
		status := "started"
		if m.Name == "" {
			status = "unstarted"
		}
		t.Row(hexID(m.ID), status, console.OrDash(m.Name), strings.Join(m.PeerURLs, ","), console.OrDash(strings.Join(m.ClientURLs, ",")), strconv.FormatBool(m.IsLearner))
	}
	for _, id := range list.Removed {
		t.Row(hexID(id), "removed", "-", "-", "-", "-")
	}
	return t.Flush()
}

func etcdAlarmsCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "alarms",
		Usage:     "the alarms that are raised",
		UsageText: "lifeboat etcd alarms /var/lib/etcd",
		ArgsUsage: "SRC",
		Flags:     append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			return withSource(c, env, lifeboat.TrailerFirst, func(src *lifeboat.Backup) error { return etcdAlarms(env, src) })
		},
	}
}

func etcdAlarms(env *console.Environment, src *lifeboat.Backup) error {
	alarms, err := src.DB().Alarms()
	if err != nil {
		return err
	}
	if env.Format != console.FormatTable {
		if alarms == nil {
			alarms = []snapshot.Alarm{}
		}
		return env.PrintDocument(map[string]any{"header": headerOf(src), "alarms": alarms})
	}
	members, _, err := src.DB().Members()
	if err != nil {
		return err
	}
	if len(alarms) == 0 {
		env.Note("no alarm is raised")
		return nil
	}
	t := console.NewTable(env.Stdout, "MEMBER", "NAME", "ALARM", "NOTE")
	for _, a := range alarms {
		name, note := "-", "a ghost: there is no such member; writes are refused all the same"
		for _, m := range members {
			if m.ID == a.MemberID {
				name, note = m.Name, "-"
			}
		}
		t.Row(hexID(a.MemberID), name, a.Alarm, note)
	}
	return t.Flush()
}
