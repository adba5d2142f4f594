package datadir

import (
	"encoding/json"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	etcddatadir "go.etcd.io/etcd/server/v3/storage/datadir"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/raft/v3/raftpb"

	etcdsnapshot "go.etcd.io/etcd/etcdutl/v3/snapshot"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

const (
	dropTask    = "drop"
	restoreTask = "restore"
)

// dropRequest deletes keys from the database, the child's first file.
type dropRequest struct {
	Size int64
	Keys [][]byte
	Cut  int64 // records after this revision are taken out before, 0 for none
}

type dropAnswer struct {
	Deleted  int64
	Revision int64
}

// dropChild deletes the keys in one transaction, so that they share a
// revision of their own: watchers that come later see a deletion like any
// other. Leases let go of the keys as they do in a running etcd.
func dropChild(c *etcdproc.Call) (any, error) {
	var req dropRequest
	if err := c.Request(&req); err != nil {
		return nil, err
	}
	if req.Cut > 0 {
		c.Enter("cutting the copy of the database")
		if err := cutDatabase(etcdproc.FilePath(0), req.Cut); err != nil {
			return nil, err
		}
	}
	c.Enter("opening the copy of the database")
	m, err := openMachine(c.Log, etcdproc.FilePath(0), req.Size, 0, 0)
	if err != nil {
		return nil, err
	}
	c.Enter("deleting keys")
	// What happens here is no entry of a log: the consistent index stays.
	index, term := schema.ReadConsistentIndex(m.be.ReadTx())
	m.ci.SetConsistentApplyingIndex(index, term)
	var answer dropAnswer
	txn := m.kv.Write(traceutil.TODO())
	for _, key := range req.Keys {
		n, _ := txn.DeleteRange(key, nil)
		answer.Deleted += n
	}
	txn.End()
	answer.Revision = m.kv.Rev()
	c.Enter("closing the copy of the database")
	return answer, m.close()
}

// restoreRequest makes a data dir of the database, the child's first file. The
// second one is a pipe: a byte in it says that Copy is complete.
type restoreRequest struct {
	Name           string
	PeerURLs       []string
	InitialCluster string
	Token          string
	DataDir        string
	WALDir         string // "" for the one in DataDir
	Bump           uint64
	Cut            int64  // records after this revision are left out, 0 for none
	Copy           string // a copy of the database, which becomes the data dir's
}

// restoreChild runs etcdutl's restore, on a miniature of the database: it would
// copy a whole one by itself, and read all of it again with each of its four
// transactions. What came of the miniature is carried over in one.
func restoreChild(c *etcdproc.Call) (any, error) {
	var req restoreRequest
	if err := c.Request(&req); err != nil {
		return nil, err
	}
	c.Enter("making a miniature of the database")
	miniature := req.Copy + ".miniature"
	if err := makeMiniature(miniature, etcdproc.FilePath(0), req.Cut); err != nil {
		return nil, err
	}
	c.Enter("restoring")
	if err := etcdsnapshot.NewV3(c.Log).Restore(etcdsnapshot.RestoreConfig{
		SnapshotPath:        miniature,
		Name:                req.Name,
		PeerURLs:            req.PeerURLs,
		InitialCluster:      req.InitialCluster,
		InitialClusterToken: req.Token,
		OutputDataDir:       req.DataDir,
		OutputWALDir:        req.WALDir,
		SkipHashCheck:       true, // the trailer is checked by whoever opened the source
		RevisionBump:        req.Bump,
		MarkCompacted:       req.Bump > 0,
	}); err != nil {
		return nil, err
	}
	if err := os.Remove(miniature); err != nil {
		return nil, err
	}
	restored := etcddatadir.ToBackendFileName(req.DataDir)
	c.Enter("clearing what belonged to the old cluster")
	if err := clearOldCluster(restored, etcdproc.FilePath(0)); err != nil {
		return nil, err
	}
	c.Enter("waiting for the copy of the database")
	if err := awaitByte(etcdproc.FilePath(1)); err != nil {
		return nil, err
	}
	c.Enter("carrying over what was restored")
	if err := carryOver(req.Copy, restored, req.Cut); err != nil {
		return nil, err
	}
	return struct{}{}, os.Rename(req.Copy, restored)
}

// awaitByte waits for the parent's word. A pipe that ends without one says that
// the parent gave up.
func awaitByte(pipe string) error {
	file, err := os.Open(pipe)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.ReadFull(file, make([]byte, 1))
	return err
}

// clearOldCluster takes out of a restored database what names members that are
// gone. The alarms: one of a member that does not exist stops all writes, and
// nobody can disarm it by the name of a member that there is. The ConfState:
// operators and etcd up to 3.6 read the old voters in it. And it takes out the
// term where the source had none: etcdutl puts one in, by which 3.4's database
// would look like 3.5's (etcd server/storage/schema UnsafeDetectSchemaVersion).
func clearOldCluster(path, source string) error {
	hadTerm, err := hasTerm(source)
	if err != nil {
		return err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bolt.Tx) error {
		if tx.Bucket(schema.Alarm.Name()) != nil {
			if err := tx.DeleteBucket(schema.Alarm.Name()); err != nil {
				return err
			}
			if _, err := tx.CreateBucket(schema.Alarm.Name()); err != nil {
				return err
			}
		}
		meta := tx.Bucket(schema.Meta.Name())
		if !hadTerm {
			if err := meta.Delete(schema.MetaTermKeyName); err != nil {
				return err
			}
		}
		if meta.Get(schema.MetaConfStateName) == nil {
			return nil
		}
		state, err := confStateOf(tx)
		if err != nil {
			return err
		}
		return meta.Put(schema.MetaConfStateName, state)
	})
}

// hasTerm looks into a database whose pages were checked by the parent.
func hasTerm(path string) (has bool, err error) {
	db, err := openReadOnly(path)
	if err != nil {
		return false, err
	}
	defer db.Close()
	return has, db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(schema.Meta.Name())
		has = meta != nil && meta.Get(schema.MetaTermKeyName) != nil
		return nil
	})
}

// confStateOf is the ConfState of the members in the database, as etcd stores
// it (etcd server/storage/schema/confstate.go).
func confStateOf(tx *bolt.Tx) ([]byte, error) {
	var state raftpb.ConfState
	err := tx.Bucket(schema.Members.Name()).ForEach(func(key, value []byte) error {
		m, err := snapshot.ParseMember(key, value)
		if err == nil && m.IsLearner {
			state.Learners = append(state.Learners, m.ID)
		} else if err == nil {
			state.Voters = append(state.Voters, m.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(&state)
}
