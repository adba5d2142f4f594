package lifeboat_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// counting is a place that counts the archives that are opened.
type counting struct {
	place.Store
	opened atomic.Int64
}

func (c *counting) Open(ctx context.Context, e place.Entry) (place.File, error) {
	c.opened.Add(1)
	return c.Store.Open(ctx, e)
}

// many is a place with more archives than are asked anew without a cache.
func many(t *testing.T) (f *fleet, archives int) {
	t.Helper()
	f = newFleet(t, 1, 2)
	for i := range 68 {
		require.NoError(t, os.Link(f.path(f.names[0]), filepath.Join(f.dir, fmt.Sprintf("n%02d.tar.gz.age", i))))
	}
	return f, 70
}

// cached lists a place by its cache, and says how many archives were opened.
func (f *fleet) cached(t *testing.T, opts lifeboat.Options) ([]lifeboat.Listing, int) {
	t.Helper()
	store := &counting{Store: f.store(t)}
	list, err := lifeboat.CachedCatalog(t.Context(), store, opts)
	require.NoError(t, err)
	fresh, err := lifeboat.Catalog(t.Context(), f.store(t), opts)
	require.NoError(t, err)
	require.Equal(t, fresh, list, "a cache tells what the archives tell")
	return list, int(store.opened.Load())
}

func (f *fleet) cache(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(f.dir, ".lifeboat/catalog/*"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

// What an archive told is not asked again, unless it is another one now. The
// cache may go at any time, and shows nothing to who has no key.
func TestCatalogCache(t *testing.T) {
	t.Parallel()
	f, archives := many(t)
	opts := lifeboat.Options{Identities: []string{f.key}}
	_, opened := f.cached(t, opts)
	require.Equal(t, archives, opened)
	_, opened = f.cached(t, opts)
	require.Zero(t, opened)
	sealed, err := os.ReadFile(f.cache(t))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), clusterUID(0))
	require.NotContains(t, string(sealed), "n00.tar")

	f.pack(t, clusterUID(1), 5, f.team, f.names[1]) // another one under its name
	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Remove(f.path("n07.tar.gz.age")))
	data, err := os.ReadFile(f.path(f.names[0]))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.path("n07.tar.gz.age"), data, 0o600))
	require.NoError(t, os.Chtimes(f.path("n07.tar.gz.age"), later, later)) // the same, as far as anybody knows
	list, opened := f.cached(t, opts)
	require.Equal(t, 2, opened)
	require.Equal(t, clusterUID(1), list[1].Cluster)

	require.NoError(t, os.RemoveAll(filepath.Join(f.dir, ".lifeboat")))
	_, opened = f.cached(t, opts)
	require.Equal(t, archives, opened)

	// By signatures nothing is cached: each is checked each time.
	require.NoError(t, os.RemoveAll(filepath.Join(f.dir, ".lifeboat")))
	_, _ = f.cached(t, f.options())
	require.NoDirExists(t, filepath.Join(f.dir, ".lifeboat"))
}

// Who writes to the place can make its cache useless, and nothing worse.
func TestHostileCache(t *testing.T) {
	t.Parallel()
	f, archives := many(t)
	opts := lifeboat.Options{Identities: []string{f.key}}
	_, _ = f.cached(t, opts)
	path := f.cache(t)
	good, err := os.ReadFile(path)
	require.NoError(t, err)

	other, _ := many(t) // tells other things of the same names, under another key
	_, _ = other.cached(t, lifeboat.Options{Identities: []string{other.key}})
	foreign, err := os.ReadFile(other.cache(t))
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"empty": {}, "short": good[:10], "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"another key's": foreign, "plain": []byte(`[{"name":"n00.tar.gz.age","revision":1}]`),
		"bit": append(append(bytes.Clone(good[:40]), good[40]^1), good[41:]...),
	} {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, opened := f.cached(t, opts)
		require.Equal(t, archives, opened, name)
	}

	// Links lead nowhere.
	outside := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(outside, []byte("precious"), 0o600))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink(outside, path))
	_, _ = f.cached(t, opts)
	require.NoError(t, os.RemoveAll(filepath.Join(f.dir, ".lifeboat")))
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(f.dir, ".lifeboat")))
	_, opened := f.cached(t, opts)
	require.Equal(t, archives, opened)
	left, err := os.ReadDir(filepath.Dir(outside))
	require.NoError(t, err)
	require.Len(t, left, 1)
	kept, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "precious", string(kept))
}

// A place that is read-only is listed and stays as it is.
func TestCatalogOfReadOnlyPlace(t *testing.T) {
	t.Parallel()
	f, archives := many(t)
	require.NoError(t, os.Chmod(f.dir, 0o500))
	t.Cleanup(func() { _ = os.Chmod(f.dir, 0o700) }) // so that it can be removed
	_, opened := f.cached(t, lifeboat.Options{Identities: []string{f.key}})
	require.Equal(t, archives, opened)
	require.NoDirExists(t, filepath.Join(f.dir, ".lifeboat"))
}

// With both keys the signature tells, and the archive what it does not; where they
// contradict each other, nobody does.
func TestCatalogByBoth(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 2)
	list, err := lifeboat.Catalog(t.Context(), f.store(t), f.options())
	require.NoError(t, err)
	require.Equal(t, lifeboat.ToldBySignature, list[0].Told)
	require.NotEmpty(t, list[0].Etcd)
	data, err := os.ReadFile(f.path(f.names[0]))
	require.NoError(t, err)
	f.put(t, f.names[0], data, fmt.Sprintf("lifeboat archive cluster=%s revision=9999 time=2026-11-01T02:00:00Z", clusterUID(0)))
	list, err = lifeboat.Catalog(t.Context(), f.store(t), f.options())
	require.NoError(t, err)
	require.Equal(t, lifeboat.ToldByNobody, list[0].Told)
	require.Contains(t, list[0].Problem, "its signature tells of revision 9999")
	require.Equal(t, lifeboat.ToldBySignature, list[1].Told)
	stranger := lifeboat.Options{PubKey: newFleet(t, 1, 0).pubkey}
	list, err = lifeboat.Catalog(t.Context(), f.store(t), stranger)
	require.NoError(t, err)
	require.Equal(t, 2, lifeboat.Unread(list))
	require.NotEmpty(t, list[0].Problem, "another key has signed it")
}

// Holdings name the nights of a cluster that are missing.
func TestHoldings(t *testing.T) {
	t.Parallel()
	night := func(n int) time.Time { return time.Date(2026, 11, n, 2, 0, 0, 0, time.UTC) }
	var list []lifeboat.Listing
	for n := 1; n <= 12; n++ {
		l := lifeboat.Listing{Cluster: "b", Time: night(n), Told: lifeboat.ToldBySignature}
		switch n {
		case 7, 8:
			l.Cluster = "a" // what is missing of one is not filled by another
		case 10:
			l.Told = lifeboat.ToldByNobody
		}
		list = append(list, l)
	}
	require.Equal(t, []lifeboat.Holding{
		{Cluster: "a", Archives: 2, Oldest: night(7), Newest: night(8), Gaps: []place.Gap{}},
		{Cluster: "b", Archives: 9, Oldest: night(1), Newest: night(12), Every: 86400, Gaps: []place.Gap{{From: night(6), To: night(9), Missing: 2}, {From: night(9), To: night(11), Missing: 1}}},
	}, lifeboat.Holdings(list))
	require.Equal(t, "24h", lifeboat.Holdings(list)[1].Pace())
}
