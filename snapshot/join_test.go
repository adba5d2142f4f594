package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"go.etcd.io/etcd/server/v3/lease"

	"go.etcd.io/etcd/pkg/v3/traceutil"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// chronicle is a store of which every state is written down as it comes.
type chronicle struct {
	*store
	states map[int64]map[string]snapshot.KeyValue
}

func newChronicle(path string) *chronicle {
	return &chronicle{newStore(path), map[int64]map[string]snapshot.KeyValue{}}
}

func (c *chronicle) writeDown(ctx context.Context) error {
	for rev := c.Rev(); rev >= 1 && c.states[rev] == nil; rev-- {
		state, err := c.keysAt(ctx, rev)
		if err != nil {
			return err
		}
		c.states[rev] = state
	}
	return nil
}

// changesOf are the changes that led from the state before to that of rev.
func (c *chronicle) changesOf(rev int64) (changes []string) {
	for key, kv := range c.states[rev] {
		if kv.ModRevision == rev {
			changes = append(changes, fmt.Sprintf("%s=%s", key, kv.Value))
		}
	}
	for key := range c.states[rev-1] {
		if _, alive := c.states[rev][key]; !alive {
			changes = append(changes, key+" deleted")
		}
	}
	slices.Sort(changes)
	return changes
}

// TestJoinedHistory: of any history, saved now and then and compacted in
// between, the saved databases together give every state and every change that
// one of them holds, and name the holes.
func TestJoinedHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, func(rt *rapid.T) {
		_ = os.RemoveAll(dir)
		require.NoError(rt, os.MkdirAll(dir, 0o700))
		live := newChronicle(filepath.Join(dir, "live"))
		defer live.close()
		var saved []string
		steps := actions(live.store)
		steps["save"] = func(rt *rapid.T) {
			if len(saved) < 4 && rapid.Bool().Draw(rt, "really") {
				saved = append(saved, filepath.Join(dir, fmt.Sprintf("saved-%d", len(saved))))
				require.NoError(rt, live.save(saved[len(saved)-1]))
			}
		}
		steps[""] = func(rt *rapid.T) { require.NoError(rt, live.writeDown(rt.Context())) }
		rt.Repeat(steps)
		require.NoError(rt, live.writeDown(rt.Context()))
		saved = append(saved, filepath.Join(dir, "last"))
		require.NoError(rt, live.save(saved[len(saved)-1]))
		parts := openParts(rt, rapid.Permutation(saved).Draw(rt, "order"))
		defer closeParts(parts)
		joined, err := snapshot.Join(rt.Context(), parts...)
		require.NoError(rt, err)
		require.Equal(rt, live.Rev(), joined.Revision())
		requireStates(rt, live, joined, parts)
		requireChanges(rt, live, joined)
	})
}

func openParts(rt *rapid.T, paths []string) (parts []snapshot.Part) {
	for _, path := range paths {
		db, err := snapshot.Open(rt.Context(), path)
		require.NoError(rt, err)
		parts = append(parts, snapshot.Part{Name: filepath.Base(path), DB: db})
	}
	return parts
}

func closeParts(parts []snapshot.Part) {
	for _, p := range parts {
		p.DB.Close()
	}
}

func requireStates(rt *rapid.T, live *chronicle, joined *snapshot.Joined, parts []snapshot.Part) {
	for rev := int64(1); rev <= live.Rev(); rev++ {
		held := slices.ContainsFunc(parts, func(p snapshot.Part) bool { return p.DB.Windows()[0].Holds(rev) })
		got := map[string]snapshot.KeyValue{}
		var gotErr error
		for kv, err := range joined.At(rt.Context(), rev, nil) {
			if gotErr = err; err == nil {
				got[string(kv.Key)] = kv
			}
		}
		inWindow := slices.ContainsFunc(joined.Windows(), func(w snapshot.Window) bool { return w.Holds(rev) })
		require.Equal(rt, held, inWindow, "revision %d, windows %v", rev, joined.Windows())
		if !held {
			require.ErrorIs(rt, gotErr, snapshot.ErrCompacted)
			continue
		}
		require.NoError(rt, gotErr)
		requireSameKeys(rt, live.states[rev], got, rev)
	}
}

func requireChanges(rt *rapid.T, live *chronicle, joined *snapshot.Joined) {
	got, newest := map[int64][]string{}, joined.Revision()
	again := map[string]bool{} // a transaction may put a key twice here, in etcd's API it may not
	for r, err := range joined.Changes(rt.Context(), nil) {
		require.NoError(rt, err)
		require.LessOrEqual(rt, r.Main, newest, "the newest first")
		newest = r.Main
		id := fmt.Sprint(r.Main, string(r.Key))
		if again[id] {
			continue
		}
		again[id] = true
		text := fmt.Sprintf("%s=%s", r.Key, r.Value)
		if r.Deleted {
			text = string(r.Key) + " deleted"
		}
		got[r.Main] = append(got[r.Main], text)
	}
	for rev := int64(2); rev <= live.Rev(); rev++ {
		want := live.changesOf(rev)
		slices.Sort(got[rev])
		complete := slices.ContainsFunc(joined.Windows(), func(w snapshot.Window) bool { return w.First < rev && rev <= w.Last })
		if complete {
			require.Equal(rt, want, got[rev], "revision %d", rev)
		} else {
			require.Subset(rt, want, got[rev], "revision %d: what a compaction left is true", rev)
		}
	}
}

// timeline makes databases of a cluster by hand.
type timeline struct {
	*store
	t   *testing.T
	dir string
}

func newTimeline(t *testing.T) *timeline {
	t.Helper()
	dir := t.TempDir()
	s := newStore(filepath.Join(dir, "live"))
	t.Cleanup(s.close)
	return &timeline{s, t, dir}
}

func (l *timeline) put(keys ...string) {
	for _, key := range keys {
		l.Put([]byte(key), fmt.Appendf(nil, "%s at %d", key, l.Rev()+1), lease.NoLease)
	}
}

func (l *timeline) compact() {
	done, err := l.Compact(traceutil.TODO(), l.Rev())
	require.NoError(l.t, err)
	<-done
}

func (l *timeline) save(name string) snapshot.Part {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	require.NoError(l.t, l.store.save(path))
	return snapshot.Part{Name: name, DB: open(l.t, path)}
}

// TestThreeSnapshots: two overlap, one stands behind a hole, which is named; a
// fourth, of a cluster that was restored in between, is refused and named.
func TestThreeSnapshots(t *testing.T) {
	t.Parallel()
	live := newTimeline(t)
	live.put("a", "b", "c", "stays")
	first := live.save("first") // up to revision 5
	live.put("a", "b")
	live.compact() // 7
	live.put("d")
	second := live.save("second") // 7 to 8
	live.put("a", "c", "e")
	third := live.save("third") // 7 to 11
	live.compact()
	live.put("a")

	joined, err := snapshot.Join(t.Context(), second, third, first)
	require.NoError(t, err)
	require.Equal(t, []snapshot.Window{{First: 7, Last: 11}, {First: 1, Last: 5}}, joined.Windows())
	links := joined.Links()
	require.Len(t, links, 2)
	require.Equal(t, "second", links[0].Older)
	require.Zero(t, links[0].Hole)
	require.Equal(t, snapshot.Link{Older: "first", Newer: "second", Compared: 2, Hole: snapshot.Window{First: 6, Last: 6}}, links[1],
		"of before the compaction c and stays are left")
	for _, err := range joined.At(t.Context(), 6, nil) {
		hole := (*snapshot.HoleError)(nil)
		require.True(t, errors.As(err, &hole))
		require.Equal(t, snapshot.HoleError{Revision: 6, Before: 5, After: 7}, *hole)
	}
	require.Equal(t, "third", joined.Holder(8))
	require.Equal(t, "first", joined.Holder(3))
	require.Empty(t, joined.Holder(6))

	// The cluster is restored from the first backup and goes another way.
	fork := newTimeline(t)
	fork.put("a", "b", "c", "stays")
	fork.put("x", "y", "z", "w")
	forked := fork.save("fork")
	_, err = snapshot.Join(t.Context(), first, forked)
	require.NoError(t, err, "up to there they are the same")
	_, err = snapshot.Join(t.Context(), first, forked, third)
	forkErr := (*snapshot.ForkError)(nil)
	require.True(t, errors.As(err, &forkErr), "%v", err)
	require.Equal(t, "fork", forkErr.Older)
	require.Equal(t, "third", forkErr.Newer)
	require.ErrorIs(t, err, snapshot.ErrFork)

	// With both histories whole the very revision is named.
	other := newTimeline(t)
	other.put("a", "b", "c", "stays", "x", "y")
	_, err = snapshot.Join(t.Context(), other.save("other"), forked)
	require.NoError(t, err)
	other.put("q", "r", "s")
	_, err = snapshot.Join(t.Context(), other.save("other again"), forked)
	require.True(t, errors.As(err, &forkErr))
	require.EqualValues(t, 8, forkErr.Revision)
}

// TestForkBehindAHole: a key that changed in the older backup and did not in the
// newer one gives the fork away, though no revision is in both.
func TestForkBehindAHole(t *testing.T) {
	t.Parallel()
	abandoned, restored := newTimeline(t), newTimeline(t)
	abandoned.put("a", "b", "c", "a")
	restored.put("a", "b", "c", "d", "e", "f", "g")
	restored.compact()
	_, err := snapshot.Join(t.Context(), abandoned.save("old"), restored.save("new"))
	forkErr := (*snapshot.ForkError)(nil)
	require.True(t, errors.As(err, &forkErr), "%v", err)
	require.EqualValues(t, 5, forkErr.Revision)
}

// A database that ends while it is compared proves nothing: whatever was compared by
// then, it is damaged.
func TestJoinOfWhatIsCutShort(t *testing.T) {
	t.Parallel()
	var many []string // bbolt copies a small bucket when it is opened
	for i := range 200 {
		many = append(many, fmt.Sprintf("key-%03d", i))
	}
	for name, between := range map[string]func(*timeline){
		"a hole":    func(l *timeline) { l.put("c"); l.compact() },
		"an hour":   func(l *timeline) { l.put("c") },
		"no change": func(*timeline) {},
	} {
		for _, cut := range []string{"older", "newer"} {
			live := newTimeline(t)
			live.put(many...)
			live.compact()
			live.put("b")
			older := live.save("older")
			between(live)
			newer := live.save("newer")
			require.NoError(t, os.Truncate(filepath.Join(live.dir, cut), 2*4096))
			_, err := snapshot.Join(t.Context(), older, newer)
			require.ErrorIs(t, err, snapshot.ErrDamaged, "%s, %s", name, cut)
		}
	}
}

// The order in which databases were given is the caller's.
func TestJoinLeavesItsArguments(t *testing.T) {
	t.Parallel()
	live := newTimeline(t)
	live.put("a")
	older := live.save("older")
	live.put("b")
	parts := []snapshot.Part{older, live.save("newer")}
	_, err := snapshot.Join(t.Context(), parts...)
	require.NoError(t, err)
	require.Equal(t, "older", parts[0].Name)
}
