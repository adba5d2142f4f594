package drill

import (
	"context"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// QuorumAnswer is what the death of some members means.
type QuorumAnswer struct {
	Members int `json:"members"`
	Killed  int `json:"killed"`
	Quorum  int `json:"quorum"`
	Seeds   int `json:"seeds"`
	Keeps   int `json:"keepsQuorum"` // seeds in which writes went on
	// Leaderless is how long no member led, where writes went on.
	Leaderless *sim.Spread `json:"withoutLeader,omitempty"`
	// Silence is how long no write was acknowledged, where they went on.
	Silence *sim.Spread `json:"withoutWrites,omitempty"`
	// Lost are acknowledged writes that do not come back with the members left.
	Lost []QuorumLoss `json:"acknowledgedWritesLost,omitempty"`
}

// QuorumLoss is what one way of going on loses.
type QuorumLoss struct {
	After string `json:"after,omitempty"` // what was done to a survivor; "" where the quorum is kept
	sim.Losses
}

// Quorum is how many of so many voters have to live for writes to go on.
func Quorum(members int) int { return members/2 + 1 }

// AskQuorum runs a cluster of so many members under load in virtual time, once
// for each seed, and kills some of them at once, the leader first. Where the quorum is gone
// it is asked once for every way out: what is lost hangs on it.
func AskQuorum(ctx context.Context, members, kill int, seeds sim.Range) (*QuorumAnswer, error) {
	if kill == members || members-kill > members/2 {
		return askQuorum(ctx, members, kill, seeds, "")
	}
	answer, err := askQuorum(ctx, members, kill, seeds, sim.ForceNewCluster)
	if err != nil {
		return nil, err
	}
	rebuilt, err := askQuorum(ctx, members, kill, seeds, sim.Rebuild)
	if err != nil {
		return nil, err
	}
	answer.Lost = append(answer.Lost, rebuilt.Lost...)
	return answer, nil
}

// askQuorum kills members of a running cluster under load. Whether it keeps
// its quorum is observed, not computed. cure is what is done to a survivor then,
// "" for nothing.
func askQuorum(ctx context.Context, members, kill int, seeds sim.Range, cure sim.Verb) (*QuorumAnswer, error) {
	victims := make([]string, kill)
	for i := range victims {
		victims[i] = "follower"
	}
	if kill > 0 {
		victims[0] = "leader"
	}
	do := "{wait: 1s}"
	if kill > 0 {
		do = "{kill: [" + strings.Join(victims, ", ") + "]}"
	}
	survives, then := ", acked-writes-survive", ""
	if members-kill <= members/2 {
		survives = "" // what only the dead had is lost
	}
	if cure != "" {
		then = fmt.Sprintf("  - {name: cure, do: {%s: survivor}, expect: [{leader: exactly-one, within: 10s}]}\n", cure)
	}
	text := fmt.Sprintf(`apiVersion: lifeboat/v1
kind: Drill
title: %d of %d members die
engine: virtual
given: {members: %d, spread: 5ms, load: {writes: 50/s}}
steady: [{leader: exactly-one}, {write: ok, within: 10s}]
steps:
  - {name: kill, at: 5s, do: %s}
  - {name: wait, wait: 15s, expect: [{leader: exactly-one}]}
%salways: [one-leader-per-term, log-matching, leader-completeness, committed-agree, commit-on-quorum, applied-monotone%s]
measure: {rto: {from: kill, until: steady}, rpo: acked-writes-lost}
`, kill, members, members, do, then, survives)
	s, err := sim.Load("sim-quorum", []byte(text))
	if err != nil {
		return nil, err
	}
	report, err := Run(ctx, s, []byte(text), Options{Engine: sim.Virtual, Seeds: &seeds})
	if err != nil {
		return nil, err
	}
	answer := &QuorumAnswer{Members: members, Killed: kill, Quorum: Quorum(members), Seeds: len(report.Seeds)}
	var silences, leaderless []sim.Duration
	for _, seed := range report.Seeds {
		switch {
		case seed.Verdict == sim.Met:
			answer.Keeps++
			if seed.RTO != nil {
				silences, leaderless = append(silences, *seed.RTO), append(leaderless, *seed.WithoutLeader)
			}
		case seed.Verdict != sim.Deviated, strings.Contains(seed.Reason, "invariant"):
			return nil, fmt.Errorf("seed %d: %s", seed.Seed, seed.Reason)
		}
	}
	answer.Silence, answer.Leaderless = sim.SpreadOf(silences), sim.SpreadOf(leaderless)
	if kill < members && report.RPO != nil {
		answer.Lost = []QuorumLoss{{After: string(cure), Losses: *report.RPO}}
	}
	return answer, nil
}

// QuorumRow is a cluster size.
type QuorumRow struct {
	Members int         `json:"members"`
	Quorum  int         `json:"quorum"`
	Stands  int         `json:"stands"` // losses at once after which writes went on, in every run
	Silence *sim.Spread `json:"withoutWrites,omitempty"`
	Gain    bool        `json:"standsMoreThanOneLess"` // than a cluster with one member less
}

// QuorumTable asks for the sizes 1 to 9 how many losses at once they stand: it
// kills one member more until writes stop.
func QuorumTable(ctx context.Context, seeds sim.Range) ([]QuorumRow, error) {
	var rows []QuorumRow
	for members := 1; members <= 9; members++ {
		row := QuorumRow{Members: members, Quorum: Quorum(members)}
		for kill := 1; kill <= members; kill++ {
			answer, err := askQuorum(ctx, members, kill, seeds, "")
			if err != nil {
				return nil, err
			}
			if answer.Keeps < answer.Seeds {
				break
			}
			row.Stands, row.Silence = kill, answer.Silence
		}
		row.Gain = members == 1 || row.Stands > rows[members-2].Stands
		rows = append(rows, row)
	}
	return rows, nil
}
