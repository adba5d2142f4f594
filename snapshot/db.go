package snapshot

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// DB is an etcd database opened for reading. It may be used by several
// goroutines at once; Close has to come after all of them.
type DB struct {
	name     string
	file     *os.File // bolt closes it
	bolt     *bolt.DB
	tx       *bolt.Tx // the one transaction; what it hands out is valid until Close
	keys     *bolt.Bucket
	region   region
	meta     meta
	fileSize int64
	usage    usage

	revision  int64 // newest main revision
	scheduled int64 // compactions asked for and done, 0 for never
	finished  int64
	compacted int64 // the effective one, -1 for never

	newest newestNow
}

var _ Reader = (*DB)(nil)

// Open opens the database at path, with or without a sha256 trailer (which it
// does not check, see TrailerHash). It reads the headers of all pages; ctx
// ends that early.
//
// The errors are those of the operating system, ErrInUse, ErrNotDatabase,
// ErrNotEtcd and ErrDamaged.
func Open(ctx context.Context, path string) (*DB, error) {
	// Opening a FIFO would wait for its writer.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("opening database %q: no regular file: %w", path, ErrNotDatabase)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	return OpenFile(ctx, f)
}

// OpenFile is Open for a file that is open already and may have no name any
// more: a memfd, an unlinked file. It takes f over: Close closes it, and so
// does OpenFile itself when it fails.
func OpenFile(ctx context.Context, f *os.File) (*DB, error) {
	name := "the database"
	if info, err := f.Stat(); err == nil && hasName(info) {
		name = fmt.Sprintf("database %q", f.Name())
	}
	db, err := openFile(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return db, nil
}

// hasName tells a file that stands in a folder from a spool.
func hasName(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Nlink > 0
}

func openFile(ctx context.Context, f *os.File) (*DB, error) {
	db, err := inspect(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	db.bolt, err = bolt.Open(db.name, 0, &bolt.Options{
		ReadOnly: true,
		Timeout:  lockTimeout,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
	if err != nil {
		return nil, err // bbolt has closed f
	}
	db.region = region{start: db.bolt.Info().Data, size: int64(db.meta.pages) * db.meta.pageSize, pageSize: db.meta.pageSize}
	if err := db.region.guarded(func() error { return db.load(ctx) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// load checks the page graph, in the memory that bbolt has mapped, before
// bbolt itself follows it, and reads what every question needs.
func (db *DB) load(ctx context.Context) (err error) {
	pages := db.region.bytes()
	prefault(ctx, pages)
	if db.usage, err = checkStructure(ctx, pages, db.meta, db.region.guarded); err != nil {
		return err
	}
	return db.begin()
}

// inspect takes the lock and makes sure that bbolt can be let at the file: that
// it is a database and that it is all there.
func inspect(f *os.File) (*DB, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("no regular file: %w", ErrNotDatabase)
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("empty file: %w", ErrNotDatabase)
	}
	if err := lockShared(f); err != nil {
		return nil, err
	}
	// A writer may have changed the size before it let the lock go.
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	m, err := readMeta(f, info.Size())
	if err != nil {
		return nil, err
	}
	if err := checkSize(m, info.Size()); err != nil {
		return nil, err
	}
	size, err := Length(f, info.Size())
	return &DB{name: f.Name(), file: f, meta: m, fileSize: size}, err
}

// checkSize makes sure that the file holds all pages. Reading a mapped page
// beyond the end of the file would raise SIGBUS.
func checkSize(m meta, size int64) error {
	if m.pages < 3 || m.pages > uint64(math.MaxInt64/m.pageSize) {
		return damaged("meta page counts %d pages of %d bytes", m.pages, m.pageSize)
	}
	if want := int64(m.pages) * m.pageSize; size < want {
		return &DamagedError{Page: size / m.pageSize, Offset: size, What: fmt.Sprintf(
			"the file ends here, but its %d pages of %d bytes take %d bytes: %d are missing",
			m.pages, m.pageSize, want, want-size)}
	}
	return nil
}

// begin starts the one transaction and reads what every question needs.
func (db *DB) begin() (err error) {
	if db.tx, err = db.bolt.Begin(false); err != nil {
		return err
	}
	if uint64(db.tx.ID()) != db.meta.txid || db.tx.Size() != int64(db.meta.pages)*db.meta.pageSize {
		return damaged("the meta page changed while the database was being opened")
	}
	if db.keys = db.tx.Bucket([]byte(keyBucket)); db.keys == nil {
		if name, _ := db.tx.Cursor().First(); name == nil {
			return fmt.Errorf("a new database in which no bucket was ever made: %w", ErrNotEtcd)
		}
		return fmt.Errorf("no bucket %q: %w", keyBucket, ErrNotEtcd)
	}
	return db.readRevisions()
}

// readRevisions finds the newest and the compacted revision as etcd does when
// it starts on the file (etcd server/storage/mvcc/kvstore.go restore).
func (db *DB) readRevisions() error {
	db.revision, db.compacted = 1, -1
	if key, _ := db.keys.Cursor().Last(); key != nil {
		newest, err := parseRevision(key)
		if err != nil {
			return damaged("%v", err)
		}
		db.revision = max(db.revision, newest.main)
	}
	for name, rev := range map[string]*int64{"scheduledCompactRev": &db.scheduled, "finishedCompactRev": &db.finished} {
		value := db.get("meta", name)
		if value == nil {
			continue
		}
		r, err := parseRevision(value)
		if err != nil {
			return damaged("meta key %q: %v", name, err)
		}
		*rev = r.main
		db.compacted = max(db.compacted, r.main)
	}
	// A compaction may have deleted all the newest revisions.
	db.revision = max(db.revision, db.compacted)
	return nil
}

// get returns the value of a key, nil when it or its bucket is not there.
func (db *DB) get(bucket, key string) []byte {
	b := db.tx.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return b.Get([]byte(key))
}

// Close closes the file. Every Key and Value that At yielded ends with it.
func (db *DB) Close() error {
	var errs []error
	if db.tx != nil {
		errs = append(errs, db.tx.Rollback())
	}
	if err := errors.Join(append(errs, db.bolt.Close())...); err != nil {
		return fmt.Errorf("closing database %q: %w", db.name, err)
	}
	return nil
}

// Revision is the newest revision that the keyspace holds, at least 1.
func (db *DB) Revision() int64 { return db.revision }

// CompactRevision is the revision up to which the history was compacted or was
// about to be; -1 when it never was. The keyspace can be read from this
// revision on.
func (db *DB) CompactRevision() int64 { return db.compacted }

// checkRevision returns the revision that is meant by rev, or why it cannot be
// read; the rule is that of etcd server/storage/mvcc/kvstore_txn.go rangeKeys.
func (db *DB) checkRevision(rev int64) (int64, error) {
	switch {
	case rev < 0:
		return 0, fmt.Errorf("revision %d is negative", rev)
	case rev == 0:
		return db.revision, nil
	case rev > db.revision:
		return 0, fmt.Errorf("revision %d: %w (the newest is %d)", rev, ErrFutureRevision, db.revision)
	case rev < db.compacted:
		return 0, fmt.Errorf("revision %d: %w (compacted at %d)", rev, ErrCompacted, db.compacted)
	}
	return rev, nil
}
