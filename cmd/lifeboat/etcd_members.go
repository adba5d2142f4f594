package main

import (
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func etcdMembersCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:      "members",
		Usage:     "the members of the cluster, also those that were removed",
		UsageText: "lifeboat etcd members /var/lib/etcd\nlifeboat etcd members etcd-backup.snapshot -o json",
		ArgsUsage: "SRC",
		Flags:     append(sourceFlags(), outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error {
			return withSource(c, env, trailerFirst, func(src *source) error { return etcdMembers(env, src) })
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

func etcdMembers(env *environment, src *source) error {
	list := memberList{Header: src.header()}
	list.Header.Revision = 0
	var err error
	if list.Members, list.Removed, err = src.db.Members(); err != nil {
		return err
	}
	if src.replay != nil {
		if s := src.replay.Survivor; s.V2Err != nil {
			env.warn("%v", s.V2Err)
		} else {
			list.Zombies, list.Unpromoted = s.Differences(list.Members)
		}
	}
	for _, id := range list.Zombies {
		env.warn("member %x is in the database, but not of the cluster: a zombie, which etcd 3.6 would take for a member", id)
	}
	for _, id := range list.Unpromoted {
		env.warn("member %x is a learner in the database, but was promoted: etcd 3.6 would take it for a learner", id)
	}
	if env.format != formatTable {
		return env.printDocument(list)
	}
	t := newTable(env.stdout, "ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")
	for _, m := range list.Members {
		status := "started"
		if m.Name == "" {
			status = "unstarted"
		}
		t.row(hexID(m.ID), status, orDash(m.Name), strings.Join(m.PeerURLs, ","), orDash(strings.Join(m.ClientURLs, ",")), strconv.FormatBool(m.IsLearner))
	}
	for _, id := range list.Removed {
		t.row(hexID(id), "removed", "-", "-", "-", "-")
	}
	return t.flush()
}

func etcdAlarmsCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:      "alarms",
		Usage:     "the alarms that are raised",
		UsageText: "lifeboat etcd alarms /var/lib/etcd",
		ArgsUsage: "SRC",
		Flags:     append(sourceFlags(), outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error {
			return withSource(c, env, trailerFirst, func(src *source) error { return etcdAlarms(env, src) })
		},
	}
}

func etcdAlarms(env *environment, src *source) error {
	alarms, err := src.db.Alarms()
	if err != nil {
		return err
	}
	if env.format != formatTable {
		if alarms == nil {
			alarms = []snapshot.Alarm{}
		}
		return env.printDocument(map[string]any{"header": src.header(), "alarms": alarms})
	}
	members, _, err := src.db.Members()
	if err != nil {
		return err
	}
	if len(alarms) == 0 {
		env.note("no alarm is raised")
		return nil
	}
	t := newTable(env.stdout, "MEMBER", "NAME", "ALARM", "NOTE")
	for _, a := range alarms {
		name, note := "-", "a ghost: there is no such member; writes are refused all the same"
		for _, m := range members {
			if m.ID == a.MemberID {
				name, note = m.Name, "-"
			}
		}
		t.row(hexID(a.MemberID), name, a.Alarm, note)
	}
	return t.flush()
}
