package members

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// harbour unpacks the fixture's snapshot.
func harbour(t *testing.T) string {
	t.Helper()
	f, err := os.Open("../../testdata/harbour/kube-backup.tar.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		require.NoError(t, err, "the fixture holds a snapshot")
		if filepath.Base(h.Name) != "etcd-backup.snapshot" {
			continue
		}
		out := filepath.Join(t.TempDir(), "db")
		w, err := os.Create(out)
		require.NoError(t, err)
		_, err = io.Copy(w, r)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return out
	}
}

// Three members on a backup's data: all have the same, and a rebuild of the
// last of them keeps it, under a revision that no watcher has seen. A member of
// the old cluster that comes back finds no way in.
func TestRebuildOnBackup(t *testing.T) {
	t.Parallel()
	g := given(3)
	g.Snapshot = harbour(t)
	g.Objects = objectsIn(t, g.Snapshot)
	g.Load = sim.Workload{Writes: 50, Clients: 3}
	c := start(t, g)
	ctx := t.Context()
	writes(t, c, 20*time.Second)
	first := leader(t, c)
	objects, of, err := c.Objects(ctx, first, "infra-production")
	require.NoError(t, err)
	require.Positive(t, objects)
	require.Equal(t, of, objects)
	within(t, c, 10*time.Second, func() bool { return c.Tally().Acknowledged > 20 })

	all := others(c)
	last := others(c, first)[0]
	for _, name := range others(c, last) {
		do(t, c, sim.Kill, name)
	}
	before, err := c.Status(ctx, last)
	require.NoError(t, err)
	do(t, c, sim.Rebuild, last)
	writes(t, c, 10*time.Second)
	tally := c.Tally()
	require.Positive(t, tally.Acknowledged)
	require.Zero(t, tally.Lost, "the whole log is kept: %q", tally.LostKeys)
	kept, _, err := c.Objects(ctx, last, "infra-production")
	require.NoError(t, err)
	require.Equal(t, objects, kept)
	require.Equal(t, sim.ObjectLoss{Of: len(g.Objects)}, c.ObjectLoss(ctx))
	after, err := c.Status(ctx, last)
	require.NoError(t, err)
	require.Greater(t, after.Revision, c.Seen())
	require.GreaterOrEqual(t, c.Seen(), before.Revision)

	do(t, c, sim.Start, first)
	require.NoError(t, c.Advance(ctx, c.Now()+2*time.Second))
	require.NotEqual(t, sim.RoleLeader, role(c, first))
	for _, m := range c.Members() {
		require.Equal(t, m.Name == last, m.Epoch == 1, "%+v", m)
	}
	require.Equal(t, "connection refused", c.Read(ctx, others(c, first, last)[0], false, time.Second).Error())
	list, err := c.MemberList(ctx, last)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Len(t, all, 3)
}

// A snapshot that was saved and restored: what was written since is lost, and
// counted by name.
func TestRestoreLoses(t *testing.T) {
	t.Parallel()
	g := given(1)
	g.Load = sim.Workload{Writes: 100, Reads: 100, Clients: 2}
	g.Always = []sim.Invariant{sim.AckedWritesSurvive, sim.Linearizable}
	c := start(t, g)
	ctx := t.Context()
	require.ErrorContains(t, c.try(ctx, sim.Restore, "m1"), "nothing was saved, and the drill has no backup")
	writes(t, c, 20*time.Second)
	do(t, c, sim.Save, "m1")
	acked := c.Tally().Acknowledged
	within(t, c, 10*time.Second, func() bool { return c.Tally().Acknowledged > acked+20 })
	no := false
	require.NoError(t, c.Do(ctx, sim.Action{Verb: sim.Restore, Targets: []sim.Selector{"m1"}, BumpRevision: &no}))
	tally := c.Tally()
	require.Greater(t, tally.Lost, 15)
	require.NotEmpty(t, tally.LostKeys)
	s, err := c.Status(ctx, "m1")
	require.NoError(t, err)
	require.Less(t, s.Revision, c.Seen(), "watchers are ahead")

	err = c.Advance(ctx, c.Now()+countEvery+time.Second)
	require.ErrorIs(t, err, sim.ErrInvariant)
	require.ErrorContains(t, err, "acknowledged writes are gone")
	require.ErrorContains(t, c.Linearizable(ctx), "the reads and writes of the load fit no order", "clients saw time go back")
}

// etcd's own way out ends a surviving learner with a panic; ours makes it a
// cluster.
func TestLearnerSurvives(t *testing.T) {
	t.Parallel()
	g := given(1)
	g.Learners = 1
	c := start(t, g)
	ctx := t.Context()
	within(t, c, 20*time.Second, func() bool { return c.Read(ctx, "m2", false, time.Second) == nil })
	require.Equal(t, sim.RoleLearner, role(c, "m2"))
	writes(t, c, 10*time.Second)
	do(t, c, sim.Kill, "m1")
	err := c.try(ctx, sim.ForceNewCluster, "m2")
	require.ErrorContains(t, err, "removed all voters")
	require.Equal(t, sim.RoleDown, role(c, "m2"))
	do(t, c, sim.Rebuild, "m2")
	writes(t, c, 10*time.Second)
	require.Equal(t, sim.RoleLeader, role(c, "m2"))
}

// Careless: two survivors that do not see each other are both forced. Each of
// them leads, under one cluster id; that is no breach of raft but two clusters,
// and they stay two when the network is whole again.
func TestSplitBrain(t *testing.T) {
	t.Parallel()
	g := given(3)
	g.Always = []sim.Invariant{sim.OneLeaderPerTerm}
	c := start(t, g)
	writes(t, c, 20*time.Second)
	do(t, c, sim.Kill, "m1", "m2", "m3")
	require.EqualError(t, c.Write(t.Context(), nil, time.Second), "no member runs")
	do(t, c, sim.Isolate, "m1")
	do(t, c, sim.ForceNewCluster, "m1")
	do(t, c, sim.ForceNewCluster, "m2")
	do(t, c, sim.Heal)
	require.NoError(t, c.Advance(t.Context(), c.Now()+time.Second))
	for _, name := range []string{"m1", "m2"} {
		writes(t, c, 10*time.Second, name)
		require.Equal(t, sim.RoleLeader, role(c, name))
	}

	// One that the first cluster can tell that it was removed gives up.
	_ = c.try(t.Context(), sim.Start, "m3")
	within(t, c, 15*time.Second, func() bool { return role(c, "m3") == sim.RoleDown })
}

// A disk that is lost takes the member's identity along: etcd does not let it
// begin again under its old one. A removed member does not come back either.
func TestComesBack(t *testing.T) {
	t.Parallel()
	c := start(t, given(3))
	ctx := t.Context()
	writes(t, c, 20*time.Second)
	do(t, c, sim.MoveLeader, others(c, leader(t, c))[0])
	lead := leader(t, c)
	lost := others(c, lead)[0]
	do(t, c, sim.DiskLoss, lost)
	require.ErrorContains(t, c.try(ctx, sim.Start, lost), "has already been bootstrapped")
	require.Equal(t, sim.RoleDown, role(c, lost))

	do(t, c, sim.Remove, lost)
	require.Equal(t, sim.RoleRemoved, role(c, lost))
	within(t, c, 15*time.Second, func() bool { return c.try(ctx, sim.AddLearner, "m4") == nil })
	do(t, c, sim.Start, "m4")
	within(t, c, 30*time.Second, func() bool { return c.try(ctx, sim.Promote, "m4") == nil })
	list, err := c.MemberList(ctx, lead)
	require.NoError(t, err)
	require.Len(t, list, 3)

	do(t, c, sim.Stop, lead)
	require.Equal(t, sim.RoleDown, role(c, lead))
	writes(t, c, 10*time.Second)
	do(t, c, sim.Start, lead)
	writes(t, c, 10*time.Second, lead)

	// One that stands still loses the lead, and has it no more when it goes on.
	lead = leader(t, c)
	require.NoError(t, c.Do(ctx, sim.Action{Verb: sim.ClockPause, Targets: []sim.Selector{sim.Selector(lead)}, By: sim.Duration(4 * time.Second)}))
	next := leader(t, c, lead)
	within(t, c, 10*time.Second, func() bool { return role(c, lead) == sim.RoleFollower })
	require.Equal(t, next, leader(t, c))
}
