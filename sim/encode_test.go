package sim_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// A drill that is written down again is the same drill: all that ship, cards aside.
func TestEncodedDrillsLoadAgain(t *testing.T) {
	t.Parallel()
	for _, name := range scenarios.Names() {
		data, err := scenarios.Read(name)
		require.NoError(t, err)
		s, err := sim.Load(name+".yaml", data)
		require.NoError(t, err)
		if s.Kind == sim.KindCard {
			require.NotEmpty(t, s.Stops)
			continue
		}
		again, err := sim.Load(name+".yaml", sim.Encode(s))
		require.NoError(t, err, "%s", sim.Encode(s))
		twice := sim.Encode(again)
		require.Equal(t, string(sim.Encode(s)), string(twice), name)
		require.Equal(t, len(s.Steps), len(again.Steps))
		require.Equal(t, s.Always, again.Always)
	}
}

// Every action and expectation that a file can hold survives being written down.
func TestEncodeEverything(t *testing.T) {
	t.Parallel()
	s, err := sim.Load("all.yaml", []byte(`apiVersion: lifeboat/v1
kind: Drill
title: "everything: at once"
why: because
document: "a paragraph"
engine: virtual
seeds: 3..9
given: {members: 5, learners: 1, tick: 50ms, election: 700ms, latency: 2ms, spread: 3ms, sync: 4ms, quota: 16MiB, prevote: false, load: {writes: 9/s, reads: 3/s, clients: 2}}
steady: [{leader: exactly-one, within: 5s}, {hash: equal, within: 3s}]
steps:
  - name: a
    at: 1s
    do: [{partition: {members: [m1, m2], from: [m3]}}, {delay: {members: m1, by: 30ms}}, {drop: {members: any, rate: 0.25}}, {slow-disk: {members: m2, by: 5ms}}, {lose-wal-tail: {members: m4, entries: 7}}]
    expect: [{read: linearizable, is: fails, with: "no leader", on: [m4]}, {members: 6, serializable: true, for: 2s}]
  - name: b
    wait: 2s
    do: [heal, {restore: {members: m1, bump-revision: false}}, {raise-quota: {members: all, bytes: 32MiB}}, {fill-to-quota: {bytes: 1MiB}}, {ambush: m2}, {wait: 1s}]
    expect: [{revision: behind}, {lost: some}, {action: ok}]
always: [states-agree, linearizable]
stop-when: {time: 3m}
measure: {rto: {from: a, until: b}, rpo: acked-writes-lost}
expect: {rto: {max: 9s}, rpo: {max: 2}}
`))
	require.NoError(t, err)
	again, err := sim.Load("all.yaml", sim.Encode(s))
	require.NoError(t, err, "%s", sim.Encode(s))
	require.Equal(t, string(sim.Encode(s)), string(sim.Encode(again)))
	require.Equal(t, s.Given, again.Given)
	require.Equal(t, s.Expect, again.Expect)
	for i, step := range s.Steps {
		for j, a := range step.Do {
			require.Equal(t, a.String(), again.Steps[i].Do[j].String())
		}
		for j, e := range step.Expect {
			require.Equal(t, e.String(), again.Steps[i].Expect[j].String())
		}
	}
}

func member(name string, role sim.Role, change ...func(*sim.Member)) sim.Member {
	m := sim.Member{Name: name, Role: role, Term: 2, Commit: 5}
	for _, c := range change {
		c(&m)
	}
	return m
}

// Whom a selector picks.
func TestSelectors(t *testing.T) {
	t.Parallel()
	members := []sim.Member{
		member("m1", sim.RoleFollower), member("m2", sim.RoleLeader), member("m3", sim.RoleDown),
		member("m4", sim.RoleFollower, func(m *sim.Member) { m.Commit = 9 }), member("m5", sim.RoleRemoved),
		member("l1", sim.RoleLearner, func(m *sim.Member) { m.Learner = true }),
	}
	for words, want := range map[string][]string{
		"leader": {"m2"}, "follower": {"m1"}, "followers": {"m1", "m4"}, "down": {"m3"}, "learner": {"l1"}, "m4": {"m4"},
		"all": {"m1", "m2", "m3", "m4", "l1"}, "survivors": {"m1", "m2", "m4"}, "survivor": {"m4"}, "majority": {"m2", "m1", "m4"},
	} {
		picked, err := sim.Resolve([]sim.Selector{sim.Selector(words)}, members, nil)
		require.NoError(t, err, words)
		require.Equal(t, want, sim.Action{Targets: picked}.Names(), words)
	}
	picked, err := sim.Resolve([]sim.Selector{"follower", "follower"}, members, nil)
	require.NoError(t, err)
	require.Len(t, slices.Compact(picked), 2, "nobody twice")
	_, err = sim.Resolve([]sim.Selector{"minority"}, members, nil)
	require.ErrorIs(t, err, sim.ErrSelector)
	require.ErrorContains(t, err, "m3 (down)")
	newer := append(slices.Clone(members), member("r1", sim.RoleLeader, func(m *sim.Member) { m.Epoch, m.Term = 1, 1 }))
	picked, err = sim.Resolve([]sim.Selector{"leader"}, newer, nil)
	require.NoError(t, err)
	require.Equal(t, []sim.Selector{"r1"}, picked, "the newest cluster's, whatever the terms")
}

// What no drill may hold, each with the words that say why.
func TestLoadRefusesWhatSaysNothing(t *testing.T) {
	t.Parallel()
	head := "apiVersion: lifeboat/v1\nkind: Drill\ntitle: x\nengine: virtual\nsteady: [{leader: exactly-one}]\nsteps:\n"
	for step, want := range map[string]string{
		"  - {name: a}": "does nothing and expects nothing",
		"  - {name: a, do: [{wait: 1s}], expect: [{}]}":    "without a measure",
		"  - {name: a, expect: [{leader: m9}]}":            "leader is not",
		"  - {name: a, expect: [{members: many}]}":         "members is a number",
		"  - {name: a, expect: [{lost: few}]}":             "lost is a number of writes",
		"  - {name: a, expect: [{write: ok, is: fails}]}":  "`is` belongs to a read",
		"  - {name: a, expect: [{write: ok, with: x}]}":    "is the text of an error",
		"  - {name: a, expect: [{pending: 1}]}":            "cannot look at pending",
		"  - {name: a, expect: [{objects: shop}]}":         "the virtual engine holds no Kubernetes objects",
		"  - {name: a, do: {lose-node: w1}}":               "cannot do lose-node",
		"  - {name: a, do: {kill: m7}}":                    "there is no member",
		"  - {name: a, do: {add-member: m1}}":              "is there already",
		"  - {name: a, do: {add-member: Leader}}":          "is not a name for a member",
		"  - {name: a, do: {promote: learner}}":            "picks nobody",
		"  - {name: a, expect: [{revision: ahead}]}":       "only after a restore or rebuild",
		"  - {name: a, after: b, do: heal}":                "which is not a step",
		"  - {name: a, at: 20m, do: heal}":                 "the drill is stopped at",
		"  - {name: a, do: heal}\n  - {name: a, do: heal}": "two steps have the name",
	} {
		_, err := sim.Load("x.yaml", []byte(head+step+"\n"))
		require.ErrorContains(t, err, want, step)
		require.ErrorIs(t, err, sim.ErrScenario)
	}
}
