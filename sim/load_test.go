package sim_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
)

const head = `apiVersion: lifeboat/v1
kind: Drill
title: t
engine: virtual
steady: [{leader: exactly-one}]
`

const nodesHead = "apiVersion: lifeboat/v1\nkind: Drill\ntitle: t\nengine: nodes\n"

// Each mistake is told with its line and, for a word, the nearest known one.
func TestLoadTellsMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"unknown action":        {head + "steps:\n  - do: {kil: leader}\n", `line 7: an action has no "kil" (did you mean kill?)`},
		"unknown field":         {head + "step: []\n", `line 6: a drill has no "step" (did you mean steps?)`},
		"unknown member":        {head + "steps:\n  - do: {kill: m4}\n", `line 7: there is no member "m4" (did you mean m1?)`},
		"impossible selector":   {head + "steps:\n  - do: {kill: learner}\n", "the selector learner picks nobody"},
		"named twice":           {head + "steps:\n  - do: {kill: [m1, m1]}\n", "named twice"},
		"nothing to measure":    {head + "steps:\n  - do: heal\n    expect: [{within: 2s}]\n", "an expectation without a measure"},
		"rpo not measured":      {head + "steps: [{do: heal}]\nexpect: {rpo: {max: 0}}\n", "rpo is expected and not measured"},
		"rto not measured":      {head + "steps: [{do: heal}]\nexpect: {rto: {max: 1s}}\n", "rto is expected and not measured"},
		"linearizable unread":   {head + "steps: [{do: heal}]\nalways: [linearizable]\n", "linearizable is judged on reads and writes"},
		"circle":                {head + "steps:\n  - {name: a, after: b, do: heal}\n  - {name: b, after: a, do: heal}\n", "wait for each other in a circle: a after b after a"},
		"after nothing":         {head + "steps:\n  - {name: first, do: heal}\n  - {after: frist, do: heal}\n", `which is not a step (did you mean first?)`},
		"negative time":         {head + "steps:\n  - {at: -5s, do: heal}\n", `line 7: at: "-5s" is negative`},
		"out of order":          {head + "steps:\n  - {at: 9s, do: heal}\n  - {at: 5s, do: heal}\n", "before the step that it follows"},
		"after the end":         {head + "steps:\n  - {at: 5m, do: heal}\nstop-when: {time: 1m}\n", "the drill is stopped at 1m0s"},
		"engine cannot":         {strings.Replace(head, "virtual", "embedded", 1) + "steps:\n  - do: {slow-disk: {members: m1, by: 1s}}\n", "the embedded engine cannot do slow-disk"},
		"defrag for so long":    {strings.Replace(head, "virtual", "[virtual, embedded]", 1) + "steps:\n  - do: {defrag: {members: m1, by: 8s}}\n", "line 7: step \"step 1\": a real member is defragmented in the time that it takes, not in 8s"},
		"objects, no backup":    {strings.Replace(head, "virtual", "embedded", 1) + "steps:\n  - {do: heal, expect: [{objects: default}]}\n", "the members start without a backup"},
		"backup, virtual":       {head + "given: {backup: x}\nsteps: [{do: heal}]\n", "cannot start from a backup"},
		"two subjects":          {head + "steps:\n  - expect: [{leader: none, write: ok}]\n", "looks at one thing"},
		"error text of success": {head + "steps:\n  - expect: [{write: ok, with: x}]\n", "expects none"},
		"nodes and members":     {strings.Replace(nodesHead, "nodes", "[nodes, virtual]", 1) + "steps: [{do: {lose-node: a}}]\n", "for the nodes engine alone"},
		"nodes, a load":         {nodesHead + "given: {load: {writes: 5/s}}\nsteps: [{do: {lose-node: a}}]\n", `line 5: given of a drill that loses nodes has no "load"`},
		"nodes, a time":         {nodesHead + "steps: [{at: 5s, do: {lose-node: a}}]\n", "no time passes between losses"},
		"nodes, steady":         {nodesHead + "steady: [{pending: 0}]\nsteps: [{do: {lose-node: a}}]\n", `line 5: a drill that loses nodes has no "steady"`},
		"nodes, a member":       {nodesHead + "steps: [{do: {kill: leader}}]\n", "the nodes engine cannot do kill"},
		"nodes, two losses":     {nodesHead + "steps: [{do: [{lose-node: a}, {lose-node: b}]}]\n", "has to lose something, once"},
		"nodes, nothing lost":   {nodesHead + "steps: [{expect: [{pending: 0}]}]\n", "has to lose something, once"},
		"nodes, a leader":       {nodesHead + "steps: [{do: {lose-node: a}, expect: [{leader: none}]}]\n", "the nodes engine cannot look at leader"},
		"nodes, waited for":     {nodesHead + "steps: [{do: {lose-node: a}, expect: [{pending: 0, within: 5s}]}]\n", "worked out, not waited for"},
		"nodes, no number":      {nodesHead + "steps: [{do: {lose-node: a}, expect: [{pending: few}]}]\n", "pending is a number of Pods"},
		"nodes, no time":        {nodesHead + "steps: [{do: {lose-node: a}, expect: [{back-within: soon}]}]\n", "back-within is a time"},
		"nodes, each and one":   {nodesHead + "steps: [{do: {lose-node: [each, a]}}]\n", "each stands alone"},
		"nodes, twice":          {nodesHead + "steps: [{do: {lose-zone: [a, a]}}]\n", `"a" is named twice`},
		"nodes, no steps":       {nodesHead, "there are no steps"},
		"lose-node of members":  {head + "steps: [{do: {lose-node: a}}]\n", "the virtual engine cannot do lose-node"},
		"pending of members":    {head + "steps: [{do: heal, expect: [{pending: 0}]}]\n", "the virtual engine cannot look at pending"},
		"namespace of a write":  {head + "steps: [{do: heal, expect: [{write: ok, namespace: x}]}]\n", "`namespace` belongs to what looks at Pods"},
		"no steady":             {strings.Replace(head, "steady", "#", 1) + "steps: [{do: heal}]\n", "steady is missing"},
		"election too short":    {head + "given: {election: 200ms}\nsteps: [{do: heal}]\n", "etcd refuses that"},
		"ten members":           {head + "given: {members: 10}\nsteps: [{do: heal}]\n", "may be 1 to 9"},
		"wrong version":         {"apiVersion: v2\nkind: Drill\n", `has to be "lifeboat/v1"`},
		"aliases":               {head + "steps: &a [{do: heal}]\n", "no anchors and aliases"},
		"two documents":         {head + "steps: [{do: heal}]\n---\n{}\n", "second document"},
		"no yaml":               {"{", "no YAML"},
		"empty":                 {"", "it is empty"},
		"twice":                 {head + "title: again\nsteps: [{do: heal}]\n", `"title" stands twice`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sim.Load("dir/x.yaml", []byte(c.text))
			require.ErrorIs(t, err, sim.ErrScenario)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, `"dir/x.yaml"`)
			var mistake *sim.LoadError
			require.True(t, errors.As(err, &mistake))
		})
	}
}

func TestSpreadOf(t *testing.T) {
	t.Parallel()
	require.Nil(t, sim.SpreadOf(nil))
	var values []sim.Duration
	for i := 200; i > 0; i-- {
		values = append(values, sim.Duration(i))
	}
	require.Equal(t, &sim.Spread{Min: 1, Median: 100, P99: 198, Max: 200}, sim.SpreadOf(values))
}

// No bytes make Load panic, and what it takes it writes in a form that it takes
// again.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no drills to start from", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := sim.Load("fuzz.yaml", data)
		if err != nil {
			require.ErrorIs(t, err, sim.ErrScenario)
			return
		}
		if s.Kind == sim.KindDrill {
			_, err = sim.Load("again.yaml", sim.Encode(s))
			require.NoError(t, err, "%s", sim.Encode(s))
		}
	})
}
