package members

import (
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// The alarms of etcd are found among its errors, both of them.
func TestAlarmsAmongErrors(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"NOSPACE", "CORRUPT"}, alarmsIn([]string{"etcdserver: no leader", "memberID:1 alarm:CORRUPT ", "memberID:2 alarm:NOSPACE "}))
	require.Empty(t, alarmsIn([]string{"etcdserver: no leader"}))
}

// A history is judged by what its clients saw: a read of what was written before
// the newest value fits no order, and one without an answer says nothing.
func TestHistoryOfTheLoad(t *testing.T) {
	t.Parallel()
	now := time.Duration(0)
	h := &history{now: func() time.Duration { now += time.Millisecond; return now }}
	legal := func() bool {
		return porcupine.CheckOperationsTimeout(model(), h.operations(), time.Minute) == porcupine.Ok
	}
	h.begin(access{key: 1, value: 7})(7)
	h.begin(access{key: 1, value: 8})(8)
	h.begin(access{key: 1, read: true})(8)
	h.begin(access{key: 5, read: true})(0)
	h.begin(access{key: 1, read: true}) // not answered
	h.begin(access{key: 2, value: 9})   // not answered: it may have been done, now or later
	h.begin(access{key: 2, read: true})(9)
	require.Len(t, h.operations(), 6)
	require.True(t, legal())
	h.begin(access{key: 1, read: true})(7)
	require.False(t, legal(), "a stale read")

	// Behind the last operation that is kept a read may see what was not.
	full := &history{now: h.now, all: make([]porcupine.Operation, maxOperations-1)}
	end := full.begin(access{key: 3, read: true})
	full.begin(access{key: 3, value: 5})(5)
	end(5)
	require.EqualValues(t, math.MaxInt64, full.all[maxOperations-1].Return)
}

// What must never be seen is told, and nothing else is: a member that starts anew
// begins anew, and so do the terms of another cluster.
func TestWatchJudges(t *testing.T) {
	t.Parallel()
	a, b, again := &etcdproc.Member{}, &etcdproc.Member{}, &etcdproc.Member{}
	leads := func(name string, term, applied uint64) sim.Member {
		return sim.Member{Name: name, Role: sim.RoleLeader, Term: term, Applied: applied}
	}
	type look struct {
		seen  sim.Member
		proc  *etcdproc.Member
		epoch int
	}
	for name, c := range map[string]struct {
		looks []look
		held  []sim.Invariant
		want  string
	}{
		"applied less": {
			[]look{{leads("m1", 2, 9), a, 0}, {leads("m1", 2, 8), a, 0}}, []sim.Invariant{sim.AppliedMonotone}, "m1 had applied 9, now 8",
		},
		"applied less in another life": {[]look{{leads("m1", 2, 9), a, 0}, {leads("m1", 2, 1), again, 0}}, []sim.Invariant{sim.AppliedMonotone}, ""},
		"two leaders": {
			[]look{{leads("m1", 2, 1), a, 0}, {leads("m1", 2, 1), a, 0}, {leads("m2", 2, 1), b, 0}, {leads("m2", 2, 1), b, 0}},
			[]sim.Invariant{sim.OneLeaderPerTerm}, "m1 and m2 both led in term 2",
		},
		"one of each cluster": {
			[]look{{leads("m1", 2, 1), a, 0}, {leads("m1", 2, 1), a, 0}, {leads("m2", 2, 1), b, 1}, {leads("m2", 2, 1), b, 1}}, []sim.Invariant{sim.OneLeaderPerTerm}, "",
		},
		"half an election": {
			[]look{{leads("m1", 1, 1), a, 0}, {leads("m1", 2, 1), a, 0}, {leads("m2", 2, 1), b, 0}, {leads("m2", 2, 1), b, 0}}, []sim.Invariant{sim.OneLeaderPerTerm}, "",
		},
		"not held to it": {[]look{{leads("m1", 2, 9), a, 0}, {leads("m1", 2, 8), a, 0}}, []sim.Invariant{sim.OneLeaderPerTerm}, ""},
	} {
		w := newWatch(&cluster{given: sim.Given{Always: c.held}})
		for _, l := range c.looks {
			w.judge(l.seen, l.proc, l.epoch)
		}
		if c.want == "" {
			require.NoError(t, w.invariant(), name)
			continue
		}
		require.ErrorContains(t, w.invariant(), c.want, name)
	}
}

// The load writes small objects again, one after the other.
func TestObjectsTouched(t *testing.T) {
	t.Parallel()
	o := newObjects([]sim.Object{{Key: "/b", Size: 1}, {Key: "/large", Size: maxRewritten + 1}, {Key: "/a", Size: maxRewritten}})
	var keys []string
	for n := range 4 {
		keys = append(keys, o.touched(n).Key)
	}
	require.Equal(t, []string{"/a", "/b", "/a", "/b"}, keys)
	require.Len(t, o.all, 3)
	require.Nil(t, newObjects(nil).touched(1))
}

// A packet that is lost costs what TCP takes to send it again, and no more than
// some seconds, however often it is lost.
func TestLatencyOfLoss(t *testing.T) {
	t.Parallel()
	p := newPath()
	p.set(func(s *pathState) { s.delay, s.loss = time.Second, 1 })
	require.Equal(t, time.Second+(200+400+800+1600+3200)*time.Millisecond, p.latency())
	m := newMesh(nil)
	m.path("a", "b").set(func(s *pathState) { s.delay, s.loss, s.cut = time.Second, 1, true })
	m.heal()
	require.Zero(t, m.path("a", "b").latency())
}
