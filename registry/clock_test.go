package registry

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// leasesOnly hides all objects but Leases.
type leasesOnly struct{ snapshot.History }

func (l leasesOnly) Changes(ctx context.Context, _ func([]byte) bool) iter.Seq2[snapshot.Record, error] {
	return l.History.Changes(ctx, func(key []byte) bool {
		k, err := ParseKey(DefaultPrefix, string(key))
		return err == nil && k.GroupResource() == leaseResource
	})
}

// createdAt are the seconds in which objects were created, by revision.
func createdAt(t *testing.T, r *Registry) map[int64]time.Time {
	t.Helper()
	stamps := map[string]string{}
	for _, o := range harbourTruth(t) {
		stamps[truthID(o)], _ = o["metadata"].(map[string]any)["creationTimestamp"].(string)
	}
	created := map[int64]time.Time{}
	for o, err := range r.Objects(t.Context(), nil) {
		require.NoError(t, err)
		stamp, err := time.Parse(time.RFC3339, stamps[o.GVK.Kind+" "+o.Namespace+"/"+o.Name])
		require.NoError(t, err, o)
		created[o.KV.CreateRevision] = stamp
	}
	require.Greater(t, len(created), 500)
	return created
}

// TestClockOfLeases holds the clock that Leases make against the second in
// which the API server says that each object was created.
func TestClockOfLeases(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	created := createdAt(t, r)
	db := r.reader.(*snapshot.DB)
	clock, err := New(leasesOnly{db}, r.opts).Clock(t.Context())
	require.NoError(t, err)
	checked := 0
	for rev, stamp := range created {
		m := clock.Time(rev)
		if m.Earliest.IsZero() || m.Latest.IsZero() {
			continue // before the first Lease and after the last
		}
		checked++
		require.False(t, m.Latest.Before(stamp), "revision %d: %s, created at %s", rev, m, stamp)
		require.False(t, m.Earliest.After(stamp.Add(creationTakes.duration())), "revision %d: %s, created at %s", rev, m, stamp)
		require.LessOrEqual(t, m.Bound(), 2*time.Second)
	}
	require.Greater(t, checked, 300)
	require.Empty(t, clock.Doubt)
	for _, s := range clock.Clocks {
		require.False(t, s.Wrong(), s.Name)
	}
}

// TestHarbourClock is the whole clock: narrower, from the first object on.
func TestHarbourClock(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	clock, err := r.Clock(t.Context())
	require.NoError(t, err)
	for rev, stamp := range createdAt(t, r) {
		m := clock.Time(rev)
		require.False(t, !m.Latest.IsZero() && m.Latest.Before(stamp), "revision %d: %s, created at %s", rev, m, stamp)
		require.False(t, m.Earliest.After(stamp.Add(creationTakes.duration())), "revision %d: %s, created at %s", rev, m, stamp)
	}
	require.LessOrEqual(t, clock.WidestGap().Bound(), 2*time.Second)
	spans := clock.Range()
	require.Len(t, spans, 1)
	require.EqualValues(t, 1485, spans[0].Last)

	// There and back.
	for rev := int64(200); rev < 1480; rev += 40 {
		m := clock.Time(rev)
		at, _, err := clock.At(m.Latest)
		require.NoError(t, err)
		require.GreaterOrEqual(t, at, rev)
		require.False(t, clock.Time(at).Latest.After(m.Latest))
		at, _, err = clock.At(m.Earliest.Add(-time.Nanosecond))
		require.NoError(t, err)
		require.Less(t, at, rev)
	}
	for _, outside := range []time.Time{{}, time.Unix(1e9, 0), time.Unix(3e9, 0)} {
		_, _, err := clock.At(outside)
		timeErr := (*TimeError)(nil)
		require.ErrorAs(t, err, &timeErr)
		require.EqualValues(t, 1485, timeErr.Last)
	}
}

// history of a made-up cluster: its true times, and what its clocks read.
type madeUp struct {
	times  []time.Time // of revision i
	points []point
	names  []string
}

// makeUp lets clocks tick every so often, each off by what is given.
func makeUp(random *rand.Rand, revisions int, off map[string]time.Duration) madeUp {
	m := madeUp{times: make([]time.Time, revisions)}
	now := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	for name := range off {
		m.names = append(m.names, name)
	}
	slices.Sort(m.names)
	for rev := range m.times {
		now = now.Add(time.Duration(random.IntN(400)) * time.Millisecond)
		m.times[rev] = now
		i := random.IntN(2 * len(m.names))
		if i >= len(m.names) {
			continue // no renewal
		}
		read := now.Add(-time.Duration(random.IntN(100)) * time.Millisecond)
		m.points = append(m.points, point{int64(rev), micros(read.Add(off[m.names[i]]).UnixMicro()), writeTakes, i})
	}
	return m
}

// TestClockBounds: the time of every revision is within its bound, also where a
// minority of the clocks is wrong by anything from seconds to years, and these
// are named.
func TestClockBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		off := map[string]time.Duration{}
		clocks := rapid.IntRange(3, 9).Draw(rt, "clocks")
		wrong := rapid.IntRange(0, (clocks-1)/2).Draw(rt, "wrong")
		for i := range clocks {
			name := string(rune('a' + i))
			if off[name] = 0; i < wrong {
				off[name] = rapid.SampledFrom([]time.Duration{-400 * 24 * time.Hour, -time.Hour, 90 * time.Second, 3 * time.Hour, 5 * 365 * 24 * time.Hour}).Draw(rt, "off")
			}
		}
		made := makeUp(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)), 600, off)
		clock, err := newClock(made.points, made.names, []snapshot.Window{{First: 1, Last: 599}})
		require.NoError(rt, err)
		for rev, at := range made.times {
			m := clock.Time(int64(rev))
			require.False(rt, m.Earliest.After(at), "revision %d: %s, is %s", rev, m, at)
			require.False(rt, !m.Latest.IsZero() && m.Latest.Before(at), "revision %d: %s, is %s", rev, m, at)
		}
		for _, s := range clock.Clocks {
			require.Equal(rt, off[s.Name] != 0, s.Wrong(), "%s is off by %s: %+v", s.Name, off[s.Name], s)
			if s.Wrong() {
				require.InDelta(rt, off[s.Name].Seconds(), s.Off.Seconds(), 3)
			}
		}
	})
}

// TestTwoClocks and one: what cannot be told is said, and the bound holds for
// whichever is right.
func TestTwoClocks(t *testing.T) {
	t.Parallel()
	made := makeUp(rand.New(rand.NewPCG(1, 1)), 300, map[string]time.Duration{"a": 0, "b": time.Hour})
	clock, err := newClock(made.points, made.names, []snapshot.Window{{First: 1, Last: 299}})
	require.NoError(t, err)
	require.Contains(t, clock.Doubt, `the clocks "a" and "b" differ by up to 1h0m`)
	for rev, at := range made.times[20:250] {
		m := clock.Time(int64(rev + 20))
		require.False(t, m.Earliest.After(at), "revision %d: %s, is %s", rev+20, m, at)
		require.False(t, m.Latest.Before(at), "revision %d: %s, is %s", rev+20, m, at)
	}
	made = makeUp(rand.New(rand.NewPCG(1, 1)), 300, map[string]time.Duration{"a": 0})
	clock, err = newClock(made.points, made.names, []snapshot.Window{{First: 1, Last: 299}})
	require.NoError(t, err)
	require.Contains(t, clock.Doubt, "one clock (a)")
	_, err = newClock(nil, nil, []snapshot.Window{{First: 1, Last: 299}})
	require.ErrorIs(t, err, ErrNoClock)
}

// TestClockFarOff: a clock that is wrong by more years than a Duration holds.
func TestClockFarOff(t *testing.T) {
	t.Parallel()
	const years = 7000 * 365 * 24 * 3600 * second
	for _, names := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
		off := map[string]time.Duration{}
		for _, name := range names {
			off[name] = 0
		}
		made := makeUp(rand.New(rand.NewPCG(5, 1)), 600, off)
		for i, p := range made.points {
			if names[p.source] == "b" {
				made.points[i].low += years
			}
		}
		clock, err := newClock(made.points, made.names, []snapshot.Window{{First: 1, Last: 599}})
		require.NoError(t, err)
		for rev, at := range made.times[20:580] {
			m := clock.Time(int64(rev + 20))
			require.False(t, m.Earliest.After(at) || m.Latest.Before(at), "revision %d: %s, is %s", rev+20, m, at)
		}
		if len(names) == 2 {
			require.Contains(t, clock.Doubt, `the clocks "a" and "b" differ by up to 2562047h47m`)
			continue
		}
		require.True(t, clock.Clocks[1].Wrong())
		require.Greater(t, clock.Clocks[1].Off, 290*365*24*time.Hour)
	}
}

// TestClockSetBack: a clock that is set back says two times of one moment. The
// bound is as wide as the step around it and narrow elsewhere.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	made := makeUp(rand.New(rand.NewPCG(2, 1)), 600, map[string]time.Duration{"a": 0})
	for i := range made.points {
		if made.points[i].rev < 300 {
			made.points[i].low += 20 * second // it was ahead
		}
	}
	clock, err := newClock(made.points, made.names, []snapshot.Window{{First: 1, Last: 599}})
	require.NoError(t, err)
	for rev, at := range made.times[450:] {
		m := clock.Time(int64(rev + 450))
		require.False(t, m.Earliest.After(at) || !m.Latest.IsZero() && m.Latest.Before(at), "revision %d: %s, is %s", rev+450, m, at)
	}
}

// TestCopiedKeys: in a cluster whose keys were copied one by one the revisions
// are in the order of the names, and the creation times tell nothing of them.
func TestCopiedKeys(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 1))
	made := makeUp(random, 300, map[string]time.Duration{"a": 0, "b": 0, "c": 0})
	names := append(slices.Clone(made.names), creations)
	for rev := range int64(200) {
		at := time.Unix(1.7e9+random.Int64N(1e7), 0)
		made.points = append(made.points, point{rev, micros(at.UnixMicro()), creationTakes, len(names) - 1})
	}
	clock, err := newClock(made.points, names, []snapshot.Window{{First: 1, Last: 299}})
	require.NoError(t, err)
	for rev, at := range made.times[10:290] {
		m := clock.Time(int64(rev + 10))
		require.False(t, m.Earliest.After(at) || m.Latest.Before(at), "revision %d: %s, is %s", rev+10, m, at)
	}
	for _, s := range clock.Clocks {
		require.NotEqual(t, creations, s.Name)
	}
}

// TestClockBackwards: a clock that runs backwards contradicts itself. It is named
// and does not count, were it most of the clocks; where there is no other, times
// are refused.
func TestClockBackwards(t *testing.T) {
	t.Parallel()
	made := makeUp(rand.New(rand.NewPCG(4, 1)), 600, map[string]time.Duration{"a": 0, "b": 0, "c": 0})
	for i, p := range made.points {
		if p.source > 0 { // b and c
			made.points[i].low = 2*micros(made.times[0].UnixMicro()) - p.low
		}
	}
	clock, err := newClock(slices.Clone(made.points), made.names, []snapshot.Window{{First: 1, Last: 599}})
	require.NoError(t, err)
	for rev, at := range made.times[20:580] {
		m := clock.Time(int64(rev + 20))
		require.False(t, m.Earliest.After(at) || m.Latest.Before(at), "revision %d: %s, is %s", rev+20, m, at)
	}
	require.Len(t, clock.Clocks, 3)
	for i, s := range clock.Clocks {
		require.Equal(t, i > 0, s.Backwards, s.Name)
		require.Equal(t, i > 0, s.Wrong(), s.Name)
	}
	require.Contains(t, clock.Doubt, "all times are of one clock (a)")

	alone := slices.DeleteFunc(made.points, func(p point) bool { return p.source != 1 })
	_, err = newClock(alone, made.names, []snapshot.Window{{First: 1, Last: 599}})
	require.ErrorIs(t, err, ErrNoClock)
}
