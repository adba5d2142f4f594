package place_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// Of a percentage every archive comes up in each round, whatever comes and
// goes beside it.
func TestSampleGoesRound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		percent := rapid.IntRange(1, 99).Draw(t, "percent")
		seed := rapid.Uint64Range(0, 1<<40).Draw(t, "seed")
		stays := fmt.Sprintf("stays-%d", rapid.IntRange(0, 1000).Draw(t, "name"))
		sample, rounds, came := place.Sample{Percent: percent}, (99+percent)/percent, 0
		for round := range rounds {
			names := []string{stays}
			for i := range 30 {
				names = append(names, fmt.Sprintf("night-%d-%d", round, i))
			}
			chosen := sample.Choose(names, seed+uint64(round))
			require.NotEmpty(t, chosen)
			if chosen[stays] {
				came++
			}
		}
		require.NotZero(t, came)
	})
}

// Of a count so many come up each time, and all of them in as many runs as it
// takes.
func TestSampleOfACount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, count := rapid.IntRange(1, 200).Draw(t, "archives"), rapid.IntRange(1, 50).Draw(t, "count")
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprint("archive-", i)
		}
		seed, all := rapid.Uint64Range(0, 1<<40).Draw(t, "seed"), map[string]bool{}
		for round := range (n + count - 1) / count * 2 { // twice: a round may begin anywhere
			chosen := place.Sample{Count: count}.Choose(names, seed+uint64(round))
			require.Len(t, chosen, min(n, count))
			for name, yes := range chosen {
				require.True(t, yes)
				all[name] = true
			}
		}
		require.Len(t, all, n)
	})
}

func TestParseSample(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]place.Sample{"20": {Count: 20}, "5%": {Percent: 5}, "100%": {Percent: 100}} {
		got, err := place.ParseSample(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "0", "-1", "0%", "101%", "5 %", "x"} {
		_, err := place.ParseSample(text)
		require.Error(t, err, text)
	}
	require.Empty(t, place.Sample{}.Choose(nil, 7))
	require.Equal(t, map[string]bool{"a": true, "b": true}, place.Sample{}.Choose([]string{"a", "b"}, 7))
}
