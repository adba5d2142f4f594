package registry

import (
	"context"
	"iter"
	"slices"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// LogClock tells when the entries of a log were written: its revisions are their
// indexes. Requests that were refused count as well: they were made at that time.
func (r *Registry) LogClock(ctx context.Context, requests iter.Seq2[snapshot.Request, error]) (*Clock, error) {
	g := pointGatherer{registry: r, windows: []snapshot.Window{{}}, sources: map[string]int{}}
	var span snapshot.Window
	for request, err := range requests {
		if err != nil {
			return nil, err
		}
		index := int64(request.Entry)
		if span.Last = index; span.First == 0 {
			span.First = index
		}
		record := snapshot.Record{KeyValue: snapshot.KeyValue{Key: request.Key, Value: request.Value, CreateRevision: index}, Main: index, Deleted: request.Deleted}
		if request.Condition == snapshot.OnRevision && request.Guard == 0 {
			record.Version = 1 // it creates the object
		}
		g.add(ctx, record)
	}
	return newClock(g.points, g.names, []snapshot.Window{span})
}

// Matcher takes the keys of API objects that want takes, as they stand in etcd;
// a nil want takes all.
func (r *Registry) Matcher(want func(Key) bool) func([]byte) bool { return r.matcher(want) }

// AddAttempts adds what a log asked for before the oldest revision that the
// history holds. What is proved to have been carried out becomes a change like the
// others, all else an attempt. clock is LogClock's, nil where there is none.
func (t *Timeline) AddAttempts(attempts []snapshot.Attempt, clock *Clock) {
	type place struct {
		key string
		rev int64
	}
	known := map[place]*snapshot.Record{}
	for _, a := range attempts {
		record := &snapshot.Record{
			KeyValue: snapshot.KeyValue{Key: a.Key, Value: a.Value, ModRevision: a.Revision}, Main: a.Revision, Deleted: a.Deleted,
		}
		var before *snapshot.Record
		if a.Condition == snapshot.OnRevision {
			before = known[place{string(a.Key), a.Guard}]
		}
		if a.Revision > 0 {
			known[place{string(a.Key), a.Revision}] = record
		}
		if a.Retained {
			t.continues(a, before)
			continue
		}
		s := stepRecord{Record: *record, before: before, entry: a.Entry, at: a.Revision, event: Attempted}
		if clock != nil {
			s.when = clock.Time(int64(a.Entry))
		}
		switch {
		case a.Revision == 0:
			s.at = a.Before - 1
		case a.Condition == snapshot.OnRevision && a.Guard == 0:
			s.event = Created
		default:
			s.event, s.gap = Updated, before == nil
		}
		t.steps = append(t.steps, s)
	}
	slices.SortStableFunc(t.steps, newestFirst)
}

// continues has the oldest state that was held follow what the log knows of before.
func (t *Timeline) continues(a snapshot.Attempt, before *snapshot.Record) {
	for i := range t.steps {
		if s := &t.steps[i]; before != nil && s.event == Held && s.Main == a.Revision && string(s.Key) == string(a.Key) {
			s.event, s.before, s.gap = Updated, before, false
		}
	}
}
