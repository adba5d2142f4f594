package lifeboat_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// told is a timeline, a step to a line.
func told(t *testing.T, b *lifeboat.Backup, opts lifeboat.TimelineOptions) (list []string) {
	t.Helper()
	timeline, err := b.Timeline(t.Context(), opts)
	require.NoError(t, err)
	for step, err := range timeline.Steps(t.Context()) {
		require.NoError(t, err)
		list = append(list, fmt.Sprintf("%d %s %s/%s", step.Revision, step.Event, step.Key.Resource(), step.Key.Name))
	}
	return list
}

// A history is of the kinds, names and namespace that were asked for, between two
// times, and the newest comes first.
func TestTimeline(t *testing.T) {
	t.Parallel()
	b := open(t, harbour, lifeboat.Options{})
	flip := []string{
		"1217 updated configmaps/flip", "1216 re-created configmaps/flip", "1215 deleted configmaps/flip", "1214 updated configmaps/flip",
		"1213 re-created configmaps/flip", "1212 deleted configmaps/flip", "1211 updated configmaps/flip", "1210 created configmaps/flip",
	}
	ref := func(names ...string) lifeboat.TimelineOptions {
		opts := lifeboat.TimelineOptions{Words: "cm", Namespace: "infra-production"}
		for _, name := range names {
			opts.Refs = append(opts.Refs, registry.Ref{Kind: "configmap", Name: name})
		}
		return opts
	}
	require.Equal(t, flip, told(t, b, ref("flip")))
	gone := told(t, b, ref("gone"))
	require.Len(t, gone, 2)
	require.Len(t, told(t, b, ref("flip", "gone")), len(flip)+len(gone))
	all := told(t, b, ref())
	require.Subset(t, all, append(flip, gone...))
	require.Greater(t, len(all), len(flip)+len(gone), "all ConfigMaps")
	for _, line := range all {
		require.Contains(t, line, " configmaps/")
	}
	elsewhere := ref("flip")
	elsewhere.Namespace = "infra-staging"
	require.Empty(t, told(t, b, elsewhere))

	// The namespace is part of its own history; by a kind of the cluster's own, no
	// namespace is in the way.
	staging := told(t, b, lifeboat.TimelineOptions{Namespace: "infra-staging"})
	require.Contains(t, staging, "1443 deleted namespaces/infra-staging")
	require.NotContains(t, staging, flip[0])
	require.NotEmpty(t, told(t, b, lifeboat.TimelineOptions{Words: "nodes", Namespace: "infra-production"}))

	utc := lifeboat.TimelineOptions{Words: "cm", Namespace: "infra-production", Zone: time.UTC, Until: "2026-11-21T20:50:16Z"}
	require.Contains(t, told(t, b, utc), flip[0])
	require.NotContains(t, told(t, b, utc), gone[0])
	utc.Since, utc.Until = utc.Until, ""
	require.NotContains(t, told(t, b, utc), flip[0])
	require.Contains(t, told(t, b, utc), gone[0])
	utc.Since, utc.Zone = "2026-11-21 23:50:16", time.FixedZone("", 3*3600)
	require.NotContains(t, told(t, b, utc), flip[0])
	require.Contains(t, told(t, b, utc), gone[0])

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := open(t, harbour, lifeboat.Options{}).Timeline(ctx, ref("flip"))
	require.ErrorIs(t, err, context.Canceled)
	for _, opts := range []lifeboat.TimelineOptions{{Words: "boats"}, {Words: "cm", Refs: []registry.Ref{{Kind: "boats", Name: "x"}}}} {
		_, err = b.Timeline(t.Context(), opts)
		require.ErrorAs(t, err, new(*registry.UnknownResourceError))
	}
}

// small is a database of Kubernetes objects without a Lease.
func small(t *testing.T, cluster string, keys int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(path, snapshottest.Spec{Keys: keys, Updates: -1, Deletions: -1, Cluster: cluster})
	require.NoError(t, err)
	return path
}

// Where nothing tells the time, there is a history without times.
func TestTimelineWithoutAClock(t *testing.T) {
	t.Parallel()
	path := small(t, clusterUID(1), 20)
	change(t, path, illegible)
	b := open(t, path, lifeboat.Options{})
	_, err := b.Clock(t.Context())
	require.ErrorIs(t, err, registry.ErrNoClock)
	require.NotEmpty(t, told(t, b, lifeboat.TimelineOptions{Namespace: "infra-production"}))
}

// Older backups of the cluster hold what was compacted since; those of another, or
// of another history, are refused.
func TestJoin(t *testing.T) {
	t.Parallel()
	newer := func() *lifeboat.Backup { return open(t, edited(t, compacted(1450)), lifeboat.Options{}) }
	older := func(path string) *lifeboat.Backup {
		b, err := lifeboat.Open(t.Context(), path, lifeboat.Options{})
		require.NoError(t, err)
		return b // Join takes it over
	}
	gone := registry.Selection{Namespaces: []string{"infra-staging"}}
	deleted := lifeboat.ExtractOptions{Deleted: true}
	b := newer()
	_, err := b.Extract(t.Context(), gone, deleted)
	require.Error(t, err, "it was compacted")
	require.Len(t, told(t, b, lifeboat.TimelineOptions{Words: "cm", Namespace: "infra-production", Refs: []registry.Ref{{Kind: "cm", Name: "flip"}}}), 1)
	db, _, err := b.Holding(1300)
	require.NoError(t, err)
	require.Same(t, b.DB(), db)

	require.NoError(t, b.Join(t.Context(), older(harbour)))
	got, err := b.Extract(t.Context(), gone, deleted)
	require.NoError(t, err)
	require.NotEmpty(t, got.Manifests)
	require.Len(t, told(t, b, lifeboat.TimelineOptions{Words: "cm", Namespace: "infra-production", Refs: []registry.Ref{{Kind: "cm", Name: "flip"}}}), 8)
	db, _, err = b.Holding(1300)
	require.NoError(t, err)
	require.NotSame(t, b.DB(), db, "which can be read at it")
	db, _, err = b.Holding(1460)
	require.NoError(t, err)
	require.Same(t, b.DB(), db)

	err = newer().Join(t.Context(), older(small(t, clusterUID(1), 20)))
	require.ErrorIs(t, err, registry.ErrOtherCluster)
	require.Equal(t, lifeboat.Refused, lifeboat.ClassOf(err))
	flip := valueOf("/registry/configmaps/infra-production/flip", func(value []byte) []byte {
		require.Contains(t, string(value), "flip")
		return bytes.Replace(value, []byte("flip"), []byte("flop"), 1)
	})
	err = newer().Join(t.Context(), older(edited(t, flip)))
	require.ErrorAs(t, err, new(*snapshot.ForkError))
	require.Equal(t, lifeboat.Refused, lifeboat.ClassOf(err))
}

// Two states are compared by kind and namespace, and those of two clusters are not,
// unless that is forced.
func TestDiff(t *testing.T) {
	t.Parallel()
	b := open(t, harbour, lifeboat.Options{})
	at := func(rev int64) *registry.Registry {
		reg, err := b.Objects(rev)
		require.NoError(t, err)
		return reg
	}
	differ := func(before, after int64, opts lifeboat.DiffOptions) (list []string) {
		diff, err := lifeboat.Diff(t.Context(), at(before), at(after), opts)
		require.NoError(t, err)
		for _, d := range diff.Items {
			list = append(list, fmt.Sprintf("%s %s/%s", d.Event, d.Key.Resource(), d.Key.Name))
		}
		return list
	}
	scaled := []string{"updated deployments.apps/supercronic"}
	require.Equal(t, scaled, differ(1217, 1392, lifeboat.DiffOptions{}))
	require.Equal(t, scaled, differ(1217, 1392, lifeboat.DiffOptions{Words: "deploy", Namespace: "infra-production"}))
	require.Empty(t, differ(1217, 1392, lifeboat.DiffOptions{Words: "cm"}))
	require.Empty(t, differ(1217, 1392, lifeboat.DiffOptions{Namespace: "infra-staging"}))
	require.Greater(t, len(differ(1217, 1392, lifeboat.DiffOptions{Raw: true})), 1, "what controllers write is no difference but in raw")
	staging := differ(1402, 0, lifeboat.DiffOptions{Namespace: "infra-staging"})
	require.Contains(t, staging, "deleted namespaces/infra-staging")
	require.Contains(t, staging, "deleted deployments.apps/web")
	require.Equal(t, []string{"deleted namespaces/infra-staging"}, differ(1402, 0, lifeboat.DiffOptions{Words: "ns"}))

	other, err := open(t, small(t, clusterUID(1), 20), lifeboat.Options{}).Objects(0)
	require.NoError(t, err)
	_, err = lifeboat.Diff(t.Context(), at(0), other, lifeboat.DiffOptions{})
	require.ErrorIs(t, err, registry.ErrOtherCluster)
	require.Equal(t, lifeboat.Refused, lifeboat.ClassOf(err))
	_, err = lifeboat.Diff(t.Context(), at(0), other, lifeboat.DiffOptions{Force: true})
	require.NoError(t, err)
	_, err = lifeboat.Diff(t.Context(), at(0), at(0), lifeboat.DiffOptions{Words: "boats"})
	require.ErrorAs(t, err, new(*registry.UnknownResourceError))
}

// Manifests are compared with the backup's objects of their own kinds, or with
// those that were asked for.
func TestDiffManifests(t *testing.T) {
	t.Parallel()
	const flip = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flip, namespace: infra-production}\ndata: {v: \"3\", w: \"4\"}\n"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "flip.yaml"), []byte(flip), 0o600))
	differ := func(path string, opts lifeboat.DiffOptions) (list []string) {
		b := open(t, harbour, lifeboat.Options{Stdin: bytes.NewReader([]byte(flip))})
		diff, err := b.DiffManifests(t.Context(), 0, path, opts)
		require.NoError(t, err)
		for _, d := range diff.Items {
			list = append(list, fmt.Sprintf("%s %s/%s %v", d.Event, d.Key.Resource(), d.Key.Name, d.Fields))
		}
		return list
	}
	for _, path := range []string{dir, "-"} {
		all := differ(path, lifeboat.DiffOptions{})
		require.Contains(t, all, "updated configmaps/flip [data.w: 3 -> 4]")
		for _, line := range all {
			require.Contains(t, line, " configmaps/", "no other kind was given")
		}
		require.Greater(t, len(differ(path, lifeboat.DiffOptions{Namespace: "infra-production"})), len(all))
		for _, line := range differ(path, lifeboat.DiffOptions{Words: "deploy", Namespace: "infra-production"}) {
			require.Contains(t, line, "deleted deployments.apps/", "it was asked for")
		}
	}
	_, err := open(t, harbour, lifeboat.Options{}).DiffManifests(t.Context(), 0, t.TempDir(), lifeboat.DiffOptions{})
	require.ErrorContains(t, err, "there is no object in")
}
