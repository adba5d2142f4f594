package drill_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// files are all that is written of a report.
func files(t *testing.T, r *sim.Report) []string {
	t.Helper()
	var out []string
	for _, write := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return r.WriteJSON(b) }, func(b *bytes.Buffer) error { return r.WriteMarkdown(b) },
		func(b *bytes.Buffer) error { return r.WriteHTML(b) }, func(b *bytes.Buffer) error { return r.WriteJUnit(b) },
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		out = append(out, b.String())
	}
	return append(out, string(r.Shrunk))
}

// reread is a report as another host reads it.
func reread(t *testing.T, r *sim.Report) *sim.Report {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.WriteJSON(&b))
	again := &sim.Report{Shrunk: r.Shrunk}
	require.NoError(t, json.Unmarshal(b.Bytes(), again))
	return again
}

const hopes = `apiVersion: lifeboat/v1
kind: Drill
title: a leader comes back in no time
engine: virtual
seeds: 1..7
given: {members: 3, load: {writes: 20/s}}
steady: [{leader: exactly-one, within: 5s}]
steps:
  - {name: lose it, at: 2s, do: {kill: leader}, expect: [{leader: exactly-one, within: 1400ms}]}
always: [one-leader-per-term, acked-writes-survive]
measure: {rto: {from: lose it, until: steady}, rpo: acked-writes-lost}
`

// The union over the shards is the report of all seeds, byte for byte.
func TestMergedShardsAreTheWhole(t *testing.T) {
	t.Parallel()
	data := []byte(hopes)
	s, err := sim.Load("hopes.yaml", data)
	require.NoError(t, err)
	run := func(shard drill.Shard) *sim.Report {
		report, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Shard: shard, Workers: 1, Shrink: true})
		require.NoError(t, err)
		return reread(t, report)
	}
	whole := run(drill.Shard{})
	require.Equal(t, sim.Deviated, whole.Verdict, "some seed does not keep it, else nothing is shown here")
	var parts []*sim.Report
	for _, i := range []int{2, 0, 1} {
		parts = append(parts, run(drill.Shard{Index: i, Of: 3}))
	}
	merged, err := sim.Merge(parts)
	require.NoError(t, err)
	require.Equal(t, files(t, whole), files(t, merged))

	_, err = sim.Merge(parts[:2])
	require.ErrorIs(t, err, sim.ErrMerge)
	require.ErrorContains(t, err, "shard 1/3 of hopes is missing")
	_, err = sim.Merge(append(parts, parts[0]))
	require.ErrorContains(t, err, "shard 2/3 of hopes is there twice")
	_, err = sim.Merge([]*sim.Report{whole})
	require.ErrorIs(t, err, sim.ErrMerge)
	parts[0].Versions = map[string]string{"raft": "v0"}
	_, err = sim.Merge(parts)
	require.ErrorContains(t, err, "different versions")
}

func TestShards(t *testing.T) {
	t.Parallel()
	shard, err := drill.ParseShard("3/4")
	require.NoError(t, err)
	require.Equal(t, drill.Shard{Index: 3, Of: 4}, shard)
	for _, wrong := range []string{"", "4/4", "-1/4", "1", "0/0", "a/b"} {
		_, err := drill.ParseShard(wrong)
		require.ErrorIs(t, err, drill.ErrShard, wrong)
	}
	data := []byte(hopes)
	s, err := sim.Load("hopes.yaml", data)
	require.NoError(t, err)
	_, err = drill.Run(t.Context(), s, data, drill.Options{Seeds: &sim.Range{First: 1, Last: 2}, Shard: shard})
	require.ErrorIs(t, err, drill.ErrShard, "a shard without seeds would be met by nothing")
}

// A search ends at the first seed that is not met, and so do its shards together.
func TestSearch(t *testing.T) {
	t.Parallel()
	s, err := sim.Load("hopes.yaml", []byte(hopes))
	require.NoError(t, err)
	seeds := sim.Range{First: 1, Last: 6}
	healthy, err := drill.Search(t.Context(), s, seeds, 5, drill.Options{Workers: 2})
	require.NoError(t, err)
	require.Equal(t, sim.Met, healthy.Verdict, healthy.Reason)
	require.Len(t, healthy.Seeds, 6)
	require.Empty(t, healthy.Shrunk)
	var parts []*sim.Report
	for i := range 2 {
		part, err := drill.Search(t.Context(), s, seeds, 5, drill.Options{Workers: 1, Shard: drill.Shard{Index: i, Of: 2}})
		require.NoError(t, err)
		parts = append(parts, reread(t, part))
	}
	merged, err := sim.Merge(parts)
	require.NoError(t, err)
	require.Equal(t, files(t, reread(t, healthy)), files(t, merged))

	s.Always = nil
	_, err = drill.Search(t.Context(), s, seeds, 5, drill.Options{})
	require.ErrorIs(t, err, drill.ErrSearch, "nothing to find")
}

// What a search finds is shrunk, and its file deviates by itself.
func TestSearchFinds(t *testing.T) {
	t.Parallel()
	impatient := strings.Replace(hopes, "steady: [{leader: exactly-one, within: 5s}]", "steady: [{leader: m1, within: 20s}]", 1)
	s, err := sim.Load("impatient.yaml", []byte(impatient))
	require.NoError(t, err)
	seeds := sim.Range{First: 1, Last: 30}
	found, err := drill.Search(t.Context(), s, seeds, 6, drill.Options{Workers: 2})
	require.NoError(t, err)
	require.NotEqual(t, sim.Met, found.Verdict)
	last := found.Seeds[len(found.Seeds)-1]
	require.Equal(t, last.Seed, found.Run.Seed)
	require.NotEqual(t, sim.Met, last.Verdict)
	if found.Verdict == sim.Deviated {
		again := virtual(t, "shrunk.yaml", found.Shrunk)
		require.Equal(t, sim.Deviated, again.Verdict)
	}
}
