package members

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// Engine starts clusters of real etcd members. The process has to have called
// etcdproc.Main(datadir.Tasks()...) first thing.
type Engine struct {
	// Dir is the folder in which each cluster makes its own; it has to exist.
	// A backup's data is plaintext there, once for every member.
	Dir string
}

var _ sim.Engine = Engine{}

// Name implements sim.Engine.
func (Engine) Name() sim.EngineName { return sim.Embedded }

// cluster is a running sim.Cluster. Do and the observations come from one
// goroutine; the load and the watch run beside it.
type cluster struct {
	given sim.Given
	lab   *etcdproc.Lab
	mesh  *mesh
	token string
	start time.Time

	mu      sync.Mutex // guards members and what is in them that changes
	members []*member

	backup  string // the newest database to restore from, "" for none
	objects objects
	saves   int
	epoch   int   // of the newest cluster; see member.epoch
	seen    int64 // see Seen
	load    *load
	watch   *watch
	stop    context.CancelFunc // of load and watch
	beside  sync.WaitGroup
	resumes []*time.Timer // of paused members
	counted time.Duration // when lost writes were last looked for

	commonRevision int64 // see common
	commonAge      time.Duration
}

// Start implements sim.Engine. The seed is not used: nothing here is random
// but what raft, the kernel and the machine's other work decide.
func (e Engine) Start(ctx context.Context, given sim.Given, _ uint64) (sim.Cluster, error) {
	c, err := e.open(ctx, given)
	if err != nil {
		return nil, &sim.FatalError{Err: fmt.Errorf("starting etcd members: %w", err)}
	}
	return c, nil
}

func (e Engine) open(ctx context.Context, given sim.Given) (_ *cluster, err error) {
	if given.Members < 1 || given.Members > 9 {
		return nil, fmt.Errorf("%d members: 1 to 9", given.Members)
	}
	if given.Tick == 0 {
		given.Tick, given.Election = sim.Duration(100*time.Millisecond), sim.Duration(time.Second)
	}
	lab, err := etcdproc.NewLab(e.Dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{given: given, lab: lab, mesh: newMesh(lab.PeerSocket), token: "drill-" + rand.Text(), backup: given.Snapshot, objects: newObjects(given.Objects)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	for i := range given.Members {
		if _, err := c.join(fmt.Sprintf("m%d", i+1), false); err != nil {
			return nil, err
		}
	}
	initial := initialCluster(c.members)
	if given.Snapshot != "" {
		if err := c.restoreAll(ctx, given.Snapshot, initial); err != nil {
			return nil, err
		}
	}
	for _, m := range c.members {
		m.config.InitialCluster = initial
		if err := c.run(ctx, m); err != nil {
			return nil, err
		}
	}
	if err := c.learners(ctx); err != nil {
		return nil, err
	}
	c.start = time.Now()
	c.besides()
	return c, nil
}

// learners brings up the learners that the cluster starts with; the voters
// have to have a leader for that.
func (c *cluster) learners(ctx context.Context) error {
	for i := range c.given.Learners {
		name := fmt.Sprintf("m%d", c.given.Members+i+1)
		err := c.until(ctx, electLimit, func() error { return c.add(ctx, name, true) })
		if err != nil {
			return err
		}
		if err := c.begin(ctx, c.member(name)); err != nil {
			return err
		}
	}
	return nil
}

// electLimit is how long the first voters may take to elect a leader and to be
// connected for long enough.
const electLimit = 30 * time.Second

// until tries again until do succeeds.
func (c *cluster) until(ctx context.Context, limit time.Duration, do func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := do()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// join names a member and connects it with all others.
func (c *cluster) join(name string, learner bool) (*member, error) {
	if err := c.lab.Prepare(name); err != nil {
		return nil, err
	}
	m := &member{name: name, learner: learner, epoch: c.epoch, config: etcdproc.MemberConfig{
		Name: name, Token: c.token, Quota: c.given.Quota, NoPreVote: !c.given.PreVote,
		Tick: c.given.Tick.D(), Election: c.given.Election.D(),
	}}
	for _, o := range c.members {
		if err := errors.Join(c.mesh.connect(name, o.name), c.mesh.connect(o.name, name)); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, m)
	return m, nil
}

// initialCluster is etcd's flag of that name.
func initialCluster(members []*member) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, m.name+"="+etcdproc.PeerURL(m.name))
	}
	return strings.Join(parts, ",")
}

// member is the one of that name, nil if there is none.
func (c *cluster) member(name string) *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.members, func(m *member) bool { return m.name == name })
	if i < 0 {
		return nil
	}
	return c.members[i]
}

// all are the members that there are now.
func (c *cluster) all() []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.members)
}

// Now implements sim.Cluster.
func (c *cluster) Now() time.Duration { return time.Since(c.start) }

// Advance implements sim.Cluster.
func (c *cluster) Advance(ctx context.Context, until time.Duration) error {
	t := time.NewTimer(max(0, until-c.Now()))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.watch.broken:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.holds(sim.AckedWritesSurvive) && c.Now()-c.counted > countEvery {
		if t := c.Tally(); t.Lost > 0 {
			c.watch.breaks(sim.AckedWritesSurvive, fmt.Sprintf("%d acknowledged writes are gone, of them %q", t.Lost, t.LostKeys[0]))
		}
		c.counted = c.Now()
	}
	return c.watch.invariant()
}

// countEvery spares the members: to look for lost writes is to list them all.
const countEvery = 2 * time.Second

// Checked implements sim.Cluster. Of raft's log only what a status shows can
// be seen from outside of a process.
func (c *cluster) Checked() []sim.Invariant {
	var checked []sim.Invariant
	for _, i := range []sim.Invariant{sim.OneLeaderPerTerm, sim.AppliedMonotone, sim.AckedWritesSurvive, sim.Linearizable} {
		if c.holds(i) {
			checked = append(checked, i)
		}
	}
	return checked
}

// holds says whether the drill wants an invariant looked at.
func (c *cluster) holds(i sim.Invariant) bool { return slices.Contains(c.given.Always, i) }

// besides starts what goes on beside the drill.
func (c *cluster) besides() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.watch, c.load = newWatch(c), newLoad(c)
	c.beside.Go(func() { c.watch.run(ctx) })
	c.beside.Go(func() { c.load.run(ctx) })
}

// Tally implements sim.Cluster.
func (c *cluster) Tally() sim.Tally { return c.load.tally() }

// Events implements sim.Cluster.
func (c *cluster) Events() []sim.Event { return c.watch.timeline() }

// Digest implements sim.Cluster: no two runs are equal.
func (c *cluster) Digest() string { return "" }

// Close implements sim.Cluster.
func (c *cluster) Close() error {
	if c.stop != nil {
		c.stop()
	}
	for _, t := range c.resumes {
		t.Stop()
	}
	for _, m := range c.all() {
		m.kill()
	}
	c.beside.Wait()
	return errors.Join(c.mesh.close(), c.lab.Close())
}
