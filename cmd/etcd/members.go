package etcd

import (
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
	return list.WriteText(env.Stdout)
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
	return list.WriteText(env.Stdout)
}
