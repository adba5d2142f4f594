package datadir_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// busy writes without a pause: puts of some pages, deletions, and compactions
// that free pages for them.
func busy(ctx context.Context, c *clientv3.Client) error {
	for n := 1; ; n++ {
		key, value := busyPut(n)
		if _, err := c.Put(ctx, key, value); err != nil {
			return err
		}
		switch {
		case n%7 == 0:
			if _, err := c.Delete(ctx, key); err != nil {
				return err
			}
		case n%100 == 0:
			got, err := c.Get(ctx, "/k/0")
			if err != nil {
				return err
			}
			if _, err := c.Compact(ctx, got.Header.Revision-20); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
				return err
			}
		}
	}
}

func busyPut(n int) (key, value string) {
	return fmt.Sprintf("/k/%03d", n%300), fmt.Sprint(n, strings.Repeat("v", 3000))
}

// written is what busy, the only writer, has brought about at a revision. The
// server itself has forgotten that soon.
func written(rev int64) map[string]string {
	last := map[int]int{} // put, by key
	for n, at := 1, int64(1); at < rev; n++ {
		last[n%300] = n
		if at++; n%7 == 0 && at < rev {
			delete(last, n%300)
			at++
		}
	}
	state := map[string]string{}
	for _, n := range last {
		key, value := busyPut(n)
		state[key] = value
	}
	return state
}

// A copy of a member's folder, made while it works (cp -r), is a state of the
// cluster or refused: nothing between.
func TestHotCopies(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "one")
	cfg := etcdConfig("one", dir, loopback(t))
	cfg.SnapshotCount = 200
	cfg.BackendBatchInterval = 5 * time.Millisecond
	client := ready(t, start(t, cfg).Server)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- busy(ctx, client) }()
	defer func() { cancel(); <-ended }() //nolint:errcheck // it ends by being cancelled

	copies := 3
	if soak > 1 {
		copies = 25 * soak // 500 in `make soak`
	}
	accepted, refused := 0, 0
	for n := range copies {
		time.Sleep(time.Duration(n%5) * 20 * time.Millisecond)
		to := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			continue // a file went while it was copied: cp says so, too
		}
		got, rev, err := stateOf(t, to)
		require.NoError(t, os.RemoveAll(to))
		if err != nil {
			t.Logf("refused: %v", err)
			refused++
			continue
		}
		require.Equal(t, written(rev), got, "copy %d at revision %d", n, rev)
		accepted++
	}
	t.Logf("%d copies: %d are the cluster's state, %d refused", copies, accepted, refused)
	require.Positive(t, accepted+refused, "copies were looked at")
}

// stateOf is the newest state that a copied dir gives.
func stateOf(t *testing.T, path string) (map[string]string, int64, error) {
	t.Helper()
	d, err := datadir.Open(path)
	if err != nil {
		return nil, 0, err
	}
	r, err := d.Replay(t.Context(), datadir.ReplayOptions{})
	if err != nil {
		return nil, 0, err
	}
	defer r.File.Close()
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", r.File.Fd()))
	if err != nil {
		return nil, 0, err
	}
	db, err := snapshot.OpenFile(t.Context(), file) // as all do who go on with it
	if err != nil {
		return nil, 0, err
	}
	defer db.Close()
	return keys(t, db), r.Revision, nil
}
