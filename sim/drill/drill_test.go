package drill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func TestMain(m *testing.M) {
	drill.Main()
	os.Exit(m.Run())
}

// soak is the factor that loop counts hang on.
func soak(t *testing.T) int {
	t.Helper()
	text := os.Getenv("LIFEBOAT_SOAK")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func load(t *testing.T, name string) (*sim.Scenario, []byte) {
	t.Helper()
	data, err := scenarios.Read(name)
	require.NoError(t, err)
	s, err := sim.Load(name+".yaml", data)
	require.NoError(t, err)
	return s, data
}

// Every shipped drill loads, names its paragraph, and is met in virtual time.
func TestShippedDrillsAreMet(t *testing.T) {
	t.Parallel()
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, data := load(t, name)
			require.NotEmpty(t, s.Document)
			if s.Kind == sim.KindCard || !strings.Contains(strings.Join(engines(s), " "), string(sim.Virtual)) {
				return
			}
			seeds := sim.Range{First: 1, Last: 3}
			if factor := soak(t); factor > 1 { // make soak: 200 seeds
				seeds.Last = uint64(10 * factor)
			}
			report, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &seeds, Workers: 1})
			require.NoError(t, err)
			require.Equal(t, sim.Met, report.Verdict, "%s\n%s", report.Reason, dump(t, report.Run.Steps))
		})
	}
}

func engines(s *sim.Scenario) []string {
	var out []string
	for _, e := range s.Engines {
		out = append(out, string(e))
	}
	return out
}

func dump(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(out)
}

// Those who acknowledged a write may be among the dead, and the survivor does not
// know that it is committed: --force-new-cluster drops it. It is not so in every run.
func TestLostQuorumTakesAcknowledgedWritesAlong(t *testing.T) {
	t.Parallel()
	s, data := load(t, "lose-2-of-3-force-new-cluster")
	seeds := sim.Range{First: 1, Last: 100}
	report, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &seeds})
	require.NoError(t, err)
	require.Equal(t, sim.Met, report.Verdict, report.Reason)
	lost := map[int]int{}
	for _, seed := range report.Seeds {
		require.NotNil(t, seed.RPO)
		lost[*seed.RPO]++
	}
	require.Positive(t, lost[0])
	require.Positive(t, lost[1], "%v", lost)
}

// Where nobody can be asked, it is not known what is lost: that meets no
// expectation, and every report says so.
func TestUnknownLossIsNoPass(t *testing.T) {
	t.Parallel()
	run := func(text string) *sim.Report {
		data := []byte("apiVersion: lifeboat/v1\nkind: Drill\ntitle: all disks are lost\nengine: virtual\nseeds: 1..2\n" +
			"given: {members: 3, load: {writes: 20/s}}\nsteady: [{leader: exactly-one, within: 5s}]\n" + text)
		s, err := sim.Load("lost.yaml", data)
		require.NoError(t, err)
		r, err := drill.Run(t.Context(), s, data, drill.Options{Workers: 1})
		require.NoError(t, err)
		return r
	}
	for _, count := range []string{"0", "some"} {
		r := run("steps: [{name: gone, at: 5s, do: {disk-loss: all}, expect: [{lost: " + count + "}]}]\n")
		require.Equal(t, sim.Deviated, r.Verdict)
		require.Contains(t, r.Reason, "expected lost "+count+", observed "+sim.LossUnknown)
	}

	// The drill is well before and after, and has lost its quorum in between.
	r := run("steps: [{name: gone, at: 5s, do: {kill: [leader, follower]}, expect: [{leader: none, within: 4s}, {lost: 0}]}]\n" +
		"measure: {rpo: acked-writes-lost}\nexpect: {rpo: {max: 5}}\nalways: [acked-writes-survive]\n")
	require.Equal(t, sim.Deviated, r.Verdict)
	require.Equal(t, &sim.Losses{Of: 2, Unknown: 2}, r.RPO)
	require.Nil(t, r.Run.RPO)
	require.Equal(t, "unknown", r.RPO.String())
	for name, write := range map[string]func(io.Writer) error{
		"json": r.WriteJSON, "markdown": r.WriteMarkdown, "html": r.WriteHTML, "junit": r.WriteJUnit,
	} {
		var out bytes.Buffer
		require.NoError(t, write(&out))
		require.Regexp(t, `(?i)rpoUnknown": true|RPO unknown|unknown</b><span>acknowledged writes lost|<skipped message="what is lost is unknown`, out.String(), name)
		require.NotRegexp(t, `RPO 0|<b>0</b><span>acknowledged writes lost`, out.String(), name)
	}
}

// Limits and invariants alone do not pass either.
func TestUnknownLossMeetsNoLimit(t *testing.T) {
	t.Parallel()
	for _, held := range []string{"measure: {rpo: acked-writes-lost}\nexpect: {rpo: {max: 5}}\n", "always: [acked-writes-survive]\n"} {
		data := []byte("apiVersion: lifeboat/v1\nkind: Drill\ntitle: nobody is left\nengine: virtual\nseeds: 1..1\n" +
			"given: {members: 3, load: {writes: 20/s}}\nsteady: [{read: serializable, on: m1, within: 5s}]\n" +
			"steps: [{name: gone, at: 5s, do: {kill: [m2, m3]}, expect: [{leader: none, within: 4s}]}]\n" + held)
		s, err := sim.Load("lost.yaml", data)
		require.NoError(t, err)
		r, err := drill.Run(t.Context(), s, data, drill.Options{Workers: 1})
		require.NoError(t, err)
		require.Equal(t, sim.Deviated, r.Verdict)
		require.Contains(t, r.Reason, sim.LossUnknown)
	}
}

// A restored cluster counts its terms from the beginning, so that old members
// that come back lead with a higher one. It is still the one that is asked, that
// selectors pick from and that losses are counted against.
func TestRestoredClusterOutranksTheOld(t *testing.T) {
	t.Parallel()
	data := []byte(`apiVersion: lifeboat/v1
kind: Drill
title: two old members come back after a restore
engine: virtual
seeds: 1..3
given: {members: 3, load: {writes: 50/s}}
steady: [{leader: exactly-one, within: 5s}]
steps:
  - {name: save, at: 5s, do: {save: leader}}
  - {name: two elections, wait: 3s, do: [{move-leader: follower}, {wait: 2s}, {move-leader: follower}, {wait: 1s}]}
  - {name: all die, do: {kill: all}}
  - {name: restore, wait: 2s, do: {restore: m1}, expect: [{leader: m1, within: 3s}, {lost: some}]}
  - {name: old ones, wait: 1s, do: {start: [m2, m3]}, expect: [{leader: several, within: 5s}, {lost: some}, {revision: ahead}, {write: ok}]}
  - {name: grow, do: [{add-learner: n1}, {start: n1}], expect: [{members: 2, on: m1, within: 3s}]}
  - {name: wipe, do: {disk-loss: [m2, m3]}, expect: [{leader: m1, for: 2s}, {lost: some}]}
`)
	s, err := sim.Load("old.yaml", data)
	require.NoError(t, err)
	r, err := drill.Run(t.Context(), s, data, drill.Options{})
	require.NoError(t, err)
	require.Equal(t, sim.Met, r.Verdict, "%s\n%s", r.Reason, dump(t, r.Run.Steps))
}

// A member that does not lead says so when it is asked to hand over.
func TestMoveLeaderWithoutOne(t *testing.T) {
	t.Parallel()
	data := []byte(`apiVersion: lifeboat/v1
kind: Drill
title: nobody leads
engine: [virtual, embedded]
seeds: 1..1
given: {members: 3}
steady: [{read: serializable, on: m1, within: 10s}]
steps:
  - {name: lose two, at: 5s, do: {kill: [m2, m3]}, expect: [{leader: none, within: 4s}]}
  - {name: hand over, do: {move-leader: m1}, expect: [{action: fails, with: "etcdserver: not leader"}]}
`)
	s, err := sim.Load("none.yaml", data)
	require.NoError(t, err)
	r, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual})
	require.NoError(t, err)
	require.Equal(t, sim.Met, r.Verdict, r.Reason)
}

// An outage too short to be a gap is measured all the same.
func TestShortOutageIsMeasured(t *testing.T) {
	t.Parallel()
	s, data := load(t, "move-leader-before-shutdown")
	r, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &sim.Range{First: 1, Last: 2}})
	require.NoError(t, err)
	require.Equal(t, sim.Met, r.Verdict, r.Reason)
	require.Positive(t, r.RTO.Min)
	require.Less(t, r.RTO.Max.D(), time.Second)

	var silences []sim.Gap
	for _, g := range []sim.Gap{{From: 0, Until: 5}, {From: 5, Until: 6}, {From: 6, Until: 9}, {From: 9, Until: 10}} {
		silences = sim.AddSilence(silences, g)
	}
	require.Equal(t, []sim.Gap{{From: 0, Until: 5}, {From: 6, Until: 9}, {From: 9, Until: 10}}, silences)
}

// Two runs of one drill, in other processes and with other numbers of workers,
// write the same report, byte for byte.
func TestSameSeedsSameReport(t *testing.T) {
	t.Parallel()
	s, data := load(t, "lossy-network")
	report := func(workers int) string {
		seeds := sim.Range{First: 5, Last: 8}
		r, err := drill.Run(t.Context(), s, data, drill.Options{Seeds: &seeds, Workers: workers})
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, r.WriteJSON(&out))
		return out.String()
	}
	require.Equal(t, report(1), report(3))
}

// An unmet expectation is a deviation that says what was seen, and each report
// says so.
func TestDeviationIsReported(t *testing.T) {
	t.Parallel()
	data := []byte(`apiVersion: lifeboat/v1
kind: Drill
title: "hopes <too> | much"
engine: virtual
seeds: 1..3
given: {members: 3}
steady: [{leader: exactly-one}]
steps:
  - {name: all die, at: 5s, do: {kill: all}, expect: [{write: ok, within: 1s}]}
`)
	s, err := sim.Load("hopes.yaml", data)
	require.NoError(t, err)
	r, err := drill.Run(t.Context(), s, data, drill.Options{Source: "./hopes.yaml"})
	require.NoError(t, err)
	require.Equal(t, sim.Deviated, r.Verdict)
	require.Len(t, r.Failed(), 3)
	require.Contains(t, r.Reason, "selector picks nobody")
	require.Equal(t, "lifeboat drill run ./hopes.yaml --engine virtual --seeds 1", r.Replay)

	var markdown, page, junit bytes.Buffer
	require.NoError(t, r.WriteMarkdown(&markdown))
	require.Contains(t, markdown.String(), "**deviated**")
	require.NoError(t, r.WriteJUnit(&junit))
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(junit.Bytes(), &suites))
	require.Len(t, suites.Suites[0].Cases, suites.Suites[0].Tests)
	require.Greater(t, suites.Suites[0].Failures, 3)
	require.NoError(t, r.WriteHTML(&page))
	require.Contains(t, page.String(), "hopes &lt;too&gt;")
	require.Contains(t, page.String(), "default-src 'none'")
	for _, outside := range []string{"<script", "http://", "https://", "<img", "url(", "@import"} {
		require.NotContains(t, page.String(), outside)
	}
}

// A drill that deviates is shrunk to a file that deviates the same way, and of
// which nothing more can be taken away.
func TestDeviationIsShrunk(t *testing.T) {
	t.Parallel()
	data := []byte(`apiVersion: lifeboat/v1
kind: Drill
title: the RTO is too short
engine: [virtual, embedded]
seeds: 3..5
given: {members: 3, load: {writes: 20/s}}
steady: [{leader: exactly-one}]
steps:
  - {name: a lossy day, at: 5s, do: [{drop: {members: m1, rate: 0.1}}, {wait: 3s}, heal], expect: [{write: ok, within: 2s}]}
  - {name: two die, wait: 2s, do: [{kill: [leader, follower]}], expect: [{leader: none, within: 4s}]}
  - {name: one comes back, wait: 3s, after: two die, do: {start: [down]}, expect: [{leader: exactly-one, within: 1ms}, {hash: equal, within: 20s}]}
measure: {rto: {from: two die, until: steady}}
`)
	s, err := sim.Load("short.yaml", data)
	require.NoError(t, err)
	first, err := drill.Run(t.Context(), s, data, drill.Options{Workers: 1, Shrink: true})
	require.NoError(t, err)
	require.Equal(t, sim.Deviated, first.Verdict)
	require.Equal(t, `step "one comes back": leader exactly-one within 1ms`, first.Run.Cause)

	least, err := sim.Load("least.yaml", first.Shrunk)
	require.NoError(t, err, "%s", first.Shrunk)
	require.Len(t, least.Steps, 2, "%s", first.Shrunk)
	require.Equal(t, sim.Range{First: 3, Last: 3}, least.Seeds)
	again, err := drill.Run(t.Context(), least, first.Shrunk, drill.Options{Workers: 1, Shrink: true})
	require.NoError(t, err)
	require.Equal(t, first.Run.Cause, again.Run.Cause)
	same, err := sim.Load("least.yaml", again.Shrunk)
	require.NoError(t, err)
	require.Equal(t, sim.Encode(least), sim.Encode(same), "it was a minimum")
}

// A run that is interrupted ends its workers.
func TestInterruptedRunEndsItsWorkers(t *testing.T) {
	t.Parallel()
	s, data := load(t, "rolling-replacement")
	ctx, cancel := context.WithCancel(t.Context())
	seeds := sim.Range{First: 1, Last: 100_000}
	_, err := drill.Run(ctx, s, data, drill.Options{Seeds: &seeds, Workers: 2, Progress: func(int, int, sim.Run) { cancel() }})
	require.ErrorIs(t, err, context.Canceled) // Run returns after it has waited for every worker
}

// What an engine cannot do is refused before anything runs.
func TestRefused(t *testing.T) {
	t.Parallel()
	s, data := load(t, "slow-disk")
	_, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Embedded})
	require.ErrorIs(t, err, drill.ErrEngine)
	card, data := load(t, "card-kube-scheduler-down")
	_, err = drill.Run(t.Context(), card, data, drill.Options{})
	require.ErrorIs(t, err, drill.ErrEngine)
}

// A drill survives being written out: the same steps, the same events.
func TestEncodedDrillRunsTheSame(t *testing.T) {
	t.Parallel()
	for _, name := range scenarios.Names() {
		s, _ := load(t, name)
		if s.Kind == sim.KindCard {
			continue
		}
		again, err := sim.Load(name+".yaml", sim.Encode(s))
		require.NoError(t, err, "%s", sim.Encode(s))
		again.Digest = s.Digest
		require.JSONEq(t, dump(t, s), dump(t, again), name)
	}
}

// How long nobody led is told beside how long nothing was acknowledged.
func TestWithoutLeader(t *testing.T) {
	t.Parallel()
	s, data := load(t, "lose-1-of-3")
	seeds := sim.Range{First: 1, Last: 10}
	r, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &seeds})
	require.NoError(t, err)
	election := s.Given.Election
	require.Greater(t, r.WithoutLeader.Min, election/2, "an election timeout, less the heartbeat that was on its way")
	require.Less(t, r.WithoutLeader.Max, 5*election)
	for _, seed := range r.Seeds {
		require.GreaterOrEqual(t, *seed.RTO, *seed.WithoutLeader, "nothing is acknowledged without a leader")
	}
	s, data = load(t, "move-leader-before-shutdown")
	r, err = drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &seeds})
	require.NoError(t, err)
	require.Less(t, r.WithoutLeader.Max, election/10, "handed over")
}
