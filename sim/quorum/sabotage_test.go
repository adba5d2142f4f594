package quorum_test

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/sim/quorum"
)

// soak is the factor that loop counts hang on.
func soak(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("LIFEBOAT_SOAK")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err)
	return n
}

func broken(run sim.Run) bool {
	return run.Verdict == sim.Deviated && strings.Contains(run.Reason, "invariant")
}

// Rules that are broken on purpose are caught, and the schedule that shows it
// is shrunk to one that can be read. These tests take the process's random
// reader over, so they do not run beside each other.
func TestSabotageIsCaughtAndShrunk(t *testing.T) {
	for name, engine := range map[string]sim.Engine{
		"commit without quorum": quorum.CommitWithoutQuorum(),
		"vote twice":            quorum.VoteTwice(),
		"lose a synced write":   quorum.LoseSynced(),
		"forget a vote":         quorum.ForgetVote(),
		"forget a term":         quorum.ForgetTerm(),
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); ; seed++ {
				require.LessOrEqual(t, seed, uint64(1000), "not caught")
				s := drill.Random(seed, 20)
				run, err := drill.One(t.Context(), engine, s, seed)
				require.NoError(t, err)
				if !broken(run) {
					continue
				}
				small, err := drill.Shrink(t.Context(), s, func(ctx context.Context, s *sim.Scenario) (sim.Run, error) {
					return drill.One(ctx, engine, s, seed)
				}, broken)
				require.NoError(t, err)
				require.LessOrEqual(t, len(small.Steps), 15)
				again, err := sim.Load("small.yaml", sim.Encode(small))
				require.NoError(t, err)
				replayed, err := drill.One(t.Context(), engine, again, seed)
				require.NoError(t, err)
				require.True(t, broken(replayed), "the file fails as the drill did: %s", replayed.Reason)
				healthy, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, again, seed)
				require.NoError(t, err)
				require.False(t, broken(healthy), "the unbroken engine stands it: %s", healthy.Reason)
				t.Logf("seed %d, %d steps: %s", seed, len(small.Steps), run.Reason)
				return
			}
		})
	}
}

// A disk that loses what it said it had synced is told from one that does not.
func TestLostSyncIsCaught(t *testing.T) {
	s, err := sim.Load("lost-sync.yaml", []byte(`apiVersion: lifeboat/v1
kind: Drill
title: two disks lie
engine: virtual
given: {members: 3, load: {writes: 50/s}}
steady: [{leader: exactly-one}]
steps:
  - {name: one behind, at: 5s, do: {isolate: m1}}
  - {name: the others lie, wait: 5s, do: [{lose-wal-tail: {members: [m2, m3], entries: 40}}, heal, {start: [m2, m3]}], expect: [{write: ok, within: 10s}]}
always: [log-matching, leader-completeness, committed-agree, acked-writes-survive]
`))
	require.NoError(t, err)
	run, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, s, 1)
	require.NoError(t, err)
	require.True(t, broken(run), "%s: %s", run.Verdict, run.Reason)
}

// The real library stands random faults.
func TestRandomFaultsAreStood(t *testing.T) {
	for seed := uint64(1); seed <= 15*soak(t); seed++ {
		run, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, drill.Random(seed, 20), seed)
		require.NoError(t, err)
		require.Equal(t, sim.Met, run.Verdict, "seed %d: %s", seed, run.Reason)
	}
}

// The same seed gives the same run, to the last event; another one does not.
func TestSameSeedSameEvents(t *testing.T) {
	s := drill.Random(3, 15)
	first, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, s, 3)
	require.NoError(t, err)
	second, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, s, 3)
	require.NoError(t, err)
	require.Equal(t, first, second)
	other, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, s, 4)
	require.NoError(t, err)
	require.NotEqual(t, first.Digest, other.Digest)
}

// Without PreVote a member that comes back unseats the leader: what
// rejoin-with-prevote expects does not hold then.
func TestWithoutPreVoteTheLeaderIsUnseated(t *testing.T) {
	text := []byte(`apiVersion: lifeboat/v1
kind: Drill
title: rejoin
engine: virtual
given: {members: 3, prevote: true}
steady: [{leader: exactly-one}]
steps:
  - {name: cut, at: 5s, do: {isolate: follower}, expect: [{leader: exactly-one, for: 10s}]}
  - {name: back, do: heal, expect: [{term: same, for: 5s}]}
`)
	verdict := func(text []byte) sim.Verdict {
		s, err := sim.Load("rejoin.yaml", text)
		require.NoError(t, err)
		run, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, s, 1)
		require.NoError(t, err)
		return run.Verdict
	}
	require.Equal(t, sim.Met, verdict(text))
	require.Equal(t, sim.Deviated, verdict(bytes.Replace(text, []byte("prevote: true"), []byte("prevote: false"), 1)))
}

// Time in a drill costs none: ten virtual minutes end.
func TestStopWhenIsEnforced(t *testing.T) {
	s, err := sim.Load("endless.yaml", []byte(`apiVersion: lifeboat/v1
kind: Drill
title: waits for what never comes
engine: virtual
given: {members: 3, load: {writes: 5/s}}
steady: [{leader: exactly-one}]
steps:
  - {name: never, do: {kill: [leader, follower]}, expect: [{leader: none, within: 4s}, {leader: exactly-one, within: 20m}]}
stop-when: {time: 1m}
`))
	require.NoError(t, err)
	run, err := drill.One(t.Context(), quorum.Engine{OwnProcess: true}, s, 1)
	require.NoError(t, err)
	require.Equal(t, sim.Aborted, run.Verdict)
	require.Contains(t, run.Reason, "stop-when")
	require.LessOrEqual(t, run.Length.D(), 2*time.Minute)
}
