package datadir

import (
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/schema"
)

// rewritten are the buckets that a restore changes (etcd etcdutl/snapshot
// v3_snapshot.go, and clearOldCluster); of bucket "key" it changes nothing, and
// adds a record where the revision is bumped.
var rewritten = []backend.Bucket{schema.Meta, schema.Members, schema.MembersRemoved, schema.Alarm}

// makeMiniature makes a database that has of source what a restore looks at:
// the buckets that it changes, the cluster's version, and the newest revision up
// to cut (0 for the newest of all), without its value.
func makeMiniature(path, source string, cut int64) error {
	src, err := openReadOnly(source)
	if err != nil {
		return err
	}
	defer src.Close()
	mini, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true, NoGrowSync: true, NoFreelistSync: true, PageSize: src.Info().PageSize})
	if err != nil {
		return err
	}
	err = src.View(func(from *bolt.Tx) error {
		return mini.Update(func(to *bolt.Tx) error {
			for _, bucket := range append(slices.Clone(rewritten), schema.Cluster) {
				if err := copyBucket(to, from, bucket.Name()); err != nil {
					return err
				}
			}
			keys, err := to.CreateBucket(schema.Key.Name())
			if err != nil {
				return err
			}
			if newest, _ := lastRecord(from.Bucket(schema.Key.Name()), cut); newest != nil {
				err = keys.Put(newest, nil)
			}
			return err
		})
	})
	if closeErr := mini.Close(); err == nil {
		err = closeErr
	}
	return err
}

// carryOver makes the database at path, a copy of the one that the miniature is
// of, what a restore would have made it; records after cut are taken out, 0 for
// none. There is no sync: it becomes a result only after the parent's.
func carryOver(path, miniature string, cut int64) error {
	mini, err := openReadOnly(miniature)
	if err != nil {
		return err
	}
	defer mini.Close()
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: time.Second, NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType,
	})
	if err != nil {
		return err
	}
	err = mini.View(func(from *bolt.Tx) error {
		return db.Update(func(to *bolt.Tx) error {
			for _, bucket := range rewritten {
				if to.Bucket(bucket.Name()) != nil {
					if err := to.DeleteBucket(bucket.Name()); err != nil {
						return err
					}
				}
				if err := copyBucket(to, from, bucket.Name()); err != nil {
					return err
				}
			}
			if cut > 0 {
				if err := cutRecords(to, cut); err != nil {
					return err
				}
			}
			keys := to.Bucket(schema.Key.Name())
			newest, _ := keys.Cursor().Last()
			records := from.Bucket(schema.Key.Name()).Cursor()
			record, value := records.Seek(newest)
			for ; record != nil; record, value = records.Next() {
				if slices.Equal(record, newest) {
					continue // the miniature has it without its value
				}
				if err := keys.Put(record, value); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}

// copyBucket makes a bucket of the same name and content, if there is one.
func copyBucket(to, from *bolt.Tx, name []byte) error {
	b := from.Bucket(name)
	if b == nil {
		return nil
	}
	copied, err := to.CreateBucket(name)
	if err != nil {
		return err
	}
	return b.ForEach(func(key, value []byte) error {
		if value == nil {
			return fmt.Errorf("bucket %q in bucket %q", key, name)
		}
		return copied.Put(key, value)
	})
}

func openReadOnly(path string) (*bolt.DB, error) {
	return bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: time.Second})
}
