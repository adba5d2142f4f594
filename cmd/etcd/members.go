package etcd

import (
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
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

func etcdMembers(env *console.Environment, src *lifeboat.Backup) error {
	list, err := src.MemberList()
	if err != nil {
		return err
	}
	if list.Doubt != nil {
		env.Warn("%v", list.Doubt)
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
	list, err := src.AlarmList()
	switch {
	case err != nil:
		return err
	case env.Format != console.FormatTable:
		return env.PrintDocument(list)
	case len(list.Alarms) == 0:
		env.Note("no alarm is raised")
		return nil
	}
	t := console.NewTable(env.Stdout, "MEMBER", "NAME", "ALARM", "NOTE")
	for _, a := range list.Alarms {
		name, note := "-", "a ghost: there is no such member; writes are refused all the same"
		if known, ok := list.Names[a.MemberID]; ok {
			name, note = known, "-"
		}
		t.Row(hexID(a.MemberID), name, a.Alarm, note)
	}
	return t.Flush()
}
