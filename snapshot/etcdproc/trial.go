package etcdproc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

const trialTask = "trial"

// Trial is what a real etcd said of a data dir that it was booted on.
type Trial struct {
	Revision        int64  `json:"revision"`        // the newest
	CompactRevision int64  `json:"compactRevision"` // -1: nothing was compacted
	Hash            uint32 `json:"hash"`            // HashKV at Revision
	Keys            int64  `json:"keys"`            // alive at Revision
}

// Try boots an etcd on a copy of the data dir, made under dir, as the only
// member of its cluster, and returns what it found. walDir is "" where the log
// stands in the data dir. In the copy alarms, authentication and leases are
// cleared first: none of them may change what is found. So it is for dirs whose
// log holds nothing beyond the database: an entry that attaches a key to a
// lease would be refused.
func Try(ctx context.Context, dataDir, walDir, dir string) (Trial, error) {
	var t Trial
	err := try(ctx, dataDir, walDir, dir, &t)
	if err != nil {
		return t, fmt.Errorf("booting etcd on a copy: %w", err)
	}
	return t, nil
}

func try(ctx context.Context, source, walDir, dir string, t *Trial) (err error) {
	s, err := newScratch(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	return inCopy(ctx, s, source, walDir, trialTask, struct{}{}, t)
}

// inCopy copies a data dir into the scratch folder and has a child do a task
// there.
func inCopy(ctx context.Context, s *scratch, source, walDir, task string, request, answer any) error {
	copied := filepath.Join(s.dir, dataDir)
	if err := copyTree(ctx, source, copied); err != nil {
		return fmt.Errorf("copying %q: %w", source, err)
	}
	if walDir != "" {
		log := filepath.Join(copied, "member", "wal")
		if err := os.RemoveAll(log); err != nil { // one of a time before --wal-dir
			return err
		}
		if err := copyTree(ctx, walDir, log); err != nil {
			return fmt.Errorf("copying %q: %w", walDir, err)
		}
	}
	info, err := os.Stat(s.database())
	if err != nil {
		return err
	}
	limit := startLimit(info.Size())
	return Patience{Idle: limit, CPU: 4 * limit, Total: 20 * limit}.do(ctx, task, request, answer, s, []*os.File{s.owner})
}

// trial is the child's part: it stands in the scratch folder.
func trial(c *Call) (any, error) {
	s, err := c.adopt()
	if err != nil {
		return nil, err
	}
	c.Enter("quieting the copy")
	if err := quiet(s.database()); err != nil {
		return nil, err
	}
	c.Enter("booting")
	server, err := boot(newLogger(), forceNewCluster)
	if err != nil {
		return nil, err
	}
	c.Enter("reading")
	kv := server.KV()
	var t Trial
	count, err := kv.Range(context.Background(), []byte{0}, []byte{}, mvcc.RangeOptions{CountOnly: true})
	if err != nil {
		return nil, err
	}
	if err := settle(kv); err != nil {
		return nil, err
	}
	hash, _, err := kv.HashStorage().HashByRev(0)
	if err != nil {
		return nil, err
	}
	t.Revision, t.CompactRevision, t.Hash, t.Keys = kv.Rev(), kv.FirstRev(), hash.Hash, int64(count.Count)
	return t, nil
}

// settle waits for the compaction that a boot resumes: asking for the same one
// again does.
func settle(kv mvcc.KV) error {
	first := kv.FirstRev()
	if first <= 0 {
		return nil
	}
	done, err := kv.Compact(traceutil.TODO(), first)
	if err != nil && !errors.Is(err, mvcc.ErrCompacted) {
		return err
	}
	if done != nil {
		<-done
	}
	return nil
}

// copyTree copies folders and regular files; runs of zeros, of which a
// preallocated log has 64 MB, become holes.
func copyTree(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case d.Type().IsRegular():
			return copySparse(ctx, path, filepath.Join(to, rel))
		}
		return nil
	})
}

func copySparse(ctx context.Context, from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	buf, zero := make([]byte, 256<<10), make([]byte, 256<<10)
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(src, buf)
		if n > 0 && !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := dst.WriteAt(buf[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := dst.Truncate(size); err != nil {
		return err
	}
	return dst.Close()
}
