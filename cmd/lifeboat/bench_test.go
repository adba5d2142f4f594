package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	etcdsnapshot "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// contender is one row of the table: what it does, and to which row it is
// compared.
type contender struct {
	name   string
	rounds int
	before func() error // not timed; nil for nothing
	do     func() error
	versus string
}

// BenchmarkSideBySide runs whole commands on a generated database beside the
// floor of the memory and beside the peers, in turn and in one process, and
// prints the medians with their ratios. LIFEBOAT_BENCH_KEYS sets the number of
// live keys (100000, about 0.2 GB). Times are wall time with the page cache warm.
func BenchmarkSideBySide(b *testing.B) {
	keys := 100_000
	if text := os.Getenv("LIFEBOAT_BENCH_KEYS"); text != "" {
		var err error
		keys, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	db := filepath.Join(b.TempDir(), "db")
	summary, err := snapshottest.Generate(db, snapshottest.Spec{Keys: keys})
	require.NoError(b, err)
	info, err := os.Stat(db)
	require.NoError(b, err)

	contenders := []contender{
		{name: "floor: touch every cache line", rounds: 5, do: func() error { return touchKeys(db) }},
		{name: "extract -n infra-production", rounds: 5, do: command("extract", db, "-n", "infra-production", "--to", "-"), versus: "floor: touch every cache line"},
		{name: "extract, --engine etcd", rounds: 1, do: command("extract", db, "-n", "infra-production", "--to", "-", "--engine", "etcd"), versus: "extract -n infra-production"},
		{name: "get pods -A", rounds: 3, do: command("get", db, "pods", "-A"), versus: "floor: touch every cache line"},
		{name: "history of one object", rounds: 3, do: command("history", db, "deploy/web-1018"), versus: "floor: touch every cache line"},
		{name: "diff with itself: two passes", rounds: 3, do: command("diff", db, db), versus: "floor: touch every cache line"},
		{name: "etcdutl snapshot status", rounds: 3, do: func() error {
			_, err := etcdsnapshot.NewV3(zap.NewNop()).Status(db)
			return err
		}},
		{name: "inspect", rounds: 3, do: command("inspect", db), versus: "etcdutl snapshot status"},
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\n%d live keys, %d records, %s, %d namespaces; %s, GOMAXPROCS %d\n",
		summary.Live, summary.Records, humanize.Bytes(uint64(info.Size())), len(summary.Namespaces), runtime.Version(), runtime.GOMAXPROCS(0))
	fmt.Fprintf(&table, "%-32s %10s %10s   %s\n", "", "median", "peak heap", "ratio")
	for b.Loop() {
		medians := race(b, contenders)
		for _, c := range contenders {
			ratio := ""
			if c.versus != "" {
				ratio = fmt.Sprintf("%.2f x %s", float64(medians[c.name])/float64(medians[c.versus]), c.versus)
			}
			fmt.Fprintf(&table, "%-32s %10s %10s   %s\n", c.name, medians[c.name].Round(time.Millisecond), humanize.Bytes(peakHeap(b, c.do)), ratio)
		}
	}
	fmt.Println(table.String())
}

// race runs the contenders in turn, so that a slow minute of the machine hits
// all of them, and returns the medians.
func race(b *testing.B, contenders []contender) map[string]time.Duration {
	times := map[string][]time.Duration{}
	for round := range 6 { // the first warms the cache and does not count
		for _, c := range contenders {
			if round > c.rounds {
				continue
			}
			if c.before != nil {
				require.NoError(b, c.before(), c.name)
			}
			start := time.Now()
			require.NoError(b, c.do(), c.name)
			if round > 0 || c.rounds == 1 {
				times[c.name] = append(times[c.name], time.Since(start))
			}
		}
	}
	medians := map[string]time.Duration{}
	for name, t := range times {
		slices.Sort(t)
		medians[name] = t[len(t)/2]
	}
	return medians
}

// command runs the program in this process and throws its output away.
func command(args ...string) func() error {
	return func() error {
		var stderr bytes.Buffer
		if code := run(context.Background(), append([]string{"lifeboat"}, args...), strings.NewReader(""), io.Discard, &stderr); code != console.ExitDone {
			return fmt.Errorf("exit %d: %s", code, stderr.String())
		}
		return nil
	}
}

// touchKeys is the floor: whoever reads the key bucket has to bring each of
// its cache lines from memory once.
func touchKeys(path string) error {
	const cacheLine = 64
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		sum := byte(0)
		for c, k, v := keyCursor(tx); k != nil; k, v = c.Next() {
			for i := 0; i < len(v); i += cacheLine {
				sum ^= v[i]
			}
		}
		runtime.KeepAlive(sum)
		return nil
	})
}

func keyCursor(tx *bolt.Tx) (c *bolt.Cursor, k, v []byte) {
	c = tx.Bucket([]byte("key")).Cursor()
	k, v = c.First()
	return c, k, v
}

// peakHeap runs do once more and samples the live and not yet swept heap.
func peakHeap(b *testing.B, do func() error) uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	before, peak := sample[0].Value.Uint64(), uint64(0)
	done, sampled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				metrics.Read(sample)
				peak = max(peak, sample[0].Value.Uint64())
			}
		}
	}()
	require.NoError(b, do())
	close(done)
	<-sampled
	return max(peak, before) - before
}
