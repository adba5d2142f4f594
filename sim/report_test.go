package sim_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
)

func seconds(n float64) sim.Duration { return sim.Duration(n * float64(time.Second)) }

// run is a run with something of everything that a report shows.
func run(seed uint64, verdict sim.Verdict) sim.Run {
	lost := 2
	r := sim.Run{
		Seed: seed, Verdict: verdict, Before: []sim.Check{{Expected: "leader exactly-one", Observed: "m1", Met: true}},
		Steps: []sim.StepResult{{
			Name: "lose <it>", Start: seconds(2), End: seconds(5),
			Done:   []sim.Done{{Action: "kill m1", At: seconds(2)}, {Action: "remove m2", At: seconds(3), Error: "unhealthy | cluster"}},
			Checks: []sim.Check{{Expected: "write ok", Observed: "none", Met: verdict == sim.Met, At: seconds(4)}},
		}},
		After: []sim.Check{{Expected: "leader exactly-one", Observed: "m2", Met: true, At: seconds(6)}},
		RTO:   &sim.RTO{Detect: seconds(1), Decide: seconds(0.5), Restore: seconds(1.5), Total: seconds(3), WithoutLeader: seconds(1.2)},
		RPO:   &lost, Checked: []sim.Invariant{sim.LogMatching}, Unchecked: []sim.Invariant{sim.StatesAgree}, Length: seconds(8),
		Members: []sim.Member{{Name: "m1", Role: sim.RoleDown}, {Name: "m2", Role: sim.RoleLeader, Term: 3, Commit: 9, Applied: 9}},
		Tally: sim.Tally{
			Failures: []sim.Failure{{At: seconds(2.6), Client: 2, Member: "m2", Error: "etcdserver: request timed out"}, {At: seconds(2.9), Client: 1, Member: "m2", Error: "etcdserver: request timed out"}, {At: seconds(3), Client: 1, Error: "connection refused"}},
			Sent:     10, Acknowledged: 8, Failed: 2, Lost: 2, LostKnown: true, LostKeys: []string{"write 3", "write 4"},
			Gaps: []sim.Gap{{From: seconds(2), Until: seconds(4)}, {From: seconds(7)}}, Buckets: []sim.Bucket{{Acknowledged: 4, Slowest: seconds(0.25)}, {Acknowledged: 4, Failed: 2}},
		},
		Events: []sim.Event{
			{Kind: sim.EventRole, Member: "m1", Role: sim.RoleLeader, Term: 2}, {Kind: sim.EventRole, Member: "m2", Role: sim.RoleFollower, Term: 2},
			{At: seconds(2), Kind: sim.EventAction, Text: "kill m1"}, {At: seconds(2), Kind: sim.EventRole, Member: "m1", Role: sim.RoleDown},
			{At: seconds(2.5), Kind: sim.EventLink, Text: "isolate m2"}, {At: seconds(3), Kind: sim.EventLink, Text: "healed"},
			{At: seconds(3.1), Kind: sim.EventAlarm, Member: "m2", Text: "NOSPACE raised"}, {At: seconds(4), Kind: sim.EventRole, Member: "m2", Role: sim.RoleLeader, Term: 3, Commit: 7},
			{At: seconds(7), Kind: sim.EventTruncated},
		},
		Objects: &sim.ObjectLoss{Of: 3, Lost: []string{"configmaps a/b"}, SetBack: []string{"secrets a/c"}}, Digest: "abc",
	}
	if verdict != sim.Met {
		r.Reason, r.Cause = "step: expected write ok", "step: write ok"
		r.Reasons = []string{r.Reason, "rto: it took 3s | or more"}
	}
	return r
}

func scenario() *sim.Scenario {
	return &sim.Scenario{Name: "a-drill", Title: "A <drill>", Document: "a paragraph", Digest: "0123456789abcdef", Steps: []sim.Step{{Name: "lose <it>"}}}
}

// The reports tell what happened, and nothing in them escapes its place.
func TestReportsTellEverything(t *testing.T) {
	t.Parallel()
	r := sim.NewReport(scenario(), sim.Virtual, map[string]string{"go": "go1", "raft": "v3"}, []sim.Run{run(2, sim.Deviated), run(1, sim.Met), run(3, sim.Met)})
	r.Shrunk = []byte("# shrunk <here>\nsteps: []\n")
	r.Replay, r.Started = "lifeboat drill run a-drill --seeds 2", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.Equal(t, sim.Deviated, r.Verdict)
	require.Len(t, r.Failed(), 1)
	require.Equal(t, uint64(2), r.Run.Seed)

	var markdown, page, report bytes.Buffer
	require.NoError(t, r.WriteMarkdown(&markdown))
	for _, want := range []string{
		"# A <drill>: deviated", `- rto: it took 3s \| or more`, "3 seeds, 1 of them not met", "2026-01-02 03:04:05 UTC", "raft v3", "Time to recover: 3s at least",
		"some in 3 of 3 seeds", "| step: write ok | 1 | 2 |", "    # shrunk <here>", `unhealthy \| cluster`, "**deviated**", "RTO 3s: 1s to detect", "RPO 2 acknowledged writes lost: write 3, write 4",
		"3, of them 1 lost and 1 set back", "Invariants held to: log-matching", "NOT judged: states-agree", "This run again: `lifeboat drill run a-drill --seeds 2`",
	} {
		require.Contains(t, markdown.String(), want)
	}
	require.NoError(t, r.WriteHTML(&page))
	require.NotContains(t, page.String(), "<it>")
	require.Contains(t, page.String(), "lose &lt;it&gt;")
	require.Contains(t, page.String(), "<pre># shrunk &lt;here&gt;")
	require.Contains(t, page.String(), "<td>step: write ok</td><td>1</td><td>2</td>")
	require.Contains(t, page.String(), "<td>etcdserver: request timed out</td><td>m2</td><td>2, 1</td>", "which writes failed, of whom, and what was said")
	require.Contains(t, page.String(), "<td>connection refused</td><td>nobody</td><td>1</td>")
	require.Contains(t, page.String(), "second 1: 250ms at most")
	require.NotContains(t, page.String(), "<script")

	require.NoError(t, r.WriteJSON(&report))
	var again sim.Report
	require.NoError(t, json.Unmarshal(report.Bytes(), &again))
	var second bytes.Buffer
	require.NoError(t, again.WriteJSON(&second))
	require.Equal(t, report.String(), second.String(), "what is read is what was written")
}

// Who is not asked, who cannot answer, and who was never run is not met.
func TestReportsOfNothing(t *testing.T) {
	t.Parallel()
	empty := sim.NewReport(scenario(), sim.Virtual, nil, nil)
	require.Equal(t, sim.Aborted, empty.Verdict)
	require.Contains(t, empty.Reason, "nothing was judged")
	unknown := run(1, sim.Met)
	unknown.RPO, unknown.RPOUnknown, unknown.Checked, unknown.Unchecked = nil, true, nil, nil
	unknown.Objects = &sim.ObjectLoss{Of: 3, Unknown: "nobody leads"}
	r := sim.NewReport(scenario(), sim.Embedded, nil, []sim.Run{unknown})
	var markdown bytes.Buffer
	require.NoError(t, r.WriteMarkdown(&markdown))
	require.Contains(t, markdown.String(), "Invariants: NOT checked: the drill lists none under always")
	require.Contains(t, markdown.String(), "what is left of them is not known: nobody leads")
	require.Equal(t, "unknown", r.RPO.String())
	more := sim.NewReport(scenario(), sim.Embedded, nil, []sim.Run{unknown, run(2, sim.Met)})
	require.Equal(t, "2, unknown in 1 of 2", more.RPO.String())
}

// A drill that loses nodes shows Pods in the place of members.
func TestReportOfLostNodes(t *testing.T) {
	t.Parallel()
	back := seconds(360)
	lost := sim.Run{Verdict: sim.Met, Basis: []string{"kube-scheduler 1.37.1"}, Steps: []sim.StepResult{{
		Name: "a node", Done: []sim.Done{{Action: "lose-node w1"}}, Checks: []sim.Check{{Expected: "pending 0", Observed: "0", Met: true}},
		Losses: []sim.NodeLoss{{Name: "node w1", Nodes: []string{"w1"}, Pods: []sim.PodFate{
			{Namespace: "shop", Name: "web", Node: "w1", To: "w2", Back: &back}, {Namespace: "shop", Name: "db", Node: "w1", Why: "its volume is local"},
			{Namespace: "kube", Name: "agent", Node: "w1", Stays: true},
		}}, {Name: "node w2", Nodes: []string{"w2"}}},
	}}}
	r := sim.NewReport(scenario(), sim.Nodes, nil, []sim.Run{lost})
	var markdown, page bytes.Buffer
	require.NoError(t, r.WriteMarkdown(&markdown))
	require.Contains(t, markdown.String(), "| shop/web | w1 | w2 | 6m0s |")
	require.Contains(t, markdown.String(), "| shop/db | w1 | - | **never by itself** | its volume is local |")
	require.Contains(t, markdown.String(), "No Pod has to come back elsewhere.")
	require.Contains(t, markdown.String(), "- kube-scheduler 1.37.1")
	require.NoError(t, r.WriteHTML(&page))
	require.Contains(t, page.String(), "shop/web")
	require.NotContains(t, page.String(), "kube/agent")
}
