package datadir

import (
	"errors"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

const repairTask = "repair"

// repairRequest is about the child's first file, a copy unless it is only read;
// Defrag writes it anew to the second one, which is empty.
type repairRequest struct {
	Size    int64
	Disarm  bool
	Compact int64 // revision to compact to, 0 for none
	Defrag  bool
}

func repairChild(c *etcdproc.Call) (any, error) {
	var req repairRequest
	if err := c.Request(&req); err != nil {
		return nil, err
	}
	path, result := etcdproc.FilePath(0), etcdproc.FilePath(0)
	if req.Compact > 0 {
		c.Enter("compacting")
		if err := compact(c, path, req); err != nil {
			return nil, err
		}
	}
	if req.Defrag {
		c.Enter("defragmenting")
		result = etcdproc.FilePath(1)
		if err := defragment(result, path); err != nil {
			return nil, err
		}
	}
	if req.Disarm {
		c.Enter("disarming")
		return struct{}{}, disarm(result)
	}
	return struct{}{}, nil
}

// compact is etcd's own compaction, waited for.
func compact(c *etcdproc.Call, path string, req repairRequest) error {
	m, err := openMachine(c.Log, path, req.Size, 0, 0)
	if err != nil {
		return err
	}
	done, err := m.kv.Compact(traceutil.TODO(), req.Compact)
	if err != nil {
		return err
	}
	<-done
	return m.close()
}

func disarm(path string) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true, NoFreelistSync: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bolt.Tx) error {
		if tx.Bucket(schema.Alarm.Name()) == nil {
			return nil
		}
		if err := tx.DeleteBucket(schema.Alarm.Name()); err != nil {
			return err
		}
		_, err := tx.CreateBucket(schema.Alarm.Name())
		return err
	})
}

// defragment copies all buckets in order into full pages of an empty file.
func defragment(to, from string) error {
	src, err := bolt.Open(from, 0, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = src.View(func(tx *bolt.Tx) error { return rewrite(out, tx) })
	return errors.Join(err, out.Close())
}
