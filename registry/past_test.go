package registry_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// past is etcd's own keyspace with some ConfigMaps in it, and what was seen of it
// at each revision.
type past struct {
	t         *testing.T
	kv        mvcc.WatchableKV
	path      string
	random    *rand.Rand
	seen      []map[string]string // by revision: the values by name
	compacted int64
}

func newPast(t *testing.T, seed uint64) *past {
	t.Helper()
	p := &past{t: t, path: filepath.Join(t.TempDir(), "db"), random: rand.New(rand.NewPCG(seed, 1)), seen: make([]map[string]string, 2)}
	config := backend.DefaultBackendConfig(zap.NewNop())
	config.Path, config.UnsafeNoFsync, config.MmapSize = p.path, true, 1<<20
	b := backend.New(config)
	tx := b.BatchTx()
	tx.LockOutsideApply()
	for _, bucket := range schema.AllBuckets {
		tx.UnsafeCreateBucket(bucket)
	}
	tx.Unlock()
	p.kv = mvcc.New(zap.NewNop(), b, &lease.FakeLessor{}, mvcc.StoreConfig{})
	defer func() {
		p.kv.Commit()
		p.kv.Close()
		require.NoError(t, b.Close())
	}()
	p.live()
	return p
}

func (p *past) live() {
	const prefix = "/registry/configmaps/shop/"
	for n := range 40 + p.random.IntN(60) {
		name := string(rune('a' + p.random.IntN(5)))
		switch p.random.IntN(8) {
		case 0, 1:
			p.kv.DeleteRange([]byte(prefix+name), nil)
		case 2:
			p.kv.DeleteRange([]byte(prefix), []byte(prefix+"z"))
		default:
			value := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"shop"},"data":{"n":"%d"}}`, name, n)
			p.kv.Put([]byte(prefix+name), []byte(value), lease.NoLease)
		}
		if rev := p.kv.Rev(); int(rev) == len(p.seen) {
			p.seen = append(p.seen, p.look(prefix))
		}
	}
	if rev := p.kv.Rev(); rev > 3 && p.random.IntN(3) > 0 {
		p.compacted = 2 + p.random.Int64N(rev-2)
		done, err := p.kv.Compact(traceutil.TODO(), p.compacted)
		require.NoError(p.t, err)
		<-done
	}
}

func (p *past) look(prefix string) map[string]string {
	answer, err := p.kv.Range(p.t.Context(), []byte(prefix), []byte(prefix+"z"), mvcc.RangeOptions{})
	require.NoError(p.t, err)
	state := map[string]string{}
	for _, kv := range answer.KVs {
		state[strings.TrimPrefix(string(kv.Key), prefix)] = string(kv.Value)
	}
	return state
}

// TestPastOfRandomHistories: history, what was deleted and differences are what
// etcd's keyspace was seen to be, at every revision that was not compacted.
func TestPastOfRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(soak(15)) {
		p := newPast(t, seed)
		db, err := snapshot.Open(t.Context(), p.path)
		require.NoError(t, err)
		p.requireHistory(db)
		p.requireTrash(db)
		p.requireDiff(db)
		require.NoError(t, db.Close())
	}
}

func (p *past) requireHistory(db *snapshot.DB) {
	timeline, err := registry.New(db, registry.Options{}).History(p.t.Context(), nil, nil)
	require.NoError(p.t, err)
	got := map[string]string{}
	for step, err := range timeline.Steps(p.t.Context()) {
		require.NoError(p.t, err)
		if step.Revision <= max(p.compacted, 1) {
			continue // what a compaction left
		}
		id := fmt.Sprintf("%d %s", step.Revision, step.Key.Name)
		switch step.Event {
		case registry.Deleted:
			got[id] = "deleted"
		default:
			got[id] = string(step.After.Raw)
		}
		_, before := p.seen[step.Revision-1][step.Key.Name]
		switch step.Event {
		case registry.Updated:
			require.True(p.t, before, id)
			require.Equal(p.t, p.seen[step.Revision-1][step.Key.Name], string(step.Before.Raw), id)
			require.False(p.t, step.Gap, id)
		case registry.Created, registry.Recreated:
			require.False(p.t, before, id)
		case registry.Deleted:
			require.True(p.t, before, id)
		default:
			p.t.Errorf("%s: %s", id, step.Event)
		}
	}
	want := map[string]string{}
	for rev := max(p.compacted, 1) + 1; int(rev) < len(p.seen); rev++ {
		for name, value := range p.seen[rev] {
			if p.seen[rev-1][name] != value {
				want[fmt.Sprintf("%d %s", rev, name)] = value
			}
		}
		for name := range p.seen[rev-1] {
			if _, ok := p.seen[rev][name]; !ok {
				want[fmt.Sprintf("%d %s", rev, name)] = "deleted"
			}
		}
	}
	require.Equal(p.t, want, got)
}

func (p *past) requireTrash(db *snapshot.DB) {
	for rev := max(p.compacted, 1); int(rev) < len(p.seen); rev++ {
		trash, err := registry.New(db, registry.Options{Revision: rev}).Trash(p.t.Context(), nil, nil)
		require.NoError(p.t, err)
		got := map[string]string{}
		for _, item := range trash.Items {
			if item.Lost() { // the tombstone of the compacted revision itself stays
				require.LessOrEqual(p.t, item.Revision, p.compacted, item.Key.Path)
				continue
			}
			got[item.Key.Name] = fmt.Sprintf("%d %s", item.Revision, item.KV.Value)
		}
		want := map[string]string{}
		for r := max(p.compacted, 1) + 1; r <= rev; r++ {
			for name, value := range p.seen[r-1] {
				if _, ok := p.seen[r][name]; !ok {
					want[name] = fmt.Sprintf("%d %s", r, value)
				}
			}
		}
		for name := range p.seen[rev] {
			delete(want, name)
		}
		require.Equal(p.t, want, got, "revision %d, compacted %d", rev, p.compacted)
	}
}

// requireDiff: what differs, applied to the old, gives the new, for random pairs.
func (p *past) requireDiff(db *snapshot.DB) {
	oldest := max(p.compacted, 1)
	for range 5 {
		a, b := oldest+p.random.Int64N(int64(len(p.seen))-oldest), oldest+p.random.Int64N(int64(len(p.seen))-oldest)
		at := func(rev int64) *registry.Registry { return registry.New(db, registry.Options{Revision: rev}) }
		diff, err := registry.DiffOf(p.t.Context(), at(a), at(b), registry.DiffOptions{Raw: true})
		require.NoError(p.t, err)
		state := maps.Clone(p.seen[a])
		for _, item := range diff.Items {
			if delete(state, item.Key.Name); item.Event != registry.Deleted {
				state[item.Key.Name] = p.seen[b][item.Key.Name]
			}
		}
		require.True(p.t, maps.Equal(state, p.seen[b]), "%d to %d: %v, want %v", a, b, state, p.seen[b])
		if a == b {
			require.Empty(p.t, diff.Items)
		}
	}
}
