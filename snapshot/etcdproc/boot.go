package etcdproc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/coreos/go-semver/semver"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/client/pkg/v3/types"
	etcdsnapshot "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const memberName = "lifeboat"

// peerURL is where the one member would listen for peers that it does not
// have. A socket's name, so that nothing could ever dial a network.
var peerURL = url.URL{Scheme: "unix", Host: "nobody"}

// walSegment is the size of the WAL segments: two are allocated at once, and
// all that is ever written to them is a few membership entries.
const walSegment = 1 << 20

// check looks for what etcd would follow blindly, because bbolt trusts its
// file: pages that lead in a circle, and a freelist by which the boot's own
// writes would land on pages of the keyspace.
func check() error {
	fd, err := syscall.Open(fdPath(fdDatabase), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	db, err := snapshot.OpenFile(context.Background(), os.NewFile(uintptr(fd), databaseName()))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was only read
	problems, err := db.Check(context.Background())
	if err != nil {
		return err
	}
	for _, p := range problems {
		if p.Code == snapshot.BadFreelist {
			return fmt.Errorf("%s: %w", p.Detail, snapshot.ErrDamaged)
		}
	}
	return nil
}

// databaseName is what the parent calls the database.
func databaseName() string {
	if len(os.Args) > 1 {
		return os.Args[1]
	}
	return "database"
}

// restore makes a data dir of a single new member from the database at path,
// as `etcdutl snapshot restore` does. The member's cluster is new, the
// keyspace and its revisions stay as they are.
func restore(lg *zap.Logger, path string) error {
	wal.SegmentSizeBytes = walSegment
	return etcdsnapshot.NewV3(lg).Restore(etcdsnapshot.RestoreConfig{
		SnapshotPath:        path,
		Name:                memberName,
		OutputDataDir:       dataDir,
		PeerURLs:            []string{peerURL.String()},
		InitialCluster:      memberName + "=" + peerURL.String(),
		InitialClusterToken: rand.Text(),
		SkipHashCheck:       true,
	})
}

// quiet takes out of the restored copy what would keep a booted etcd from
// handing out the keyspace as it is: alarms (restore keeps those of the old
// members), authentication, leases (an expired one deletes its keys) and a
// downgrade under way. It refuses a copy that a newer etcd wrote.
func quiet(path string) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		return err
	}
	return errors.Join(db.Update(quietBuckets), db.Close())
}

func quietBuckets(tx *bolt.Tx) error {
	if err := refuseNewer(tx); err != nil {
		return err
	}
	for _, b := range [][]byte{schema.Alarm.Name(), schema.Lease.Name()} {
		if tx.Bucket(b) == nil {
			continue
		}
		if err := tx.DeleteBucket(b); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(b); err != nil {
			return err
		}
	}
	if b := tx.Bucket(schema.Auth.Name()); b != nil {
		if err := b.Put(schema.AuthEnabledKeyName, []byte{0}); err != nil {
			return err
		}
	}
	if b := tx.Bucket(schema.Cluster.Name()); b != nil {
		return b.Delete(schema.ClusterDowngradeKeyName)
	}
	return nil
}

// refuseNewer compares the versions that the database names with that of the
// linked etcd, which would end the process over them without a clear word
// (etcd server/etcdserver/version/downgrade.go, server/storage/schema).
func refuseNewer(tx *bolt.Tx) error {
	own := semver.New(version.Version)
	for _, f := range []struct {
		what        string
		bucket, key []byte
	}{
		{"storage version", schema.Meta.Name(), schema.MetaStorageVersionName},
		{"cluster version", schema.Cluster.Name(), schema.ClusterClusterVersionKeyName},
	} {
		b := tx.Bucket(f.bucket)
		if b == nil {
			continue
		}
		text := b.Get(f.key)
		if len(text) == 0 {
			continue
		}
		v, err := semver.NewVersion(string(bytes.TrimSpace(text)))
		if err != nil {
			return fmt.Errorf("parsing %s %q: %w", f.what, text, err)
		}
		if v.Major > own.Major || v.Major == own.Major && v.Minor > own.Minor {
			return fmt.Errorf("%s %s is beyond %s: %w", f.what, v, version.Version, ErrNewer)
		}
	}
	return nil
}

// bootMode says what becomes of the other members.
type bootMode bool

const (
	asItIs          bootMode = false // there are none
	forceNewCluster bootMode = true  // they are removed, since none of them will answer
)

// boot starts etcd on the restored data dir and returns when it is the leader
// of its cluster of one. It listens nowhere.
func boot(lg *zap.Logger, how bootMode) (*etcdserver.EtcdServer, error) {
	cfg := serverConfig(lg, memberName, dataDir, types.URLs{peerURL}, nil)
	cfg.ForceNewCluster = how == forceNewCluster
	cfg.TickMs, cfg.ElectionTicks = 10, 10
	cfg.UnsafeNoFsync = true   // the copy need not survive
	cfg.QuotaBackendBytes = -1 // no quota, so that no alarm is raised again
	// Nobody else wants to write between two steps of a compaction, and what a
	// restore marks as compacted is compacted here: etcd's pauses of 10 ms after
	// each thousand records are most of the time of a boot.
	cfg.CompactionBatchLimit, cfg.CompactionSleepInterval = 10_000, time.Nanosecond
	s, err := etcdserver.NewServer(cfg)
	if err != nil {
		return nil, err
	}
	s.Start()
	select {
	case <-s.ReadyNotify():
		return s, nil
	case <-s.StopNotify():
		return nil, errors.New("etcd stopped before it was ready")
	}
}

// serveOn answers etcd's API on one connection. The channel says when that is
// over, which is when etcd is.
func serveOn(s *etcdserver.EtcdServer, conn net.Conn) <-chan error {
	end := make(chan error, 1)
	api := v3rpc.Server(s, nil, nil)
	go func() {
		end <- api.Serve(newOneConn(conn))
	}()
	go func() {
		<-s.StopNotify()
		api.Stop()
	}()
	return end
}
