package etcdproc_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// What the fixture holds (testdata/harbour/hashkv.json and README.md).
const (
	harbourRevision = 1485
	harbourKeys     = 621
)

// harbour unpacks the fixture's etcd snapshot and returns its path.
func harbour(t *testing.T) string {
	t.Helper()
	f, err := os.Open("../../testdata/harbour/kube-backup.tar.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		require.NoError(t, err, "the fixture holds a snapshot")
		if path.Base(h.Name) != "etcd-backup.snapshot" {
			continue
		}
		out := filepath.Join(t.TempDir(), "db")
		w, err := os.Create(out)
		require.NoError(t, err)
		_, err = io.Copy(w, r)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return out
	}
}

// bare cuts the trailer off a snapshot, which makes it a database that bbolt
// can write to.
func bare(t *testing.T, file string) string {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(file, info.Size()-info.Size()%512))
	return file
}

// change writes to a database.
func change(t *testing.T, file string, do func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(file, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(do))
	require.NoError(t, db.Close())
}

// put adds a change of a key at a revision, as etcd stores it.
func put(tx *bolt.Tx, rev int64, kv *mvccpb.KeyValue) error {
	kv.CreateRevision, kv.ModRevision, kv.Version = rev, rev, 1
	value, err := proto.Marshal(kv)
	if err != nil {
		return err
	}
	key := binary.BigEndian.AppendUint64(nil, uint64(rev))
	key = append(key, '_')
	return tx.Bucket([]byte("key")).Put(binary.BigEndian.AppendUint64(key, 0), value)
}

// record is a KeyValue that can be compared.
type record struct {
	Key, Value                  string
	Create, Mod, Version, Lease int64
}

func recordOf(kv snapshot.KeyValue) record {
	return record{
		string(kv.Key), string(kv.Value),
		kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease,
	}
}

// direct reads what is alive at rev straight out of the file, by etcd's own
// rule and nothing else: the newest change up to rev counts, a tombstone ends
// a key.
func direct(t *testing.T, file string, rev int64) map[string]record {
	t.Helper()
	db, err := bolt.Open(file, 0o400, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	alive := map[string]record{}
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("key")).ForEach(func(k, v []byte) error {
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(v, &kv); err != nil {
				return err
			}
			switch {
			case int64(binary.BigEndian.Uint64(k)) > rev:
			case len(k) == 18:
				delete(alive, string(kv.Key))
			default:
				alive[string(kv.Key)] = record{
					string(kv.Key), string(kv.Value),
					kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease,
				}
			}
			return nil
		})
	}))
	return alive
}

// read collects what the engine yields, and sees to the order of the keys.
func read(t *testing.T, r snapshot.Reader, rev int64, match func([]byte) bool) map[string]record {
	t.Helper()
	got, last := map[string]record{}, ""
	for kv, err := range r.At(t.Context(), rev, match) {
		require.NoError(t, err)
		require.Less(t, last, string(kv.Key), "keys come in order, each once")
		last = string(kv.Key)
		got[last] = recordOf(kv)
	}
	return got
}

// readError is the error with which At ends.
func readError(t *testing.T, r snapshot.Reader, rev int64) error {
	t.Helper()
	var last error
	for _, err := range r.At(t.Context(), rev, nil) {
		require.NoError(t, last, "an error ends the iteration")
		last = err
	}
	return last
}

// boot starts etcd on a file; start does so in a folder of its own, for as
// long as the test runs.
func boot(t *testing.T, file, dir string) (*etcdproc.Proc, error) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	return etcdproc.Start(t.Context(), f, etcdproc.Options{Dir: dir})
}

func start(t *testing.T, file string) *etcdproc.Proc {
	t.Helper()
	p, err := boot(t, file, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// digest is what must not change of a source.
func digest(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	info, err := os.Stat(file)
	require.NoError(t, err)
	return fmt.Sprintf("%x %s %d %s", sha256.Sum256(data), info.ModTime(), info.Size(), info.Mode())
}

func TestReadsHarbour(t *testing.T) {
	t.Parallel()
	file := harbour(t)
	before := digest(t, file)
	p := start(t, file)

	require.EqualValues(t, harbourRevision, p.Revision(), "restoring does not bump the revision")
	want := direct(t, file, harbourRevision)
	require.Len(t, want, harbourKeys)
	require.Equal(t, want, read(t, p, 0, nil))
	require.Equal(t, before, digest(t, file), "the source stays as it is")
}

func TestReadsEveryRevision(t *testing.T) {
	t.Parallel()
	file := harbour(t)
	p := start(t, file)
	for rev := int64(1); rev <= harbourRevision; rev += 53 {
		require.Equal(t, direct(t, file, rev), read(t, p, rev, nil), "revision %d", rev)
	}
}

func TestReadsWhatMatches(t *testing.T) {
	t.Parallel()
	file := harbour(t)
	p := start(t, file)
	n := 0
	for name, match := range map[string]func(key []byte) bool{
		"one namespace": func(key []byte) bool { return bytes.Contains(key, []byte("/infra-production/")) },
		"every other":   func([]byte) bool { n++; return n%2 == 0 },
		"one in 30":     func([]byte) bool { n++; return n%30 == 0 },
		"all but one":   func(key []byte) bool { return !bytes.HasSuffix(key, []byte("/infra-production")) },
		"none":          func([]byte) bool { return false },
	} {
		want, all := map[string]record{}, direct(t, file, harbourRevision)
		asked := map[string]bool{}
		got := read(t, p, 0, func(key []byte) bool {
			asked[string(key)] = match(key)
			return asked[string(key)]
		})
		for key, kv := range all {
			take, ok := asked[key]
			require.True(t, ok, "%s: %q was not asked for", name, key)
			if take {
				want[key] = kv
			}
		}
		require.Equal(t, want, got, name)
	}
}

// Both engines are one to their users.
func TestAgreesWithDirectReader(t *testing.T) {
	t.Parallel()
	file := harbour(t)
	p := start(t, file)
	db, err := snapshot.Open(t.Context(), file)
	require.NoError(t, err)
	defer db.Close()

	require.Equal(t, db.Revision(), p.Revision())
	for _, rev := range []int64{1, 700, 0} {
		want := map[string]record{}
		for kv, err := range db.At(t.Context(), rev, nil) {
			require.NoError(t, err)
			want[string(kv.Key)] = recordOf(kv)
		}
		require.Equal(t, want, read(t, p, rev, nil))
	}
	for _, rev := range []int64{-1, harbourRevision + 1, math.MaxInt64} {
		want := readError(t, db, rev)
		require.Error(t, want)
		require.EqualError(t, readError(t, p, rev), want.Error())
	}
	require.ErrorIs(t, readError(t, p, harbourRevision+1), snapshot.ErrFutureRevision)
}

func TestCompacted(t *testing.T) {
	t.Parallel()
	for _, done := range []string{"finishedCompactRev", "scheduledCompactRev"} {
		file := bare(t, harbour(t))
		change(t, file, func(tx *bolt.Tx) error {
			rev := append(binary.BigEndian.AppendUint64(nil, 1000), "_\x00\x00\x00\x00\x00\x00\x00\x00"...)
			return tx.Bucket([]byte("meta")).Put([]byte(done), rev)
		})
		p := start(t, file)
		db, err := snapshot.Open(t.Context(), file)
		require.NoError(t, err)
		defer db.Close()

		err = readError(t, p, 999)
		require.ErrorIs(t, err, snapshot.ErrCompacted, done)
		require.EqualError(t, err, readError(t, db, 999).Error(), done)
		require.Equal(t, direct(t, file, 1000), read(t, p, 1000, nil), done)
		require.ErrorContains(t, readError(t, p, -1), "revision -1 is negative", "etcd would take it for the newest")
		require.Equal(t, direct(t, file, harbourRevision), read(t, p, 0, nil), done)
	}
}

// Small records first, so that etcd's answers grow to many records each, then
// values that make such an answer larger than gRPC takes by itself.
func TestLargeValues(t *testing.T) {
	t.Parallel()
	file := bare(t, harbour(t))
	change(t, file, func(tx *bolt.Tx) error {
		for i := range int64(3000) {
			size := 10
			switch {
			case i > 2990:
				size = 5 << 20
			case i > 2980:
				size = 3 << 19
			}
			kv := &mvccpb.KeyValue{
				Key:   fmt.Appendf(nil, "/registry/zzz/%04d", i),
				Value: bytes.Repeat([]byte{byte(i)}, size),
			}
			if err := put(tx, harbourRevision+1+i, kv); err != nil {
				return err
			}
		}
		return nil
	})
	p := start(t, file)
	sizes, err := p.Runs(t.Context(), nil)
	require.NoError(t, err)
	sum := 0
	for _, n := range sizes {
		require.LessOrEqual(t, n, etcdproc.RunKeys, "an answer is bounded")
		sum += n
	}
	require.Equal(t, harbourKeys+3000, sum)
	require.True(t, mapsEqual(direct(t, file, p.Revision()), read(t, p, 0, nil)))
}

// mapsEqual spares a failing test from printing megabytes.
func mapsEqual(a, b map[string]record) bool {
	for key := range a {
		if a[key] != b[key] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestStopsWhenAsked(t *testing.T) {
	t.Parallel()
	p := start(t, harbour(t))
	n := 0
	for _, err := range p.At(t.Context(), 0, nil) {
		require.NoError(t, err)
		if n++; n == 5 {
			break
		}
	}
	require.Equal(t, 5, n)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range p.At(ctx, 0, nil) {
		cancel()
		last = err
	}
	require.ErrorIs(t, last, context.Canceled)
	require.Len(t, read(t, p, 0, nil), harbourKeys, "one reading's end is not the other's")
}

func TestReadsFileWithoutName(t *testing.T) {
	t.Parallel()
	file := harbour(t)
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Remove(file))
	_, err = f.Seek(77, io.SeekStart)
	require.NoError(t, err)

	p, err := etcdproc.Start(t.Context(), f, etcdproc.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	defer p.Close()
	require.Len(t, read(t, p, 0, nil), harbourKeys)
}

// A socket's name may have 107 bytes; a folder's may have more.
func TestLongFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long name, ", 20), strings.Repeat("ü", 100))
	require.NoError(t, os.MkdirAll(dir, 0o700))
	p, err := boot(t, harbour(t), dir)
	require.NoError(t, err)
	require.Len(t, read(t, p, 0, nil), harbourKeys)
	require.NoError(t, p.Close())
	require.NoError(t, os.Remove(dir), "nothing is left")
}

func TestNoFolder(t *testing.T) {
	t.Parallel()
	file := harbour(t)
	_, err := boot(t, file, "")
	require.ErrorContains(t, err, "no folder given")
	_, err = boot(t, file, filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
