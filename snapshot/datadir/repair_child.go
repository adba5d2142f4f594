package datadir

import (
	"fmt"
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

// defragBytes is how much a transaction writes: what it writes is in memory.
const defragBytes = 32 << 20

// defragment copies all buckets in order into full pages. etcd's own
// defragmentation leaves a tenth of each page free, for random writes that
// bucket "key" never sees.
func defragment(to, from string) error {
	src, err := bolt.Open(from, 0, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	dst, err := bolt.Open(to, 0o600, &bolt.Options{
		Timeout: time.Second, NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, PageSize: src.Info().PageSize,
		InitialMmapSize: int(info.Size()), // each growth would copy what the transaction holds
	})
	if err != nil {
		return err
	}
	d := defragmenter{dst: dst}
	err = src.View(func(tx *bolt.Tx) error { return tx.ForEach(d.bucket) })
	if err == nil {
		err = d.commit()
	}
	size := int64(0)
	if err == nil {
		err = dst.View(func(tx *bolt.Tx) error {
			size = tx.Size()
			return nil
		})
	}
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	// bbolt grows its file by 16 MiB at a time.
	return os.Truncate(to, size)
}

type defragmenter struct {
	dst     *bolt.DB
	tx      *bolt.Tx
	name    []byte
	current *bolt.Bucket
	written int
}

func (d *defragmenter) bucket(name []byte, b *bolt.Bucket) error {
	d.name = name
	if err := d.begin(); err != nil {
		return err
	}
	return b.ForEach(func(key, value []byte) error {
		if value == nil {
			return fmt.Errorf("bucket %q in bucket %q", key, name)
		}
		if d.written > defragBytes {
			if err := d.commit(); err != nil {
				return err
			}
			if err := d.begin(); err != nil {
				return err
			}
		}
		d.written += len(key) + len(value)
		return d.current.Put(key, value)
	})
}

// begin opens the current bucket in the transaction, which it starts if there
// is none.
func (d *defragmenter) begin() (err error) {
	if d.tx == nil {
		if d.tx, err = d.dst.Begin(true); err != nil {
			return err
		}
	}
	if d.current, err = d.tx.CreateBucketIfNotExists(d.name); err != nil {
		return err
	}
	d.current.FillPercent = 1
	return nil
}

func (d *defragmenter) commit() error {
	if d.tx == nil {
		return nil
	}
	err := d.tx.Commit()
	d.tx, d.written = nil, 0
	return err
}
