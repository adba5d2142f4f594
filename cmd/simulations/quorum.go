package simulations

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func simQuorumCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "quorum",
		Usage: "what a cluster of N members stands, run on the raft library in virtual time",
		UsageText: "lifeboat sim quorum --members 5 --kill 2 --seeds 1..1000\n" +
			"lifeboat sim quorum table\n" +
			"lifeboat sim quorum plan --from 1 --to 3",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "members", Value: 3, Usage: "voters, `N` from 1 to 9"},
			&cli.IntFlag{Name: "kill", Value: 1, Usage: "how many die at once, the leader first, `N`"},
			&cli.StringFlag{Name: "seeds", Value: "1..100", Usage: "one run per seed of `A..B`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
			console.ProgressFlag(env),
		},
		Subcommands: []*cli.Command{simQuorumTableCommand(env), simQuorumPlanCommand(env)},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return console.Usagef("unexpected argument %q", c.Args().First())
			}
			seeds, err := sim.ParseRange(c.String("seeds"))
			if err != nil {
				return console.Usagef("--seeds: %w", err)
			}
			members, kill := c.Int("members"), c.Int("kill")
			if members < 1 || members > 9 || kill < 0 || kill > members {
				return console.Usagef("--members is 1 to 9, and --kill at most as many")
			}
			phase := env.Progress.Start("running", 0)
			answer, err := quorumAndLoss(c, members, kill, seeds)
			phase.Done()
			if err != nil {
				return err
			}
			return answer.print(env)
		},
	}
}

// quorumAnswer is what the death of some members means.
type quorumAnswer struct {
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
	Lost []quorumLoss `json:"acknowledgedWritesLost,omitempty"`
}

// quorumLoss is what one way of going on loses.
type quorumLoss struct {
	After string `json:"after,omitempty"` // what was done to a survivor; "" where the quorum is kept
	sim.Losses
}

// quorumAndLoss asks what the death of members means. Where the quorum is gone
// it is asked once for every way out: what is lost hangs on it.
func quorumAndLoss(c *cli.Context, members, kill int, seeds sim.Range) (*quorumAnswer, error) {
	if kill == members || members-kill > members/2 {
		return askQuorum(c, members, kill, seeds, "")
	}
	answer, err := askQuorum(c, members, kill, seeds, sim.ForceNewCluster)
	if err != nil {
		return nil, err
	}
	rebuilt, err := askQuorum(c, members, kill, seeds, sim.Rebuild)
	if err != nil {
		return nil, err
	}
	answer.Lost = append(answer.Lost, rebuilt.Lost...)
	return answer, nil
}

// askQuorum kills members of a running cluster under load. Whether it keeps
// its quorum is observed, not computed. cure is what is done to a survivor then,
// "" for nothing.
func askQuorum(c *cli.Context, members, kill int, seeds sim.Range, cure sim.Verb) (*quorumAnswer, error) {
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
	report, err := drill.Run(c.Context, s, []byte(text), drill.Options{Engine: sim.Virtual, Seeds: &seeds})
	if err != nil {
		return nil, err
	}
	answer := &quorumAnswer{Members: members, Killed: kill, Quorum: members/2 + 1, Seeds: len(report.Seeds)}
	var silences, leaderless []sim.Duration
	for _, seed := range report.Seeds {
		switch {
		case seed.Verdict == sim.Met:
			answer.Keeps++
			if seed.RTO != nil {
				silences, leaderless = append(silences, *seed.RTO), append(leaderless, *seed.WithoutLeader)
			}
		case seed.Verdict != sim.Deviated, strings.Contains(seed.Reason, "invariant"):
			return nil, console.Failf("seed %d: %s", seed.Seed, seed.Reason)
		}
	}
	answer.Silence, answer.Leaderless = sim.SpreadOf(silences), sim.SpreadOf(leaderless)
	if kill < members && report.RPO != nil {
		answer.Lost = []quorumLoss{{After: string(cure), Losses: *report.RPO}}
	}
	return answer, nil
}

func (a *quorumAnswer) print(env *console.Environment) error {
	if env.Format != console.FormatTable {
		return env.PrintDocument(a)
	}
	out := console.NewSection(env)
	out.Line("%d of %d members die; a quorum is %d", a.Killed, a.Members, a.Quorum)
	switch a.Keeps {
	case a.Seeds:
		out.Line("writes go on in all %d runs", a.Seeds)
	case 0:
		out.Line("writes stop, in all %d runs: members left: %d", a.Seeds, a.Members-a.Killed)
	default:
		out.Line("writes go on in %d of %d runs", a.Keeps, a.Seeds)
	}
	for _, without := range []struct {
		what string
		s    *sim.Spread
	}{{"a leader", a.Leaderless}, {"an acknowledged write", a.Silence}} {
		if s := without.s; s != nil {
			out.Line("without %s: %s at least, %s in the middle, %s for 99 of 100, %s at most", without.what, s.Min.Short(), s.Median.Short(), s.P99.Short(), s.Max.Short())
		}
	}
	for _, l := range a.Lost {
		after := ""
		if l.After != "" {
			after = ", after " + l.After + " on a survivor"
		}
		if l.Unknown > 0 {
			out.Line("what is lost is unknown in %d of %d runs%s: nobody leads that could be asked", l.Unknown, l.Of, after)
		}
		switch known := l.Of - l.Unknown; {
		case l.Seeds > 0:
			out.Line("acknowledged writes are lost in %d of %d runs, up to %d%s", l.Seeds, known, l.Most, after)
		case known > 0:
			out.Line("no acknowledged write is lost in %d runs%s", known, after)
		}
	}
	if len(a.Lost) > 1 {
		out.Line("what only the dead had is lost whatever is done: here links take 1 to 6 ms, and no survivor lagged behind")
	}
	return out.Err
}
