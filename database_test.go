package lifeboat_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// edited is the fixture's database, without its trailer, changed by edit.
func edited(t *testing.T, edit func(tx *bolt.Tx) error) string {
	t.Helper()
	path := snapshotFile(t)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, info.Size()-snapshot.TrailerSize))
	change(t, path, edit)
	return path
}

func change(t *testing.T, path string, edit func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true})
	require.NoError(t, err)
	require.NoError(t, errors.Join(db.Update(edit), db.Close()))
}

// valueOf changes the newest value of a key.
func valueOf(key string, change func(value []byte) []byte) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		records := tx.Bucket([]byte("key"))
		c := records.Cursor()
		for at, record := c.Last(); at != nil; at, record = c.Prev() {
			kv := &mvccpb.KeyValue{}
			if err := proto.Unmarshal(record, kv); err != nil {
				return err
			}
			if string(kv.Key) == key {
				kv.Value = change(kv.Value)
				data, err := proto.Marshal(kv)
				return errors.Join(err, records.Put(bytes.Clone(at), data))
			}
		}
		return errors.New("there is no such key")
	}
}

// deletion deletes a key at the next revision.
func deletion(key string) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		records := tx.Bucket([]byte("key"))
		last, _ := records.Cursor().Last()
		at := append(binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(last)+1), '_')
		data, err := proto.Marshal(&mvccpb.KeyValue{Key: []byte(key)})
		return errors.Join(err, records.Put(append(at, "\x00\x00\x00\x00\x00\x00\x00\x00t"...), data))
	}
}

// compacted drops what a compaction at a revision drops.
func compacted(rev int64) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		records, meta := tx.Bucket([]byte("key")), tx.Bucket([]byte("meta"))
		newest, all := map[string][]byte{}, [][]byte{}
		err := records.ForEach(func(at, record []byte) error {
			kv := &mvccpb.KeyValue{}
			if int64(binary.BigEndian.Uint64(at)) > rev {
				return nil
			}
			all = append(all, bytes.Clone(at))
			err := proto.Unmarshal(record, kv)
			newest[string(kv.Key)] = bytes.Clone(at)
			return err
		})
		kept := map[string]bool{}
		for _, at := range newest {
			kept[string(at)] = !bytes.HasSuffix(at, []byte("t")) // a deletion
		}
		for _, at := range all {
			if !kept[string(at)] {
				err = errors.Join(err, records.Delete(at))
			}
		}
		at := append(append(binary.BigEndian.AppendUint64(nil, uint64(rev)), '_'), make([]byte, 8)...)
		return errors.Join(err, meta.Put([]byte("scheduledCompactRev"), at), meta.Put([]byte("finishedCompactRev"), at))
	}
}

// illegible gives all keys values that nobody can read: nothing tells the time.
func illegible(tx *bolt.Tx) error {
	records, made := tx.Bucket([]byte("key")), map[string][]byte{}
	err := records.ForEach(func(at, record []byte) (err error) {
		kv := &mvccpb.KeyValue{}
		err = proto.Unmarshal(record, kv)
		kv.Value = []byte("of no kind that anybody knows")
		data, wrong := proto.Marshal(kv)
		made[string(at)] = data
		return errors.Join(err, wrong)
	})
	for at, record := range made {
		err = errors.Join(err, records.Put([]byte(at), record))
	}
	return err
}
