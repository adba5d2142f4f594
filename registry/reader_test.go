package registry

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// inYAML is a keyspace of manifests.
func inYAML(t *testing.T, text string) *Manifests {
	t.Helper()
	m, err := ReadManifests(strings.NewReader(text), DefaultPrefix, NewResources(nil))
	require.NoError(t, err)
	return m
}

func namesOf(objects []*Object) (names []string) {
	for _, o := range objects {
		names = append(names, o.String())
	}
	return names
}

// failing is a keyspace that ends in an error behind its first key.
type failing struct{ *Manifests }

var errPage = errors.New("page 812: checksum mismatch")

func (f failing) At(ctx context.Context, rev int64, match func([]byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		for kv, err := range f.Manifests.At(ctx, rev, match) {
			if yield(kv, err) {
				yield(snapshot.KeyValue{}, errPage)
			}
			return
		}
		yield(snapshot.KeyValue{}, errPage)
	}
}

// Whoever reads a damaged keyspace is told, and never given the part before it.
func TestReaderThatFails(t *testing.T) {
	t.Parallel()
	whole := inYAML(t, twoShops)
	r, ctx := New(failing{whole}, Options{}), t.Context()
	for name, read := range map[string]func() error{
		"objects": func() error {
			for _, err := range r.Objects(ctx, nil) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"select":   func() error { _, err := r.Select(ctx, Selection{All: true}); return err },
		"list":     func() error { _, err := r.List(ctx, Query{Words: "cm"}); return err },
		"survey":   func() error { _, err := r.Survey(ctx); return err },
		"keyspace": func() error { _, err := r.Keyspace(ctx); return err },
		"closure":  func() error { _, err := r.Closure(ctx, nil); return err },
		"cluster":  func() error { _, err := r.ClusterUID(ctx); return err },
		"diff": func() error {
			_, err := DiffOf(ctx, New(whole, Options{}), r, DiffOptions{})
			return err
		},
		"diff of the old": func() error {
			_, err := DiffOf(ctx, r, New(whole, Options{}), DiffOptions{})
			return err
		},
	} {
		require.ErrorIs(t, read(), errPage, name)
	}
}

// A prefix is the same with and without slashes around it.
func TestPrefixIsTrimmed(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "registry", "/registry", "/registry/", "registry/"} {
		l, err := New(inYAML(t, twoShops), Options{Prefix: prefix}).List(t.Context(), Query{Words: "cm"})
		require.NoError(t, err, prefix)
		require.Equal(t, 2, l.Len(), prefix)
	}
}

const twoShops = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prices, namespace: shop, labels: {app: web}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prices, namespace: bank}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: bank}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-shop}
spec: {claimRef: {name: data, namespace: shop}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-bank}
spec: {claimRef: {name: data, namespace: bank}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: prices}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.fleet.example.com}
spec: {group: fleet.example.com, names: {kind: Ship, plural: ships}, scope: Namespaced, versions: [{name: v1, served: true, storage: true}]}
---
apiVersion: fleet.example.com/v1
kind: Ship
metadata: {name: aurora, namespace: shop}
`

// What is asked for comes, with the volume of its own claim and the definition of
// its kind, and nothing of a neighbour who has the same names.
func TestSelectBetweenNeighbours(t *testing.T) {
	t.Parallel()
	r := New(inYAML(t, twoShops), Options{})
	selected, err := r.Select(t.Context(), Selection{Namespaces: []string{"shop"}})
	require.NoError(t, err)
	require.Equal(t, []string{
		"customresourcedefinitions.apiextensions.k8s.io ships.fleet.example.com", "configmaps shop/prices", "ships.fleet.example.com shop/aurora",
		"namespaces shop", "persistentvolumeclaims shop/data", "persistentvolumes disk-shop",
	}, namesOf(selected.Objects))

	for name, c := range map[string]struct {
		sel  Selection
		want string // of the error
	}{
		"one name of two": {
			Selection{Namespaces: []string{"shop"}, Words: "cm", Refs: []Ref{{"cm", "prices"}, {"cm", "discounts"}}}, `"cm/discounts" not found in namespace "shop"`,
		},
		"a name without its namespace": {Selection{Words: "cm", Refs: []Ref{{"cm", "prices"}}}, "configmaps belong to a namespace: say which, with -n"},
		"one namespace of two":         {Selection{Namespaces: []string{"shop", "shap"}}, `no namespace "shap" in the backup; nearest are "shop"`},
	} {
		_, err := r.Select(t.Context(), c.sel)
		require.EqualError(t, err, c.want, name)
	}
	selected, err = r.Select(t.Context(), Selection{All: true, Words: "cm", Refs: []Ref{{"cm", "prices"}}})
	require.NoError(t, err)
	require.Equal(t, []string{"configmaps bank/prices", "configmaps shop/prices"}, namesOf(selected.Objects))
}

// A definition that cannot be read is told: its objects lose what it says of them.
func TestSelectTellsABrokenDefinition(t *testing.T) {
	t.Parallel()
	broken := strings.Replace(twoShops, "versions: [{name: v1, served: true, storage: true}]", "versions: v1", 1)
	require.NotEqual(t, twoShops, broken)
	selected, err := New(inYAML(t, broken), Options{}).Select(t.Context(), Selection{All: true})
	require.NoError(t, err)
	plan, err := Clean(selected.Objects, CleanOptions{})
	require.NoError(t, err)
	require.False(t, plan.Complete())
	for _, o := range selected.Objects {
		require.Equal(t, IsDefinition(o.Key), hasProblem(o, Undecodable), o)
	}
}

// A list of a namespace has what belongs to none as well, as kubectl's, and each
// object once, of built-in kinds and of others.
func TestListOfANamespace(t *testing.T) {
	t.Parallel()
	r := New(inYAML(t, twoShops), Options{})
	l, err := r.List(t.Context(), Query{Words: "cm,pv,ships,pc", Namespace: "shop"})
	require.NoError(t, err)
	var names []string
	for o := range l.Objects(t.Context()) {
		names = append(names, o.String())
	}
	require.Equal(t, []string{
		"configmaps shop/prices", "persistentvolumes disk-bank", "persistentvolumes disk-shop", "ships.fleet.example.com shop/aurora",
		"priorityclasses.scheduling.k8s.io prices",
	}, names)
}

// A category that definitions add to has each object once.
func TestListOfACategory(t *testing.T) {
	t.Parallel()
	text := strings.Replace(twoShops, "names: {kind: Ship, plural: ships}", "names: {kind: Ship, plural: ships, categories: [all]}", 1)
	text += "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n"
	l, err := New(inYAML(t, text), Options{}).List(t.Context(), Query{Words: "all"})
	require.NoError(t, err)
	var names []string
	for o := range l.Objects(t.Context()) {
		names = append(names, o.String())
	}
	require.Equal(t, []string{"pods shop/web", "ships.fleet.example.com shop/aurora"}, names)
}

// Whether a locked object has a label nobody knows: it is named, not passed over.
func TestLabelsPassOverNothingThatIsLocked(t *testing.T) {
	t.Parallel()
	selector, err := labels.Parse("app=none-of-them")
	require.NoError(t, err)
	r := harbour(t, Options{Keyring: &Keyring{}})
	l, err := r.List(t.Context(), Query{Words: "secrets,cm", Namespace: "infra-production", Labels: selector})
	require.NoError(t, err)
	for o := range l.Objects(t.Context()) {
		require.True(t, hasProblem(o, Locked), o)
	}
	selected, err := r.Select(t.Context(), Selection{Namespaces: []string{"infra-production"}, Labels: selector})
	require.NoError(t, err)
	locked := 0
	for _, o := range selected.Objects {
		if hasProblem(o, Locked) {
			locked++
		}
	}
	require.Equal(t, 3, locked)
}

// A backup is as old as its newest renewal, wherever that stands.
func TestNewestRenewal(t *testing.T) {
	t.Parallel()
	var s tally
	newest := time.Date(2026, 11, 21, 20, 50, 0, 0, time.UTC)
	for _, at := range []time.Time{newest.Add(-time.Hour), newest, newest.Add(-time.Minute)} {
		s.open(&Object{Typed: &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: at}}}})
	}
	s.open(&Object{Typed: &coordinationv1.Lease{}})
	require.Equal(t, newest, s.survey.Newest)
}
