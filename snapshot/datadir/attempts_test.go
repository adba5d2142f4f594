package datadir_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// apiServers write to an etcd as API servers do: each of two reads objects now and
// then, and changes them on the condition that they are what it had read.
type apiServers struct {
	*witness
	seen    [2]map[string]int64
	written map[string]int64 // revision of each value that was written; 0 for those refused
}

func (a *apiServers) read(server int, key string) {
	a.t.Helper()
	answer, err := a.c.Get(a.t.Context(), key)
	require.NoError(a.t, err)
	a.seen[server][key] = 0
	if len(answer.Kvs) > 0 {
		a.seen[server][key] = answer.Kvs[0].ModRevision
	}
}

// serve writes some times; keys that begin with /quiet/ are written once each.
func (a *apiServers) serve(writes int) {
	a.t.Helper()
	for range writes {
		n := len(a.written)
		server, key := a.random.IntN(2), fmt.Sprintf("/busy/%d", a.random.IntN(4))
		if a.random.IntN(5) == 0 {
			key = fmt.Sprintf("/quiet/%d", n)
		}
		if a.random.IntN(3) > 0 {
			a.read(server, key)
		}
		value := fmt.Sprintf("%s: write %d", key, n)
		if a.random.IntN(12) == 0 { // one that compares nothing
			answer, err := a.c.Put(a.t.Context(), key, value)
			require.NoError(a.t, err)
			a.written[value] = answer.Header.Revision
			continue
		}
		guard := a.seen[server][key]
		change := clientv3.OpPut(key, value)
		if guard > 0 && a.random.IntN(10) == 0 {
			change, value = clientv3.OpDelete(key), fmt.Sprint("deletion ", n)
		}
		for range 1 + a.random.IntN(8)/7 { // some ask twice
			answer, err := a.c.Txn(a.t.Context()).If(clientv3.Compare(clientv3.ModRevision(key), "=", guard)).Then(change).Else(clientv3.OpGet(key)).Commit()
			require.NoError(a.t, err)
			if a.written[value] += 0; answer.Succeeded {
				a.written[value] = answer.Header.Revision
				a.seen[server][key] = answer.Header.Revision
			}
		}
		a.newest = max(a.newest, a.written[value])
	}
}

// TestAttempts: of what was compacted the log still has the requests. Which of them
// were carried out is said where it is certain, and never wrongly; and of those
// that were, none is left out.
func TestAttempts(t *testing.T) {
	t.Parallel()
	proved, open := 0, 0
	for seed := range uint64(2 * soak) {
		p, o := attempts(t, seed)
		proved, open = proved+p, open+o
	}
	t.Logf("%d requests were proved, %d were not", proved, open)
	require.Greater(t, proved, 5*soak)
	require.Greater(t, open, soak)
}

func attempts(t *testing.T, seed uint64) (proved, open int) {
	t.Helper()
	a := apiServers{witness: newWitness(t, seed), written: map[string]int64{}, seen: [2]map[string]int64{{}, {}}}
	a.serve(150)
	a.compact(a.newest - int64(a.random.IntN(20)))
	a.serve(20)
	a.stop()
	r := replay(t, a.dir, datadir.ReplayOptions{})
	db := database(t, r)
	require.Equal(t, a.compacted, db.Windows()[0].First)

	found, err := r.Attempts(t.Context(), db, nil)
	require.NoError(t, err)
	told := map[string]bool{}
	for i, x := range found {
		require.True(t, i == 0 || found[i-1].Entry < x.Entry, "in the order of the log")
		truth := a.written[string(x.Value)]
		switch {
		case x.Deleted:
			require.Zero(t, x.Revision)
		case x.Revision != 0:
			require.Equal(t, truth, x.Revision, "%s", x.Value)
			if !x.Retained { // else the database says it
				proved++
			}
		default:
			open++
			told[string(x.Value)] = true
		}
		if truth > 0 {
			require.Less(t, truth, x.Before, "%s", x.Value)
		}
		told[string(x.Value)] = true
	}
	for value, rev := range a.written {
		if rev > 0 && rev <= a.compacted && value[0] == '/' {
			require.True(t, told[value], "%q, revision %d", value, rev)
		}
	}
	require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(told)), func(value string) bool { return a.written[value] == 0 }), "some were refused")

	one, err := r.Attempts(t.Context(), db, func(key []byte) bool { return string(key) == "/busy/1" })
	require.NoError(t, err)
	var same []snapshot.Attempt
	for _, x := range found {
		if string(x.Key) == "/busy/1" {
			same = append(same, x)
		}
	}
	for i := range same { // what is proved of other keys bounds it as well
		require.LessOrEqual(t, same[i].Before, one[i].Before)
		same[i].Before = one[i].Before
	}
	require.Equal(t, same, one)
	return proved, open
}

// Where nothing was compacted, nothing is older.
func TestAttemptsOfAWholeHistory(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	r := replay(t, dir, datadir.ReplayOptions{})
	found, err := r.Attempts(t.Context(), database(t, r), nil)
	require.NoError(t, err)
	require.Empty(t, found)
}
