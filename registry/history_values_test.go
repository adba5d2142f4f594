package registry

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// told is a history in values: records, the oldest first, and its windows.
type told struct {
	records []snapshot.Record
	windows []snapshot.Window
}

func (h told) Revision() int64            { return h.windows[0].Last }
func (h told) Windows() []snapshot.Window { return h.windows }

func (h told) Changes(_ context.Context, match func([]byte) bool) iter.Seq2[snapshot.Record, error] {
	return func(yield func(snapshot.Record, error) bool) {
		for i := len(h.records) - 1; i >= 0; i-- {
			if r := h.records[i]; (match == nil || match(r.Key)) && !yield(r, nil) {
				return
			}
		}
	}
}

func (h told) At(ctx context.Context, rev int64, match func([]byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		seen := map[string]bool{}
		for r, err := range h.Changes(ctx, match) {
			if err != nil || rev > 0 && r.Main > rev || seen[string(r.Key)] {
				continue
			}
			seen[string(r.Key)] = true
			if !r.Deleted && !yield(r.KeyValue, nil) {
				return
			}
		}
	}
}

// state is a record of a ConfigMap, or of a Namespace; going is its deletionTimestamp.
func state(path string, rev, created, version int64, going bool) snapshot.Record {
	parts := strings.Split(path, "/")
	kind, namespace := "Namespace", ""
	if parts[0] == "configmaps" {
		kind, namespace = "ConfigMap", fmt.Sprintf(`,"namespace":%q`, parts[1])
	}
	if going {
		namespace += `,"deletionTimestamp":"2026-01-01T00:00:00Z"`
	}
	value := fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":%q%s},"data":{"rev":"%d"}}`, kind, parts[len(parts)-1], namespace, rev)
	return snapshot.Record{
		KeyValue: snapshot.KeyValue{Key: []byte("/registry/" + path), Value: []byte(value), CreateRevision: created, ModRevision: rev, Version: version}, Main: rev,
	}
}

func deletion(path string, rev int64) snapshot.Record {
	return snapshot.Record{KeyValue: snapshot.KeyValue{Key: []byte("/registry/" + path), ModRevision: rev}, Main: rev, Deleted: true}
}

// A step says whether changes before it may be missing: a version that was
// skipped, another life, a deletion that nobody saw.
func TestHistoryTellsItsGaps(t *testing.T) {
	t.Parallel()
	const a, b, c = "configmaps/shop/a", "configmaps/shop/b", "configmaps/shop/c"
	h := told{windows: []snapshot.Window{{First: 10, Last: 20}, {First: 1, Last: 4}}, records: []snapshot.Record{
		state(a, 2, 2, 1, false), state(a, 3, 2, 2, false), state(b, 11, 5, 4, false), state(a, 12, 2, 5, false), deletion(c, 13),
		state(a, 14, 13, 6, false), state(a, 15, 15, 1, false), deletion(a, 16), state(a, 17, 17, 1, false), state("configmaps/shop/d", 18, 18, 1, false), state("configmaps/shop/d", 18, 18, 1, false),
		deletion("masterleases/10.0.0.1", 19),
	}}
	h.records[10].Sub = 1 // of a transaction that wrote it twice
	steps := func(narrow func(*Timeline)) (lines []string) {
		timeline, err := New(h, Options{}).History(t.Context(), nil, nil)
		require.NoError(t, err)
		narrow(timeline)
		for s, err := range timeline.Steps(t.Context()) {
			require.NoError(t, err)
			lines = append(lines, fmt.Sprintf("%d %s %s", s.Revision, s.Key.Name, s.eventWords()))
		}
		require.Len(t, lines, timeline.Len())
		return lines
	}
	const unknown = " (older changes unknown)"
	all := []string{
		"18 d created", "17 a re-created", "16 a deleted", "15 a re-created" + unknown, "14 a updated" + unknown, "13 c deleted" + unknown,
		"12 a updated" + unknown, "11 b held" + unknown, "3 a updated", "2 a created",
	}
	require.Equal(t, all, steps(func(*Timeline) {}))
	require.Equal(t, all[2:6], steps(func(t *Timeline) { t.Between(12, 16) }))
	require.Equal(t, all[:3], steps(func(t *Timeline) { t.Between(15, 0) }))
	require.Equal(t, all[3:4], steps(func(t *Timeline) { t.Only(15) }))
}

// What a namespace took along is as it was before; what had been deleted by
// itself long before is not of that time; what was made while the namespace went
// is not mixed with an older object of its name.
func TestTrashOfANamespace(t *testing.T) {
	t.Parallel()
	const ns, early, doomed, late = "namespaces/shop", "configmaps/shop/early", "configmaps/shop/doomed", "configmaps/shop/late"
	h := told{windows: []snapshot.Window{{First: 5, Last: 30}, {First: 1, Last: 3}}, records: []snapshot.Record{
		state(ns, 1, 1, 1, false), state(early, 2, 2, 1, false), state(late, 3, 3, 1, false), state(doomed, 6, 6, 1, false),
		state(early, 9, 2, 2, true), deletion(early, 10), state(ns, 20, 1, 2, true), state(late, 22, 22, 1, false),
		state(doomed, 25, 6, 2, true), deletion(doomed, 26), deletion(late, 27), deletion(ns, 30),
	}}
	trash, err := New(h, Options{}).Trash(t.Context(), nil, nil)
	require.NoError(t, err)
	var lines []string
	for _, g := range trash.Items {
		lines = append(lines, fmt.Sprintf("%s deleted at %d, as it was at %d: %d", g.Key.Name, g.Revision, g.Cut, g.KV.ModRevision))
	}
	require.Equal(t, []string{
		"doomed deleted at 26, as it was at 19: 6", "early deleted at 10, as it was at 8: 2", "late deleted at 27, as it was at 19: 0",
		"shop deleted at 30, as it was at 19: 1",
	}, lines)
	require.Equal(t, 1, trash.Lost())
	for _, rev := range []int64{5, 29, 31} {
		for _, err := range trash.At(t.Context(), rev, nil) {
			require.ErrorContains(t, err, "the deleted objects are those of revision 30")
		}
	}
	seen, ok := New(h, Options{}).LastSeen(t.Context(), nil, func(k Key) bool { return k.Plural == "configmaps" })
	require.True(t, ok)
	require.Equal(t, "late", seen.Key.Name)
}

// What a log alone tells is a change where it is proved, an attempt elsewhere.
func TestAttempts(t *testing.T) {
	t.Parallel()
	put := func(entry uint64, name string, guard, rev, before int64) snapshot.Attempt {
		record := state("configmaps/shop/"+name, int64(entry), 1, 1, false)
		return snapshot.Attempt{
			Request:  snapshot.Request{Entry: entry, Key: record.Key, Value: record.Value, Condition: snapshot.OnRevision, Guard: guard},
			Revision: rev, Before: before,
		}
	}
	timeline := &Timeline{registry: New(told{windows: []snapshot.Window{{First: 20, Last: 30}}}, Options{})}
	timeline.AddAttempts([]snapshot.Attempt{put(101, "a", 0, 3, 0), put(102, "b", 0, 4, 0), put(103, "a", 3, 5, 0), put(104, "a", 9, 10, 0), put(105, "a", 10, 0, 12), put(106, "a", 11, 0, 12)}, nil)
	lines, what := []string{}, map[string]string{}
	for s, err := range timeline.Steps(t.Context()) {
		require.NoError(t, err)
		before := "nothing"
		if s.Before != nil {
			content, err := s.Before.Content()
			require.NoError(t, err)
			before = "entry " + stringAt(content, "data", "rev")
		}
		lines = append(lines, fmt.Sprintf("%s %s %s, before it %s", s.Place(), s.Key.Name, s.eventWords(), before))
		if s.Event == Attempted {
			what[s.Place()] = fmt.Sprintf("%s: %v", s.what(false), s.Row(false).Fields)
		}
	}
	require.Equal(t, map[string]string{
		"entry 106": "to write it: []", "entry 105": "data.rev: 104 -> 105: [data.rev: 104 -> 105]",
	}, what, "where the state before is not known, its fields have not changed")
	require.Equal(t, []string{
		"entry 106 a attempted, before it nothing",
		"entry 105 a attempted, before it entry 104", "revision 10 a updated (older changes unknown), before it nothing",
		"revision 5 a updated (from the log), before it entry 101", "revision 4 b created (from the log), before it nothing",
		"revision 3 a created (from the log), before it nothing",
	}, lines)

	// Only what is created says when it was written.
	r, at := New(told{windows: []snapshot.Window{{First: 1, Last: 1}}}, Options{}), time.Date(2026, 11, 21, 20, 50, 0, 0, time.UTC)
	request := func(entry uint64, guard int64, at time.Time) snapshot.Request {
		config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "shop", CreationTimestamp: metav1.Time{Time: at}}}
		value := protobufValue(t, schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, config)
		return snapshot.Request{Entry: entry, Key: []byte("/registry/configmaps/shop/a"), Value: value, Condition: snapshot.OnRevision, Guard: guard}
	}
	clock, err := r.LogClock(t.Context(), func(yield func(snapshot.Request, error) bool) {
		_ = yield(request(5, 0, at), nil) && yield(request(9, 7, at.Add(time.Hour)), nil)
	})
	require.NoError(t, err)
	require.Equal(t, []ClockSource{{Name: creations, Points: 1}}, clock.Clocks)
	require.Equal(t, at, clock.Time(5).Earliest)
}

// A renewal is its machine's, whichever process and Lease it was; it counts from
// when it was renewed. An object counts from its creation, whatever came later.
func TestPointsOfAClock(t *testing.T) {
	t.Parallel()
	renewed := time.Date(2026, 11, 21, 20, 50, 0, 0, time.UTC)
	lease := func(holder string) []byte {
		return protobufValue(t, schema.GroupVersionKind{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"}, &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To(holder), AcquireTime: &metav1.MicroTime{Time: renewed.Add(-24 * time.Hour)}, RenewTime: &metav1.MicroTime{Time: renewed},
		}})
	}
	g := pointGatherer{registry: New(nil, Options{}), windows: []snapshot.Window{{First: 9, Last: 20}}, sources: map[string]int{}}
	record := func(path string, value []byte, created, rev, version int64) snapshot.Record {
		return snapshot.Record{KeyValue: snapshot.KeyValue{Key: []byte("/registry/" + path), Value: value, CreateRevision: created, ModRevision: rev, Version: version}, Main: rev}
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "shop", CreationTimestamp: metav1.Time{Time: renewed.Add(-time.Minute)}}}
	object := protobufValue(t, schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, config)
	for _, r := range []snapshot.Record{
		record("leases/kube-system/kube-scheduler", lease("master-0_6f1c"), 1, 10, 7), record("leases/kube-node-lease/master-0", lease("master-0"), 1, 11, 7),
		record("leases/kube-system/kube-controller-manager", lease("master-0_77aa"), 1, 12, 7), record("leases/kube-system/no-holder", lease(""), 1, 13, 7),
		record("configmaps/shop/a", object, 4, 9, 3), record("configmaps/shop/a", object, 4, 14, 4), deletion("configmaps/shop/a", 15),
	} {
		g.add(t.Context(), r)
	}
	require.Equal(t, []string{"master-0", "no-holder", creations}, g.names)
	now, made := micros(renewed.UnixMicro()), micros(renewed.Add(-time.Minute).UnixMicro())
	require.Equal(t, []point{
		{10, now, writeTakes, 0}, {11, now, writeTakes, 0}, {12, now, writeTakes, 0}, {13, now, writeTakes, 1}, {4, made, creationTakes, 2},
	}, g.points)
}

// A time in a hole, after the end or before the beginning is none of a revision.
func TestClockOutsideOfItsWindows(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	var points []point
	for rev := int64(1); rev < 100; rev++ {
		at := begin.Add(time.Duration(rev) * time.Second)
		if rev >= 70 {
			at = at.Add(10 * time.Minute)
		}
		if rev < 60 || rev >= 70 { // what was written in between says nothing of its time
			points = append(points, point{rev, micros(at.UnixMicro()), writeTakes, int(rev % 3)})
		}
	}
	clock, err := newClock(points, []string{"a", "b", "c"}, []snapshot.Window{{First: 50, Last: 99}, {First: 1, Last: 20}})
	require.NoError(t, err)
	require.InDelta(t, 305.75, clock.WidestGap().Bound().Seconds(), 1)
	require.Equal(t, "6 min", roundBound(clock.WidestGap().Bound()), "rounded up: a bound holds")

	rev, _, err := clock.At(begin.Add(60 * time.Second))
	require.NoError(t, err)
	require.EqualValues(t, 59, rev, "60 may have been written later")
	var outside *TimeError
	_, _, err = clock.At(begin.Add(35 * time.Second))
	require.ErrorAs(t, err, &outside)
	require.True(t, outside.Hole)
	require.Equal(t, [2]int64{20, 50}, [2]int64{outside.First, outside.Last})
	_, _, err = clock.At(begin.Add(10*time.Minute + 105*time.Second))
	require.ErrorAs(t, err, &outside)
	require.False(t, outside.Hole)
	_, _, err = clock.At(begin)
	require.ErrorAs(t, err, &outside)
}
