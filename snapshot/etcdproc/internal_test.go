package etcdproc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// What quiet takes out does not show in what is read: reads go past alarms.
func TestQuietEmptiesBuckets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	edit := func(do func(tx *bolt.Tx) error) {
		db, err := bolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(do))
		require.NoError(t, db.Close())
	}
	edit(func(tx *bolt.Tx) error {
		for _, name := range []string{"key", "meta", "alarm", "lease", "auth", "cluster"} {
			b, err := tx.CreateBucket([]byte(name))
			if err != nil {
				return err
			}
			for _, key := range []string{"a", "authEnabled", "authRevision", "clusterVersion", "downgrade"} {
				if err := b.Put([]byte(key), []byte("3.5.0")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	require.NoError(t, quiet(path))
	left := map[string]string{}
	edit(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			left[string(name)] = ""
			return b.ForEach(func(k, v []byte) error {
				left[string(name)] += fmt.Sprintf("%s=%q ", k, v)
				return nil
			})
		})
	})
	all := `a="3.5.0" authEnabled="3.5.0" authRevision="3.5.0" clusterVersion="3.5.0" downgrade="3.5.0" `
	require.Equal(t, map[string]string{
		"key": all, "meta": all, "alarm": "", "lease": "",
		"auth":    strings.Replace(all, `authEnabled="3.5.0"`, `authEnabled="\x00"`, 1),
		"cluster": strings.Replace(all, `downgrade="3.5.0" `, "", 1),
	}, left)
}

// An error keeps its text and its identity on the way to the parent.
func TestFailureTravels(t *testing.T) {
	t.Parallel()
	said := &wire{messages: make(chan message, 1)}
	for _, is := range append([]error{syscall.ENOSPC}, kinds...) {
		err := fmt.Errorf("doing %q: %w", "this\n", is)
		say := json.NewEncoder(said)
		require.NoError(t, say.Encode(message{Phase: "restoring"}))
		require.NoError(t, say.Encode(failure(err)))
		got := (<-said.messages).err()
		require.EqualError(t, got, err.Error())
		for _, other := range append([]error{syscall.ENOSPC, syscall.EIO}, kinds...) {
			require.Equal(t, errors.Is(err, other), errors.Is(got, other), "%v", other)
		}
		require.Equal(t, "restoring", said.phase)
	}
	require.NoError(t, message{Revision: 1}.err())
	require.NotErrorIs(t, failure(errors.New("x")).err(), snapshot.ErrDamaged)
}

// The log of a child reaches an error text, however much it is and whatever
// it holds: bounded, in whole lines, without what a terminal obeys.
func TestLogTail(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := rapid.SliceOf(rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 2*lineBytes),
			rapid.Just([]byte("\n")), rapid.Just([]byte("\ngoroutine 1 [running]:\n")),
			rapid.Just([]byte("\x1b[2Jpanic: page 7")),
		)).Draw(t, "log")
		whole, pieces := &logTail{}, &logTail{}
		for _, piece := range log {
			n, err := pieces.Write(piece)
			require.NoError(t, err)
			require.Equal(t, len(piece), n)
		}
		_, err := whole.Write(bytes.Join(log, nil))
		require.NoError(t, err)
		got := pieces.lines()
		require.Equal(t, whole.lines(), got, "how it arrives does not matter")
		require.LessOrEqual(t, len(got), logLines)
		for _, line := range got {
			require.NotEmpty(t, line)
			require.LessOrEqual(t, len(line), 4*lineBytes+2)
			for _, r := range line {
				require.True(t, unicode.IsPrint(r), "%q", line)
			}
		}
	})

	tail := &logTail{}
	fmt.Fprint(tail, "1\n2\n3\n4\n5\n6\npanic: page 7\n\ngoroutine 1 [running]:\nmain.main()\n")
	require.Equal(t, []string{"3", "4", "5", "6", "panic: page 7"}, tail.lines())
}

// A message may arrive in pieces, and several at once.
func TestWirePieces(t *testing.T) {
	t.Parallel()
	text := "{\"phase\":\"restoring\"}\n{\"phase\":\"booting\"}\n{\"revision\":7,\"first\":-1}\n"
	for size := 1; size <= len(text); size++ {
		w := &wire{messages: make(chan message, 1)}
		for piece := range slices.Chunk([]byte(text), size) {
			_, err := w.Write(piece)
			require.NoError(t, err)
		}
		require.Equal(t, message{Revision: 7, First: -1}, <-w.messages)
		require.Equal(t, "booting", w.phase)
	}
}

// A boot changes neither leases nor versions: none runs out in it, those that the
// log revoked stay revoked, and the rest is as it was before.
func TestStretchedLeasesArePutBack(t *testing.T) {
	t.Parallel()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	require.NoError(t, err)
	defer db.Close()
	lease := func(id int64) []byte {
		value, err := proto.Marshal(&leasepb.Lease{ID: id, TTL: 60, RemainingTTL: 3})
		require.NoError(t, err)
		return value
	}
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"lease", "meta", "cluster"} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		leases := tx.Bucket([]byte("lease"))
		require.NoError(t, leases.Put([]byte("kept"), lease(1)))
		require.NoError(t, leases.Put([]byte("revoked"), lease(2)))
		was, err := stretchLeases(tx)
		require.NoError(t, err)
		require.Len(t, was, 2)
		var long leasepb.Lease
		require.NoError(t, proto.Unmarshal(leases.Get([]byte("kept")), &long))
		require.EqualValues(t, 1, long.ID)
		require.Greater(t, long.TTL, int64(30*365*24*3600-1e8))
		require.Zero(t, long.RemainingTTL, "it would run out with what is left of it")

		require.NoError(t, leases.Delete([]byte("revoked"))) // by the log
		require.NoError(t, leases.Put([]byte("granted"), lease(3)))
		require.NoError(t, putBackLeases(tx, was))
		require.Equal(t, lease(1), leases.Get([]byte("kept")))
		require.Nil(t, leases.Get([]byte("revoked")))
		require.Equal(t, lease(3), leases.Get([]byte("granted")))

		meta, cluster := tx.Bucket([]byte("meta")), tx.Bucket([]byte("cluster"))
		require.NoError(t, meta.Put([]byte("storageVersion"), []byte("3.7.0")))
		require.NoError(t, cluster.Put([]byte("clusterVersion"), []byte("3.7.0")))
		require.NoError(t, putBackVersions(tx, Versions{Cluster: "3.5.0"}))
		require.Nil(t, meta.Get([]byte("storageVersion")), "etcd 3.5 refuses a database that has one")
		require.Equal(t, "3.5.0", string(cluster.Get([]byte("clusterVersion"))))
		return nil
	}))
}
