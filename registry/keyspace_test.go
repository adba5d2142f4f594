package registry_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// keysOf is a Reader of some keys.
type keysOf map[string]string

func (k keysOf) Revision() int64 { return 1 }

func (k keysOf) At(_ context.Context, _ int64, match func([]byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(k)) {
			if (match == nil || match([]byte(key))) && !yield(snapshot.KeyValue{Key: []byte(key), Value: []byte(k[key])}, nil) {
				return
			}
		}
	}
}

// A keyspace in which nothing stands where it is looked for is no empty cluster.
func TestKeyspaceNamesWhereObjectsStand(t *testing.T) {
	t.Parallel()
	const object, locked = "k8s\x00...", "k8s:enc:secretbox:v1:key1:sealed"
	for name, c := range map[string]struct {
		keys   keysOf
		prefix string
		want   string // of the error; "" for none
		best   string
	}{
		"under the prefix": {keys: keysOf{"/registry/pods/shop/web": object, "cilium/state/id": "1"}},
		"an empty keyspace": {
			want: "the database holds no key at all: it is that of a cluster that never started, or an empty one",
		},
		"under another prefix": {
			keys: keysOf{"/kubernetes.io/pods/shop/web": object, "/kubernetes.io/secrets/shop/pw": locked, "/openshift.io/routes/shop/r": object},
			want: `no Kubernetes object stands under "/registry"; the database holds 2 keys under "/kubernetes.io" (2 Kubernetes objects), ` +
				`1 key under "/openshift.io" (1 Kubernetes object): give --etcd-prefix "/kubernetes.io"`,
			best: "/kubernetes.io",
		},
		"a prefix of two segments": {
			keys: keysOf{"/clusters/a/pods/shop/web": object, "/clusters/a/services/specs/shop/web": object},
			want: `no Kubernetes object stands under "/registry"; the database holds 2 keys under "/clusters/a" (2 Kubernetes objects): give --etcd-prefix "/clusters/a"`,
			best: "/clusters/a",
		},
		"a mistyped prefix": {
			keys: keysOf{"/registry/pods/shop/web": object}, prefix: "/regustry",
			want: `no Kubernetes object stands under "/regustry"; the database holds 1 key under "/registry" (1 Kubernetes object): give --etcd-prefix "/registry"`,
			best: "/registry",
		},
		"other programs' keys": {
			keys: keysOf{"cilium/state/id": "1", "/bootstrap/abc": "2", "lonely": "3"},
			want: `no Kubernetes object stands under "/registry"; the database holds 1 key under "", ` +
				`1 key under "/bootstrap" (k3s or rke2: the cluster's keys, encrypted by the server's token), 1 key under "cilium" (Cilium)`,
		},
		"leases of API servers": {
			keys: keysOf{"/registry/masterleases/10.0.0.1": object},
			want: `no Kubernetes object stands under "/registry"; the database holds 1 key of API servers and no object`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			space, err := registry.New(c.keys, registry.Options{Prefix: c.prefix}).Keyspace(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, len(c.keys), space.Keys)
			require.Equal(t, c.best, space.Best())
			err = space.Check()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var prefix *registry.PrefixError
			require.True(t, errors.As(err, &prefix))
			require.EqualError(t, err, c.want)
			_, err = registry.New(c.keys, registry.Options{Prefix: c.prefix}).Select(t.Context(), registry.Selection{Namespaces: []string{"shop"}})
			require.ErrorAs(t, err, &prefix, "extract")
			_, err = registry.New(c.keys, registry.Options{Prefix: c.prefix}).List(t.Context(), registry.Query{Words: "pods"})
			require.ErrorAs(t, err, &prefix, "get")
		})
	}
}

// pastOf is a keyspace in which each key of gone was deleted at its revision.
type pastOf struct {
	keysOf
	gone map[string]int64
}

func (p pastOf) Windows() []snapshot.Window { return []snapshot.Window{{First: 1, Last: 99}} }

func (p pastOf) Changes(_ context.Context, match func([]byte) bool) iter.Seq2[snapshot.Record, error] {
	return func(yield func(snapshot.Record, error) bool) {
		for key, rev := range p.gone {
			put := snapshot.Record{KeyValue: snapshot.KeyValue{Key: []byte(key), Value: []byte("k8s\x00...")}, Main: rev - 1}
			deleted := snapshot.Record{KeyValue: snapshot.KeyValue{Key: []byte(key)}, Main: rev, Deleted: true}
			if match([]byte(key)) && (!yield(deleted, nil) || !yield(put, nil)) {
				return
			}
		}
	}
}

// A cluster whose every object was deleted is neither one that never started nor
// one with another prefix.
func TestKeyspaceWithoutLiveObjects(t *testing.T) {
	t.Parallel()
	gone := map[string]int64{"/registry/pods/shop/web": 7, "/registry/configmaps/shop/settings": 9}
	const want = `every object under "/registry" is deleted, the last one at revision 9; the history still holds 2 of them: ` +
		`extract --deleted brings them back, --rev reads an older revision`
	for name, c := range map[string]struct {
		left  keysOf
		wiped bool
	}{
		"nothing is left":               {wiped: true},
		"other programs' keys are left": {left: keysOf{"cilium/state/id": "1", "/calico/resources/v3/projectcalico.org/networkpolicies/shop/p": `{"kind":"NetworkPolicy"}`}, wiped: true},
		"API servers' leases are left":  {left: keysOf{"/registry/masterleases/10.0.0.1": "k8s\x00..."}, wiped: true},
		"objects under another prefix":  {left: keysOf{"/kubernetes.io/pods/shop/web": "k8s\x00..."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := registry.New(pastOf{c.left, gone}, registry.Options{})
			space, err := reg.Keyspace(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.wiped, space.Wiped())
			require.EqualValues(t, 2, space.Deleted)
			_, err = reg.List(t.Context(), registry.Query{Words: "pods", Names: []string{}})
			if !c.wiped {
				require.ErrorContains(t, err, `give --etcd-prefix "/kubernetes.io"`)
				return
			}
			require.NoError(t, err, "what a word means")
			_, err = reg.List(t.Context(), registry.Query{Words: "pods"})
			require.EqualError(t, err, want)
			_, err = reg.Select(t.Context(), registry.Selection{All: true})
			require.EqualError(t, err, want)
		})
	}
}

// At an older revision it counts what was deleted by then.
func TestKeyspaceOfAnOlderRevision(t *testing.T) {
	t.Parallel()
	gone := map[string]int64{"/registry/pods/shop/web": 7, "/registry/configmaps/shop/settings": 9}
	space, err := registry.New(pastOf{nil, gone}, registry.Options{Revision: 7}).Keyspace(t.Context())
	require.NoError(t, err)
	require.Equal(t, [2]int64{1, 7}, [2]int64{space.Deleted, space.LastDeleted})
}

// Calico keeps JSON with kind and apiVersion beside Kubernetes' objects.
func TestKeyspaceOfOtherProgramsHasNoObjects(t *testing.T) {
	t.Parallel()
	_, err := registry.New(keysOf{"/calico/resources/v3/projectcalico.org/networkpolicies/shop/p": `{"kind":"NetworkPolicy"}`}, registry.Options{}).
		List(t.Context(), registry.Query{Words: "pods"})
	require.EqualError(t, err, `no Kubernetes object stands under "/registry"; the database holds 1 key under "/calico" (Calico)`)
}

// What is encrypted at rest counts wherever it stands.
func TestSurveyFindsCiphertextUnderOtherPrefixes(t *testing.T) {
	t.Parallel()
	survey, err := registry.New(keysOf{"/kubernetes.io/secrets/shop/pw": "k8s:enc:secretbox:v1:key1:sealed"}, registry.Options{Keyring: &registry.Keyring{}}).Survey(t.Context())
	require.NoError(t, err)
	require.Equal(t, []registry.LockCount{{Lock: registry.Lock{Provider: "secretbox", Version: "v1", Name: "key1"}, Objects: 1, Locked: 1}}, survey.Locks)
	require.Zero(t, survey.Objects)
	require.Error(t, survey.Keyspace.Check())
}
