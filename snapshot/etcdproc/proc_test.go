package etcdproc_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// harbourRevision is the newest revision of the fixture (testdata/harbour/hashkv.json).
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

// record is a KeyValue that can be compared.
type record struct {
	Key, Value                  string
	Create, Mod, Version, Lease int64
}

func recordOf(kv snapshot.KeyValue) record {
	return record{string(kv.Key), string(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease}
}

// direct reads what is alive at rev straight out of the file, by etcd's own
// rule and nothing else: the newest revision up to rev counts, tombstones end
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
				alive[string(kv.Key)] = record{string(kv.Key), string(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease}
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

// start boots etcd on a file in a folder of its own.
func start(t *testing.T, file string) *etcdproc.Proc {
	t.Helper()
	p, err := boot(t, file, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func boot(t *testing.T, file, dir string) (*etcdproc.Proc, error) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	return etcdproc.Start(t.Context(), f, etcdproc.Options{Dir: dir})
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

	require.EqualValues(t, harbourRevision, p.Revision())
	want := direct(t, file, harbourRevision)
	require.Len(t, want, harbourKeys)
	require.Equal(t, want, read(t, p, 0, nil))
	require.Equal(t, before, digest(t, file), "the source stays as it is")
}
