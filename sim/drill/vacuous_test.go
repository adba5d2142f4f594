package drill_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func field(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return data
}

// virtual runs a drill's text with one seed.
func virtual(t *testing.T, name string, data []byte) *sim.Report {
	t.Helper()
	s, err := sim.Load(name, data)
	require.NoError(t, err)
	report, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &sim.Range{First: 1, Last: 1}, Workers: 1})
	require.NoError(t, err)
	return report
}

// Only the action that an expectation speaks of may fail: one that etcd refuses
// in the middle of a step is a deviation.
func TestRefusedActionInsideAStep(t *testing.T) {
	t.Parallel()
	report := virtual(t, "swallowed.yaml", field(t, "refused-inside-a-step.yaml"))
	require.Equal(t, sim.Deviated, report.Verdict)
	require.Contains(t, report.Reason, "remove m1 is done")
	alone := strings.Replace(string(field(t, "refused-inside-a-step.yaml")), `{start: down}]`, `{wait: 1s}]`, 1)
	report = virtual(t, "told.yaml", []byte(strings.Replace(alone, "action: ok", "action: fails", 1)))
	require.NotContains(t, report.Reason, "action fails", "a wait behind it is not what is spoken of")
}

// After a restore that marks all history as compacted, compacting is refused.
func TestCompactAfterABumpedRestore(t *testing.T) {
	t.Parallel()
	report := virtual(t, "a05.yaml", field(t, "compact-after-restore.yaml"))
	require.Equal(t, sim.Deviated, report.Verdict)
	require.Contains(t, report.Reason, "etcdserver: mvcc: required revision has been compacted")
}

// Every deviation is told, not only the first.
func TestAllReasonsAreTold(t *testing.T) {
	t.Parallel()
	report := virtual(t, "two.yaml", []byte(`apiVersion: lifeboat/v1
kind: Drill
title: two wrong hopes
engine: virtual
steady: [{leader: exactly-one, within: 5s}]
steps:
  - {name: a, at: 3s, do: {kill: leader}, expect: [{leader: several}, {term: same, for: 9s}]}
  - {name: b, do: {start: down}, expect: [{leader: exactly-one, within: 9s}]}
`))
	require.Equal(t, sim.Deviated, report.Verdict)
	require.Len(t, report.Run.Reasons, 2)
	require.Equal(t, report.Reason, report.Run.Reasons[0])
	var text strings.Builder
	require.NoError(t, report.WriteMarkdown(&text))
	require.Contains(t, text.String(), report.Run.Reasons[1][:40])
	require.Contains(t, text.String(), "Invariants: NOT checked: the drill lists none under always")
}

// What nothing can have measured is refused when a drill is loaded, or is not
// met when it is run.
func TestNothingIsNeverMet(t *testing.T) {
	t.Parallel()
	drillOf := func(given, step string) []byte {
		return []byte("apiVersion: lifeboat/v1\nkind: Drill\ntitle: x\nengine: virtual\ngiven: " + given +
			"\nsteady: [{leader: exactly-one, within: 5s}]\nsteps:\n  - {name: a, at: 2s, " + step + "}\n")
	}
	for text, data := range map[string][]byte{
		"nothing has written by then":      field(t, "lost-without-load.yaml"),
		"hash compares members":            drillOf("{members: 1}", "expect: [{hash: equal}]"),
		"and nothing writes":               append(drillOf("{load: {writes: 0/s}}", "do: {kill: leader}"), "always: [acked-writes-survive]\n"...),
		"expects something of its action":  drillOf("{members: 3}", "do: {wait: 1s}, expect: [{action: ok}]"),
		"`serializable` belongs to member": drillOf("{members: 3}", "expect: [{write: ok, serializable: true}]"),
	} {
		_, err := sim.Load("vacuous.yaml", data)
		require.ErrorContains(t, err, text)
	}
	report := virtual(t, "hash.yaml", field(t, "hash-of-one.yaml"))
	require.Equal(t, sim.Deviated, report.Verdict)
	require.Contains(t, report.Reason, "no other voter to compare it with")
}

// The member list is asked as etcdctl asks: a member that is cut off has none to give.
func TestMemberListIsLinearizable(t *testing.T) {
	t.Parallel()
	text := `apiVersion: lifeboat/v1
kind: Drill
title: x
engine: virtual
steady: [{leader: exactly-one, within: 5s}]
steps:
  - {name: cut, at: 2s, do: {isolate: m1}, expect: [{members: 3, on: m1, within: 3s}]}
  - {name: heal, do: heal, expect: [{leader: exactly-one, within: 9s}]}
`
	require.Equal(t, sim.Deviated, virtual(t, "list.yaml", []byte(text)).Verdict)
	text = strings.Replace(text, "members: 3, on", "members: 3, serializable: true, on", 1)
	require.Equal(t, sim.Met, virtual(t, "list.yaml", []byte(text)).Verdict)
}
