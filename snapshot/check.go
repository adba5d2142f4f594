package snapshot

import (
	"context"
	"errors"
	"fmt"
)

// Problem is something in the file that reading survives and that an operator
// should know.
type Problem struct {
	Code   ProblemCode `json:"code"`
	Detail string      `json:"detail"` // for people; holds no value
}

// ProblemCode is the kind of a Problem, stable for machines.
type ProblemCode string

// The problems that Check finds.
const (
	BadMeta     ProblemCode = "bad-meta"     // one of the two meta pages is invalid
	BadFreelist ProblemCode = "bad-freelist" // the next writer would overwrite pages in use
	BadRecord   ProblemCode = "bad-record"   // a record of the keyspace is not what its revision says
	BadStatus   ProblemCode = "bad-status"   // a figure of etcd's own cannot be read
	BadMember   ProblemCode = "bad-member"   // the member list cannot be read
	BadAlarm    ProblemCode = "bad-alarm"    // an alarm cannot be read
)

func (p Problem) String() string { return string(p.Code) + ": " + p.Detail }

// maxProblems bounds what one Check reports; a last one says how many more.
const maxProblems = 100

// Check reads everything but the values and lists what Open let pass: the file
// can be read around these. An error means that Check itself was cut short.
func (db *DB) Check(ctx context.Context) ([]Problem, error) {
	e, err := db.Examine(ctx)
	return e.Problems, err
}

// Examination is what Examine looked at and found.
type Examination struct {
	Records  int64     `json:"records"` // all that were read, whatever they are
	Problems []Problem `json:"problems"`
}

// Examine is Check, and says how many records it has looked at.
func (db *DB) Examine(ctx context.Context) (Examination, error) {
	c := &checker{db: db}
	if db.meta.other != nil {
		c.add(BadMeta, "%v", db.meta.other)
	}
	if db.usage.freelist != nil {
		c.add(BadFreelist, "%v", db.usage.freelist)
	}
	err := c.checkRecords(ctx)
	c.addError(BadStatus, db.region.guarded(func() error {
		_, storageErr := db.version("meta", "storageVersion")
		_, clusterErr := db.version("cluster", "clusterVersion")
		return errors.Join(db.readStatus(new(Info)), storageErr, clusterErr)
	}))
	_, _, memberErr := db.Members()
	c.addError(BadMember, memberErr)
	_, alarmErr := db.Alarms()
	c.addError(BadAlarm, alarmErr)
	if c.more > 0 {
		c.problems = append(c.problems, Problem{BadRecord, fmt.Sprintf("and %d more", c.more)})
	}
	if err != nil {
		err = fmt.Errorf("checking database: %w", err)
	}
	return Examination{Records: c.read, Problems: c.problems}, err
}

type checker struct {
	db       *DB
	problems []Problem
	more     int
	read     int64 // records
}

func (c *checker) add(code ProblemCode, format string, args ...any) {
	if len(c.problems) >= maxProblems {
		c.more++
		return
	}
	c.problems = append(c.problems, Problem{code, fmt.Sprintf(format, args...)})
}

func (c *checker) addError(code ProblemCode, err error) {
	if err != nil {
		c.add(code, "%v", err)
	}
}

// checkRecords holds every record against its revision.
func (c *checker) checkRecords(ctx context.Context) error {
	return c.db.region.guarded(func() error {
		cursor := c.db.keys.Cursor()
		for key, record := cursor.First(); key != nil; key, record = cursor.Next() {
			if c.read++; c.read%contextStep == 0 {
				if err := context.Cause(ctx); err != nil {
					return err
				}
			}
			rev, err := parseRevision(key)
			if err != nil {
				return damaged("%v", err)
			}
			if err := checkRecord(rev, record); err != nil {
				c.add(BadRecord, "revision %s: %v", rev, err)
			}
		}
		return nil
	})
}

func checkRecord(rev revision, record []byte) error {
	// The empty record is what a restore with --bump-revision leaves (etcd
	// etcdutl/snapshot unsafeBumpBucketsRevision).
	if len(record) == 0 && !rev.tombstone {
		return nil
	}
	kv, err := decodeKeyValue(record)
	switch {
	case err != nil:
		return err
	case len(kv.Key) == 0:
		return errors.New("record without a key")
	case rev.tombstone:
		return nil
	case kv.ModRevision != rev.main:
		return fmt.Errorf("key %q says that it was changed at revision %d", clip(kv.Key), kv.ModRevision)
	case kv.CreateRevision < 1 || kv.CreateRevision > kv.ModRevision:
		return fmt.Errorf("key %q says that it was created at revision %d", clip(kv.Key), kv.CreateRevision)
	case kv.Version < 1:
		return fmt.Errorf("key %q says that it is version %d", clip(kv.Key), kv.Version)
	}
	return nil
}
