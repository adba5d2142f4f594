package etcd

import (
	"context"
	"errors"
	"hash/maphash"
	"os"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// read fills one row: of a data dir with its log, or of anything else that
// openSource takes. Damage is in the row; any other error says nothing of it.
func (c *comparison) read(ctx context.Context, row *comparedRow, i int) error {
	info, err := os.Stat(row.Path)
	if err == nil && info.IsDir() {
		err = c.readDir(ctx, row, i)
	} else {
		err = c.readOther(ctx, row, i)
	}
	if err != nil || !row.readable {
		return err
	}
	if c.CommonRevision == 0 || row.Revision < c.CommonRevision {
		c.CommonRevision = row.Revision
	}
	return c.with(ctx, row, func(ctx context.Context, row *comparedRow, db *snapshot.DB) error {
		for kv, err := range db.At(ctx, 0, nil) {
			if err != nil {
				return err
			}
			cells := c.cells[string(kv.Key)]
			if cells == nil {
				cells = make([]cell, len(c.Rows))
				c.cells[string(kv.Key)] = cells
			}
			cells[i] = cell{kv.ModRevision, maphash.Bytes(c.seed, kv.Value)}
		}
		return c.hash(ctx, row, db)
	})
}

func (c *comparison) readOther(ctx context.Context, row *comparedRow, i int) error {
	if wal := c.opts.WalDir(i); wal != "" {
		return console.Usagef("--src-wal-dir %q stands for %q, which is no data dir", wal, row.Path)
	}
	opts := c.opts
	opts.WALDirs = nil
	src, err := console.OpenSource(ctx, c.env, opts, row.Path)
	if err != nil {
		return err
	}
	row.db, row.readable = src.Db, true
	status, err := src.Db.Status()
	row.LastTerm, row.LastIndex, row.Applied, row.Revision = status.RaftTerm, status.RaftIndex, status.RaftIndex, status.Revision
	return err
}

func (c *comparison) readDir(ctx context.Context, row *comparedRow, i int) error {
	s, err := c.opts.Survey(ctx, row.Path, i)
	if err != nil {
		return err
	}
	if s.DatabaseErr != nil && !console.Damaged(s.DatabaseErr) {
		return s.DatabaseErr
	}
	row.survivor, row.MemberID = s, s.Log.NodeID
	if s.DatabaseErr == nil {
		r, err := s.Replay(ctx, c.replayOptions())
		switch {
		case console.Damaged(err):
			s.DatabaseErr = err // it opens, but etcd's own code cannot use it
		case err != nil:
			return err
		default:
			row.replay, row.readable, row.Revision = r, true, r.Revision
			if row.db, err = snapshot.OpenFile(ctx, r.File); err != nil {
				return err
			}
		}
	}
	row.Member, row.Damage = s.Name(), s.Damage()
	row.LastIndex, row.LastTerm = s.Newest()
	row.Commit, row.Applied = s.Log.Commit, s.Info.RaftIndex
	return nil
}

func (c *comparison) replayOptions() datadir.ReplayOptions {
	return datadir.ReplayOptions{AcceptLoss: true, Spool: snapshot.Spool{Where: snapshot.Where(c.opts.Spool)}}
}

// with hands out a row's database. The copies of dirs do not stand open side by
// side: three of 8 GB would need 24 GB.
func (c *comparison) with(ctx context.Context, row *comparedRow, do func(context.Context, *comparedRow, *snapshot.DB) error) error {
	if row.survivor == nil {
		return do(ctx, row, row.db)
	}
	if row.db == nil {
		r, err := row.survivor.Replay(ctx, c.replayOptions())
		if err != nil {
			return err
		}
		if row.db, err = snapshot.OpenFile(ctx, r.File); err != nil {
			return err
		}
	}
	db := row.db
	row.db = nil
	return errors.Join(do(ctx, row, db), db.Close())
}

// hash compares HashKV at the newest revision that every row has, as far as
// that is known.
func (c *comparison) hash(ctx context.Context, row *comparedRow, db *snapshot.DB) error {
	row.hashedAt, row.Hash = c.CommonRevision, nil
	hash, err := db.HashKV(ctx, c.CommonRevision)
	if errors.Is(err, snapshot.ErrCompacted) {
		return nil
	}
	if err == nil {
		row.Hash = &hash
	}
	return err
}
