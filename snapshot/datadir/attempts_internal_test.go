package datadir

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Who put revision 50 of a key, as far as the requests before the one that found it
// tell; 0 for nobody who is certain. Entry 10 is known to be revision 20, and entry
// 100 revision 60.
func TestWriterOfARevision(t *testing.T) {
	t.Parallel()
	put := func(entry uint64, guard int64) snapshot.Request {
		return snapshot.Request{Entry: entry, Condition: snapshot.OnRevision, Guard: guard}
	}
	deletion := put(30, 40)
	deletion.Deleted = true
	leased := put(30, 40)
	leased.Leased = true
	known := keyRequests{anchors: []anchor{{10, 20}, {100, 60}}}
	for name, tc := range map[string]struct {
		k        keyRequests
		requests []snapshot.Request
		want     uint64
	}{
		"the only one":                   {known, []snapshot.Request{put(20, 30)}, 20},
		"the only one, whatever it asks": {known, []snapshot.Request{{Entry: 20, Condition: snapshot.OnOther}}, 20},
		"none":                           {known, nil, 0},
		"before the lower bound":         {known, []snapshot.Request{put(9, 30)}, 0},
		"behind the upper bound":         {known, []snapshot.Request{put(101, 30)}, 0},
		"maybe before the log":           {keyRequests{anchors: []anchor{{100, 60}}}, []snapshot.Request{put(20, 30)}, 0},
		"who had seen more":              {known, []snapshot.Request{put(20, 30), put(30, 40)}, 30},
		"who came late with less":        {known, []snapshot.Request{put(20, 40), put(30, 30)}, 20},
		"the first of two alike":         {known, []snapshot.Request{put(20, 40), put(30, 40)}, 20},
		"who had seen it is later":       {known, []snapshot.Request{put(20, 40), put(30, 50)}, 20},
		"another kind among them":        {known, []snapshot.Request{put(20, 40), {Entry: 30}}, 0},
		"created and changed":            {known, []snapshot.Request{put(20, 0), put(30, 40)}, 30},
		"created by one of two":          {known, []snapshot.Request{put(20, 0), put(30, 0)}, 20},
		"changed, seen in a former life": {known, []snapshot.Request{put(20, 0), put(30, 15)}, 0},
		"created, deleted, created":      {known, []snapshot.Request{put(20, 0), deletion, put(40, 0)}, 0},
		"created under a lease":          {known, []snapshot.Request{put(20, 0), leased}, 0},
		"ranges are deleted":             {keyRequests{known.anchors, true}, []snapshot.Request{put(20, 0), put(30, 40)}, 0},
	} {
		var requests []*snapshot.Attempt
		for _, r := range tc.requests {
			requests = append(requests, &snapshot.Attempt{Request: r})
		}
		got := uint64(0)
		if w := tc.k.writer(50, requests); w != nil {
			got = w.Entry
		}
		require.Equal(t, tc.want, got, name)
	}
}
