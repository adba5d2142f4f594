package datadir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
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

// Evidence that was carried says all that the dir's survey says of the log's end,
// the members and what cannot be read.
func TestCollectedIsTheSurvey(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *Survivor){
		"whole": func(*Survivor) {},
		"damaged": func(s *Survivor) {
			s.DatabaseErr, s.V2Err = errors.New("page 7"), errors.New("no list of members")
			s.Log.End, s.Log.Leftover, s.Log.Behind, s.Log.BehindTerm, s.Log.endsBehind = "offset 9", 80, 12, 2, true
		},
		"two stretches": func(s *Survivor) {
			s.Log.Stretches[0].End = "a hole"
			s.Log.Stretches = append(s.Log.Stretches, Stretch{First: 14, Last: 20, terms: []termRun{{14, 2}, {17, 4}}})
		},
		"newborn": func(s *Survivor) { s.Newborn, s.DatabaseErr, s.Log = true, ErrNoDatabase, &Log{} },
	} {
		s := member(1, 10, 2, 8)
		s.Dir = &Dir{Path: t.TempDir()}
		s.Members, s.Removed = []snapshot.Member{{ID: 1, Name: "a"}, {ID: 2, IsLearner: true}}, []uint64{9}
		s.V2 = V2Membership{File: "5.snap", Index: 5, Members: map[uint64]bool{1: true}, Removed: map[uint64]bool{9: true}}
		s.Log.added, s.Belongs, s.Database = map[uint64]uint64{2: 7}, Belonging{Proved, "so it is"}, "db"
		change(s)
		data, err := s.Collect(&Replay{Survivor: s, Voters: []uint64{1, 3}}, "m0")
		require.NoError(t, err, name)
		file := filepath.Join(t.TempDir(), "m0.evidence")
		require.NoError(t, os.WriteFile(file, data, 0o600))
		got, err := ReadCollected(file)
		require.NoError(t, err, name)

		require.Equal(t, []string{"m0", s.Dir.Path}, []string{got.Collected().Host, got.Collected().Path}, name)
		require.Equal(t, []uint64{1, 3}, got.Collected().Voters, name)
		require.Equal(t, s.DatabaseErr == nil, got.DatabaseErr == nil, name)
		require.Equal(t, s.V2Err, got.V2Err, name)
		if s.DatabaseErr != nil {
			require.ErrorIs(t, got.DatabaseErr, snapshot.ErrDamaged, name)
			require.ErrorContains(t, got.DatabaseErr, s.DatabaseErr.Error(), name)
		}
		want := *s
		want.Dir, want.DatabaseErr = got.Dir, got.DatabaseErr
		require.Equal(t, &want, got, name)

		// It speaks of this dir as it is, and of no other.
		require.NoError(t, got.SameDir(s.Dir), name)
		require.NoError(t, os.Mkdir(s.Dir.memberDir(), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(s.Dir.memberDir(), "new"), nil, 0o600))
		require.ErrorIs(t, got.SameDir(s.Dir), ErrDirChanged, name)
		require.Error(t, got.SameDir(&Dir{Path: filepath.Join(file, "below a file")}), "what cannot be looked at is not the same")
	}
}

// What is no evidence, though its sum is right, is refused.
func TestCollectedOfAnotherShape(t *testing.T) {
	t.Parallel()
	for name, stretches := range map[string][]collectedStretch{
		"no terms":          {{First: 1, Last: 5}},
		"backwards":         {{First: 5, Last: 4, Terms: [][2]uint64{{5, 1}}}},
		"terms from behind": {{First: 1, Last: 5, Terms: [][2]uint64{{2, 1}}}},
	} {
		data, err := (&Collected{Stretches: stretches}).encode()
		require.NoError(t, err)
		_, err = parseCollected(data)
		require.ErrorIs(t, err, ErrNotCollected, name)
	}
	data, err := (&Collected{Stretches: []collectedStretch{{First: 5, Last: 5, Terms: [][2]uint64{{5, 1}}}}}).encode()
	require.NoError(t, err)
	_, err = parseCollected(data)
	require.NoError(t, err)
}
