package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/stretchr/testify/require"
	etcdsnapshot "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// Rows that others are compared to.
const (
	rowFloor   = "floor: copy, fsync, sha256"
	rowRestore = "etcdutl snapshot restore"
	rowStock   = "age -d | tar -xz; etcdutl restore"
	rowStatus  = "etcdutl snapshot status"
	rowHash    = "etcdutl hashkv"
	rowDefrag  = "etcdutl defrag"
)

// BenchmarkEtcd runs the etcd commands beside what etcdutl runs for them, in
// turn and in one process. LIFEBOAT_BENCH_KEYS as for BenchmarkSideBySide. The
// processor time is of one more round, all cores and the children, and moves
// less on a machine that has other things to do. The last column is the heap of
// the children, in which etcd's code works.
func BenchmarkEtcd(b *testing.B) {
	keys := 100_000
	if text := os.Getenv("LIFEBOAT_BENCH_KEYS"); text != "" {
		var err error
		keys, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	s := newScene(b)
	require.NoError(b, os.Remove(s.snapshot))
	summary, err := snapshottest.Generate(s.snapshot, snapshottest.Spec{Keys: keys, Trailer: true})
	require.NoError(b, err)
	contenders := etcdContenders(b, s, summary.Revision-1000)
	var table strings.Builder
	fmt.Fprintf(&table, "\n%d live keys, %d records, snapshot %s; %s, GOMAXPROCS %d\n",
		summary.Live, summary.Records, sizeOf(b, s.snapshot), runtime.Version(), runtime.GOMAXPROCS(0))
	fmt.Fprintf(&table, "%-34s %9s %9s %9s %9s   %s\n", "", "median", "cpu", "heap", "child's", "ratio")
	for b.Loop() {
		medians := race(b, contenders)
		for _, c := range contenders {
			ratio := ""
			if c.versus != "" {
				ratio = fmt.Sprintf("%.2f x %s", float64(medians[c.name])/float64(medians[c.versus]), c.versus)
			}
			if c.versus == rowRestore {
				ratio += fmt.Sprintf(", %.2f x the floor", float64(medians[c.name])/float64(medians[rowFloor]))
			}
			before := processorTime()
			own, child := peakHeaps(b, c)
			fmt.Fprintf(&table, "%-34s %9s %9s %9s %9s   %s\n", c.name, medians[c.name].Round(time.Millisecond),
				(processorTime() - before).Round(time.Millisecond), humanize.Bytes(own), humanize.Bytes(child), ratio)
		}
	}
	fmt.Println(table.String())
}

// etcdContenders restore, among others, to a revision that is not the newest.
func etcdContenders(b *testing.B, s *scene, rev int64) []contender {
	out := filepath.Join(s.dir, "out")
	clear := func() error { return os.RemoveAll(out) }
	archived := filepath.Join(s.dir, "archive.age")
	require.NoError(b, command("archive", "create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient, "--no-verify", "--to", archived)())
	bare := filepath.Join(s.dir, "bare.db") // without the trailer, as hashkv and defrag want it; they write to it
	require.NoError(b, copySync(s.snapshot, bare))
	require.NoError(b, os.Truncate(bare, sizeInBytes(b, s.snapshot)-sha256.Size))
	mine := filepath.Join(s.dir, "mine.db")
	require.NoError(b, copySync(bare, mine))
	restore := func(src string, more ...string) func() error {
		return command(append([]string{
			"etcd", "restore", src, "--to", out, "--name", "one", "--initial-cluster", "one=http://127.0.0.1:1", "-i", s.identity,
		}, more...)...)
	}
	archive := contender{name: "etcd restore of .tar.gz.age", rounds: 3, before: clear, do: restore(archived, "--no-boot-check")}
	var stocks []contender
	if stock() {
		stocks = []contender{{name: rowStock, rounds: 3, before: clear, do: func() error { return stockRestore(s, archived, out) }}}
		archive.versus = rowStock
	}
	return append(append(stocks, archive), []contender{
		{name: rowFloor, rounds: 5, before: clear, do: func() error { return copyHashSync(s.snapshot, out) }},
		{name: rowRestore, rounds: 5, before: clear, do: func() error { return etcdutlRestore(s.snapshot, out) }},
		{name: "etcd restore --no-boot-check", rounds: 5, before: clear, do: restore(s.snapshot, "--no-boot-check"), versus: rowRestore},
		{name: "etcd restore --rev N", rounds: 5, before: clear, do: restore(s.snapshot, "--no-boot-check", "--rev", strconv.FormatInt(rev, 10)), versus: "etcd restore --no-boot-check"},
		{name: "etcd restore", rounds: 3, before: clear, do: restore(s.snapshot), versus: rowRestore},
		{name: rowStatus, rounds: 3, do: func() error {
			_, err := etcdsnapshot.NewV3(zap.NewNop()).Status(s.snapshot)
			return err
		}},
		{name: "etcd status", rounds: 5, do: command("etcd", "status", s.snapshot), versus: rowStatus},
		{name: rowHash, rounds: 3, do: func() error { return etcdutlHash(bare) }},
		{name: "etcd hash, database", rounds: 5, do: command("etcd", "hash", mine), versus: rowHash},
		{name: "etcd hash, snapshot with sha256", rounds: 5, do: command("etcd", "hash", s.snapshot), versus: rowHash},
		{name: rowDefrag, rounds: 3, do: func() error { return etcdutlDefrag(bare) }},
		{name: "etcd repair --defrag", rounds: 3, before: clear, do: command("etcd", "repair", mine, "--to", out, "--defrag"), versus: rowDefrag},
	}...)
}

// copyHashSync is the floor of a restore: one copy, one sync, and the sum of
// what flows by, on the other core.
func copyHashSync(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	r, w := io.Pipe()
	hashed := make(chan error)
	go func() {
		_, err := io.CopyBuffer(sha256.New(), r, make([]byte, 1<<20))
		hashed <- err
	}()
	_, err = io.CopyBuffer(io.MultiWriter(out, w), struct{ io.Reader }{in}, make([]byte, 1<<20))
	w.Close()
	return errors.Join(err, <-hashed, out.Sync())
}

func etcdutlRestore(from, to string) error {
	return etcdsnapshot.NewV3(zap.NewNop()).Restore(etcdsnapshot.RestoreConfig{
		SnapshotPath: from, Name: "one", OutputDataDir: to, PeerURLs: []string{"http://127.0.0.1:1"},
		InitialCluster: "one=http://127.0.0.1:1", InitialClusterToken: "token", RevisionBump: 1e9, MarkCompacted: true,
	})
}

// stockRestore is `age -d | tar -xz`, and etcdutl's restore of what came out.
func stockRestore(s *scene, archived, to string) error {
	dir := filepath.Join(s.dir, "unpacked")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	unpack := exec.Command("sh", "-c", `age -d -i "$0" "$1" | tar -xz -C "$2"`, s.identity, archived, dir)
	if err := unpack.Run(); err != nil {
		return err
	}
	return errors.Join(etcdutlRestore(filepath.Join(dir, "etcd-backup.snapshot"), to), os.RemoveAll(dir))
}

// etcdutlHash is calculateHashKV of etcdutl/etcdutl/hashkv_command.go.
func etcdutlHash(path string) error {
	be := backend.NewDefaultBackend(zap.NewNop(), path)
	defer be.Close()
	store := mvcc.NewStore(zap.NewNop(), be, &lease.FakeLessor{}, mvcc.StoreConfig{})
	defer store.Close()
	_, _, err := mvcc.NewHashStorage(zap.NewNop(), store).HashByRev(0)
	return err
}

// etcdutlDefrag is DefragData of etcdutl/etcdutl/defrag_command.go.
func etcdutlDefrag(path string) error {
	be := backend.NewDefaultBackend(zap.NewNop(), path)
	return errors.Join(be.Defrag(), be.Close())
}

// processorTime is what this process and the children that ended have used.
func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var r unix.Rusage
		if unix.Getrusage(who, &r) == nil {
			sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	return sum
}

func sizeInBytes(b *testing.B, path string) int64 {
	info, err := os.Stat(path)
	require.NoError(b, err)
	return info.Size()
}

// childHeapEnv names the file in which a child says how large its heap was.
const childHeapEnv = "LIFEBOAT_BENCH_CHILD_HEAP"

// peakHeaps is peakHeap, and the same of the largest child.
func peakHeaps(b *testing.B, c contender) (own, child uint64) {
	dir := b.TempDir()
	b.Setenv(childHeapEnv, dir)
	if c.before != nil {
		require.NoError(b, c.before())
	}
	own = peakHeap(b, c.do)
	files, err := os.ReadDir(dir)
	require.NoError(b, err)
	for _, file := range files {
		if filepath.Ext(file.Name()) != ".peak" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		require.NoError(b, err)
		heap, err := strconv.ParseUint(string(text), 10, 64)
		require.NoError(b, err)
		child = max(child, heap)
	}
	return own, child
}

// sayChildHeap has a child of a benchmark write down the peak of its heap as it
// grows: it does not end in a way that would let it do so last.
func sayChildHeap() {
	dir := os.Getenv(childHeapEnv)
	if dir == "" {
		return
	}
	path := filepath.Join(dir, strconv.Itoa(os.Getpid()))
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	go func() {
		for peak := uint64(0); ; time.Sleep(time.Millisecond) {
			if metrics.Read(sample); sample[0].Value.Uint64() > peak {
				peak = sample[0].Value.Uint64()
				if os.WriteFile(path, strconv.AppendUint(nil, peak, 10), 0o600) == nil { // it may be killed between the two
					_ = os.Rename(path, path+".peak")
				}
			}
		}
	}()
}
