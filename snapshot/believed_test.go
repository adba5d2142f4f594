package snapshot_test

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

func revisionKey(main int64) []byte {
	key := append(binary.BigEndian.AppendUint64(nil, uint64(main)), '_')
	return binary.BigEndian.AppendUint64(key, 0)
}

func record(kv *mvccpb.KeyValue) []byte {
	data, err := proto.Marshal(kv)
	if err != nil {
		panic(err)
	}
	return data
}

// Whatever a record says that its revision contradicts is found.
func TestCheckHoldsRecordsToTheirRevision(t *testing.T) {
	t.Parallel()
	const rev = 5000
	for want, kv := range map[string]*mvccpb.KeyValue{
		"created at revision 5001": {Key: []byte("/a"), CreateRevision: rev + 1, ModRevision: rev, Version: 1},
		"created at revision 0":    {Key: []byte("/a"), ModRevision: rev, Version: 1},
		"it is version 0":          {Key: []byte("/a"), CreateRevision: rev, ModRevision: rev},
		"changed at revision 4999": {Key: []byte("/a"), CreateRevision: rev - 1, ModRevision: rev - 1, Version: 1},
		"record without a key":     {CreateRevision: rev, ModRevision: rev, Version: 1},
	} {
		path := generate(t, 50)
		edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket([]byte("key")).Put(revisionKey(rev), record(kv)) })
		problems, err := open(t, path).Check(t.Context())
		require.NoError(t, err)
		require.Len(t, problems, 1, want)
		require.Equal(t, snapshot.BadRecord, problems[0].Code)
		require.Contains(t, problems[0].Detail, want)
	}
}

// A hundred problems are named, and the others counted.
func TestCheckCountsWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	path := generate(t, 50)
	edit(t, path, func(tx *bolt.Tx) error {
		var errs []error
		for i := range int64(120) {
			errs = append(errs, tx.Bucket([]byte("key")).Put(revisionKey(5000+i), record(&mvccpb.KeyValue{Key: []byte("/a"), CreateRevision: 1, ModRevision: 1, Version: 1})))
		}
		return errors.Join(errs...)
	})
	problems, err := open(t, path).Check(t.Context())
	require.NoError(t, err)
	require.Len(t, problems, 101)
	require.Equal(t, "and 20 more", problems[100].Detail)
}

// One bad meta page is read around, and so is a bad freelist; each is said by itself.
func TestCheckNamesWhatIsReadAround(t *testing.T) {
	t.Parallel()
	sound, err := os.ReadFile(generate(t, 600))
	require.NoError(t, err)
	path := write(t, sound)
	for _, fault := range snapshottest.Faults() {
		if fault.Name == "older-meta-bit" {
			require.NoError(t, fault.Apply(path))
		}
	}
	codes := func(path string) (codes []snapshot.ProblemCode) {
		problems, err := open(t, path).Check(t.Context())
		require.NoError(t, err)
		for _, p := range problems {
			codes = append(codes, p.Code)
		}
		return codes
	}
	require.Equal(t, []snapshot.ProblemCode{snapshot.BadMeta}, codes(path))

	path = write(t, sound)
	db, err := bolt.Open(path, 0o600, nil) // it writes its freelist, as an etcd of another setting does
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("x"), []byte("y")) }))
	require.NoError(t, db.Close())
	sound, err = os.ReadFile(path)
	require.NoError(t, err)
	const pageSize, metaTxid, metaFreelist = 4096, 64, 48
	newest := 0
	if binary.NativeEndian.Uint64(sound[pageSize+metaTxid:]) > binary.NativeEndian.Uint64(sound[metaTxid:]) {
		newest = pageSize
	}
	freelist := binary.NativeEndian.Uint64(sound[newest+metaFreelist:])
	require.Less(t, freelist, uint64(len(sound)/pageSize))
	page := sound[freelist*pageSize:]
	binary.NativeEndian.PutUint16(page[10:], 1) // one free page:
	binary.NativeEndian.PutUint64(page[16:], 3) // one that is in use
	require.Equal(t, []snapshot.ProblemCode{snapshot.BadFreelist}, codes(write(t, sound)))
}

// A revision's key is 17 bytes, or 18 of which the last one marks a tombstone.
func TestTombstoneMark(t *testing.T) {
	t.Parallel()
	path := generate(t, 50)
	edit(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("key")).Put(append(revisionKey(5000), 'x'), record(&mvccpb.KeyValue{Key: []byte("/a")}))
	})
	_, err := snapshot.Open(t.Context(), path)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
}

// A record with two keys is no key's: protobuf takes the last one, and a reader
// that looks at the first bytes alone would take the first.
func TestRecordWithTwoKeys(t *testing.T) {
	t.Parallel()
	path := generate(t, 50)
	two := append(record(&mvccpb.KeyValue{Key: []byte("/aaa"), CreateRevision: 5000, ModRevision: 5000, Version: 1}), protowire.AppendTag(nil, 1, protowire.BytesType)...)
	edit(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("key")).Put(revisionKey(5000), protowire.AppendString(two, "/bbb"))
	})
	var failure error
	for _, err := range open(t, path).At(t.Context(), 0, nil) {
		failure = err
		break
	}
	require.ErrorIs(t, failure, snapshot.ErrDamaged)
}

// A record that is none ends whatever reads all of them: a hash or a count of those
// before it would pass for that of the whole.
func TestRecordThatIsNone(t *testing.T) {
	t.Parallel()
	path := generate(t, 50)
	edit(t, path, func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket([]byte("key")).Put(revisionKey(5000), []byte("\xff\xff")),
			tx.Bucket([]byte("meta")).Put([]byte("finishedCompactRev"), revisionKey(20)))
	})
	db := open(t, path)
	_, err := db.HashKV(t.Context(), 0)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	require.ErrorContains(t, err, "revision 5000.0")
	_, err = db.Info(t.Context())
	require.ErrorIs(t, err, snapshot.ErrDamaged)
}

// The root page may not reach beyond the last page either.
func TestOverflowBeyondTheEnd(t *testing.T) {
	t.Parallel()
	path := write(t, nil)
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 4096, NoFreelistSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("key"))
		return err
	}))
	require.NoError(t, db.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	newest := 0
	if binary.NativeEndian.Uint64(data[4096+64:]) > binary.NativeEndian.Uint64(data[64:]) {
		newest = 4096
	}
	root, pages := binary.NativeEndian.Uint64(data[newest+32:]), binary.NativeEndian.Uint64(data[newest+56:])
	binary.NativeEndian.PutUint32(data[root*4096+12:], uint32(pages-root))
	_, err = snapshot.Open(t.Context(), write(t, data))
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	require.ErrorContains(t, err, "reach beyond the last page")
}

// Two databases of one history are joined; whatever one record of both says
// otherwise makes it a fork.
func TestJoinHoldsEveryField(t *testing.T) {
	t.Parallel()
	path := generate(t, 200)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	newest := open(t, path).Revision()
	change := func(do func(kv *mvccpb.KeyValue)) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			keys := tx.Bucket([]byte("key"))
			name, value := keys.Cursor().Last()
			kv := &mvccpb.KeyValue{}
			if err := proto.Unmarshal(value, kv); err != nil {
				return err
			}
			do(kv)
			return keys.Put(append([]byte(nil), name...), record(kv))
		}
	}
	compacted := func(tx *bolt.Tx) error {
		meta := tx.Bucket([]byte("meta"))
		return errors.Join(meta.Put([]byte("scheduledCompactRev"), revisionKey(newest)), meta.Put([]byte("finishedCompactRev"), revisionKey(newest)))
	}
	other := change(func(kv *mvccpb.KeyValue) { kv.Value = []byte("another") })
	for name, c := range map[string]struct {
		both, one func(tx *bolt.Tx) error
		fork      bool
	}{
		"the same":      {nil, nil, false},
		"its value":     {nil, change(func(kv *mvccpb.KeyValue) { kv.Value[len(kv.Value)-1] ^= 1 }), true},
		"its lease":     {nil, change(func(kv *mvccpb.KeyValue) { kv.Lease++ }), true},
		"its version":   {nil, change(func(kv *mvccpb.KeyValue) { kv.Version++ }), true},
		"a record less": {nil, func(tx *bolt.Tx) error { c := tx.Bucket([]byte("key")).Cursor(); c.Last(); c.Prev(); return c.Delete() }, true},
		// What was compacted is compared as it stands at the compaction.
		"the same, compacted":      {compacted, nil, false},
		"its value, and compacted": {compacted, other, true},
	} {
		a, b := write(t, data), write(t, data)
		if c.both != nil {
			edit(t, a, c.both)
			edit(t, b, c.both)
		}
		if c.one != nil {
			edit(t, b, c.one)
		}
		_, err := snapshot.Join(t.Context(), snapshot.Part{Name: "a", DB: open(t, a)}, snapshot.Part{Name: "b", DB: open(t, b)})
		if !c.fork {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, snapshot.ErrFork, name)
	}
}

// The first and the last revision of a window are in it.
func TestWindowHoldsItsEnds(t *testing.T) {
	t.Parallel()
	w := snapshot.Window{First: 5, Last: 8}
	for rev, want := range map[int64]bool{4: false, 5: true, 8: true, 9: false} {
		require.Equal(t, want, w.Holds(rev), "%d", rev)
	}
}

// A page that is where it was in the base, and says something else, is not passed
// over.
func TestBeyondLooksIntoPages(t *testing.T) {
	t.Parallel()
	path := generate(t, 600)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	flipped := write(t, data)
	for _, fault := range snapshottest.Faults() {
		if fault.Name == "value-bit" {
			require.NoError(t, fault.Apply(flipped))
		}
	}
	_, err = open(t, flipped).Beyond(t.Context(), open(t, path))
	require.ErrorIs(t, err, snapshot.ErrDamaged)
}
