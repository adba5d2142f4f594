package datadir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A log of so many elections that its changes of term take megabytes: evidence
// keeps the newest, says what it left out, and decides as before.
func TestCollectedKeepsWithinItsSize(t *testing.T) {
	t.Parallel()
	const elections = 50_000
	flapping := member(1, 2*elections, 1, 2*elections-10)
	flapping.Dir = &Dir{Path: t.TempDir()}
	flapping.Log.Stretches = []Stretch{
		{First: 1, Last: 9, End: "a hole", terms: []termRun{{1, 1}}},
		{First: 12, Last: 2 * elections},
	}
	for n := range uint64(elections - 6) {
		flapping.Log.Stretches[1].terms = append(flapping.Log.Stretches[1].terms, termRun{12 + 2*n, 2 + n})
	}
	other := member(2, 2*elections-10, elections-20, 5)

	data, err := flapping.Collect(nil, "m0")
	require.NoError(t, err)
	require.LessOrEqual(t, len(data), MaxCollected)
	require.Greater(t, len(data), MaxCollected*3/4, "no more is left out than has to be")
	file := filepath.Join(t.TempDir(), "m0.evidence")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	s, err := ReadCollected(file)
	require.NoError(t, err)
	c := s.Collected()
	require.Len(t, c.Stretches, 1)
	require.Equal(t, elections-5, c.Summarised+len(c.Stretches[0].Terms), "every change of term is kept or counted")

	index, term := s.Log.Last()
	ownIndex, ownTerm := flapping.Log.Last()
	require.Equal(t, []uint64{ownIndex, ownTerm}, []uint64{index, term}, "the end of the log is what it was")
	_, known := s.Log.Stretches[0].Term(c.firstKnown() - 1)
	require.False(t, known)

	r, err := Recommend([]*Survivor{s, other}, map[*Survivor]*Replay{other: {Survivor: other}})
	require.NoError(t, err)
	require.Same(t, s, r.Best)
	require.Contains(t, strings.Join(r.Reasons, "\n"), "whether an entry before")
	require.Contains(t, strings.Join(r.Reasons, "\n"), "is not provable")
}
