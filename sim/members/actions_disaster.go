package members

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// bumpMargin is by how much a restored cluster's revision grows, as in
// `lifeboat etcd restore` (etcd.io/docs op-guide/recovery, "Restoring with
// revision bump").
const bumpMargin = 1_000_000_000

// bump is what an action asks for.
func bump(a sim.Action) uint64 {
	if a.BumpRevision != nil && !*a.BumpRevision {
		return 0
	}
	return bumpMargin
}

// forceNewCluster starts a member as etcd does with that flag: alone.
func (c *cluster) forceNewCluster(ctx context.Context, m *member) error {
	_, _ = m.look(ctx) // for Seen
	m.kill()
	c.fork(m)
	m.config.ForceNewCluster = true
	defer func() { m.config.ForceNewCluster = false }() // it has to be gone at the next start
	return c.runReady(ctx, m)
}

// fork makes m the first member of a cluster of its own.
func (c *cluster) fork(m *member) {
	c.epoch++
	for _, o := range c.all() {
		o.mu.Lock()
		c.seen = max(c.seen, o.revision)
		o.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.removed, m.id, m.revision = c.epoch, false, 0, 0
}

// Seen is the newest revision that a watcher can have seen before the last
// force-new-cluster, rebuild or restore, 0 when there was none.
func (c *cluster) Seen() int64 { return c.seen }

// readyLimit is how long a member that needs nobody may take to lead.
const readyLimit = time.Minute

func (c *cluster) runReady(ctx context.Context, m *member) error {
	if err := c.run(ctx, m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	p := m.running()
	if p == nil {
		return errDown
	}
	if err := p.Ready(ctx); err != nil {
		return err
	}
	m.setVoter()
	return nil
}

// rebuild makes a cluster of one out of a member's dir as `lifeboat etcd
// rebuild` does: its whole log counts, and etcd is not booted on it.
func (c *cluster) rebuild(ctx context.Context, m *member, bump uint64) error {
	_, _ = m.look(ctx) // for Seen
	m.kill()
	dir, err := datadir.Open(c.lab.DataDir(m.name))
	if err != nil {
		return err
	}
	survivor, err := dir.Survey(ctx)
	if err != nil {
		return err
	}
	replayed, err := survivor.Replay(ctx, datadir.ReplayOptions{})
	if err != nil {
		return err
	}
	if err := c.replace(ctx, m, replayed.File, bump); err != nil {
		return err
	}
	c.fork(m)
	return c.runReady(ctx, m)
}

// restore starts a cluster of one from the newest database that was saved, or
// that the drill began with.
func (c *cluster) restore(ctx context.Context, m *member, bump uint64) error {
	if c.backup == "" {
		return fmt.Errorf("restoring member %q: nothing was saved, and the drill has no backup", m.name)
	}
	_, _ = m.look(ctx) // for Seen
	m.kill()
	file, err := os.Open(c.backup)
	if err != nil {
		return err
	}
	if err := c.replace(ctx, m, file, bump); err != nil {
		return err
	}
	c.fork(m)
	return c.runReady(ctx, m)
}

// replace makes m's data dir anew, of a database, which it closes.
func (c *cluster) replace(ctx context.Context, m *member, file *os.File, bump uint64) error {
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return err
	}
	defer db.Close()
	plan, err := datadir.PlanRestore(ctx, db, file, datadir.RestoreOptions{
		Members: []datadir.NewMember{c.newMember(m)}, InitialCluster: initialCluster([]*member{m}), Bump: bump,
		NoBootCheck: true, // it is booted next
	})
	if err != nil {
		return err
	}
	if _, err := plan.Run(ctx); err != nil {
		return err
	}
	m.config.Token = plan.Token
	if aside := plan.Members[0].Aside; aside != "" {
		return os.RemoveAll(aside)
	}
	return nil
}

func (c *cluster) newMember(m *member) datadir.NewMember {
	return datadir.NewMember{
		Name: m.name, PeerURLs: []string{etcdproc.PeerURL(m.name)},
		Target: datadir.Target{Path: c.lab.DataDir(m.name), Replace: true, Now: time.Now()},
	}
}

// restoreAll makes the data dirs of all members, of the backup's database.
func (c *cluster) restoreAll(ctx context.Context, backup, initial string) error {
	file, err := os.Open(backup)
	if err != nil {
		return err
	}
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return err
	}
	defer db.Close()
	opts := datadir.RestoreOptions{InitialCluster: initial, Token: c.token, NoBootCheck: true}
	for _, m := range c.members {
		opts.Members = append(opts.Members, c.newMember(m))
	}
	plan, err := datadir.PlanRestore(ctx, db, file, opts)
	if err != nil {
		return err
	}
	_, err = plan.Run(ctx)
	return err
}

// save takes a snapshot as `etcdctl snapshot save` does, of what the member
// has: that needs no quorum.
func (c *cluster) save(ctx context.Context, m *member) error {
	c.saves++
	path := filepath.Join(c.lab.Dir(), "save-"+strconv.Itoa(c.saves)+".db")
	err := c.one(ctx, m.name, startLimit, func(ctx context.Context, client *clientv3.Client) (err error) {
		from, err := client.Snapshot(ctx)
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, from)
		return errors.Join(err, to.Close())
	})
	if err == nil {
		c.backup = path
	}
	return err
}
