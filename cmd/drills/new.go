package drills

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func drillNewCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "new", Usage: "print a commented drill to start from",
		UsageText: "lifeboat drill new > my-drill.yaml",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return console.Usagef("unexpected argument %q", c.Args().First())
			}
			if _, err := fmt.Fprint(env.Stdout, newDrill); err != nil {
				return fmt.Errorf("writing the drill: %w", err)
			}
			return nil
		},
	}
}

// newDrill loads and is met: a test runs it.
const newDrill = `apiVersion: lifeboat/v1
kind: Drill
title: Lose one of three masters
document: "the paragraph of your runbook that this rehearses"
why: >
  What you expect to happen, in a sentence or two.

# virtual: the real raft library in virtual time, once per seed.
# embedded: real etcd members on this machine, in real time; with
#   given: {backup: kube-backup.tar.gz} (or --backup) on your own data, and with
#   expect: [{objects: NAMESPACE}] all of its objects can be read.
# nodes: no members; nodes of a backup are lost. Such a drill has steps alone:
#   - {do: {lose-node: [worker-1, worker-2]}, expect: [{pending: 0}]}
#   - {do: {lose-zone: each}, expect: [{back-within: 6m15s, namespace: shop}]}
engine: [virtual]
seeds: 1..20

# tick and election are etcd's --heartbeat-interval and --election-timeout.
given: {members: 3, tick: 100ms, election: 1s, load: {writes: 50/s, reads: 5/s, clients: 4}}

# How a healthy cluster is told: before the first step, and after the last.
steady: [{leader: exactly-one}, {write: ok, within: 5s}]

# A step runs at a time, or when the one before it (or the one named by after)
# has ended, and wait later. Whom: leader, follower, followers, any, all,
# survivor, survivors, learner, majority, minority, down, or a name (m1, m2, ...).
# What: kill, stop, start, partition, one-way, isolate, heal, delay, drop,
# slow-disk, disk-loss, lose-wal-tail, add-member, add-learner, promote, remove,
# move-leader, force-new-cluster, rebuild, save, restore, fill-to-quota, compact,
# defrag, disarm, raise-quota, clock-pause, wait.
steps:
  - name: lose the leader
    at: 5s
    do: {kill: leader}
    expect:
      - {leader: exactly-one, within: 4s}
      - {write: ok, within: 2s}
  - name: it comes back
    wait: 5s
    do: {start: down}
    expect:
      - {hash: equal, within: 10s}
      - {lost: 0}

# What has to hold after every event.
always: [one-leader-per-term, log-matching, leader-completeness, committed-agree, commit-on-quorum, acked-writes-survive, applied-monotone, linearizable]

# The run is aborted then: a drill that never ends proves nothing.
stop-when: {time: 2m}

measure: {rto: {from: lose the leader, until: steady}, rpo: acked-writes-lost}
expect: {rto: {max: 5s}, rpo: {max: 0}}
`
