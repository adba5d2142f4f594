package oldetcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// rounds is `make soak`'s: clusters that are written to by many, whose members
// come and go, and that are killed at any moment. One round without
// LIFEBOAT_SOAK, 50 with 20.
func (b *bench) rounds(t *testing.T) {
	count := 1
	if factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && factor > 1 {
		count = 5 * factor / 2
	}
	for range count {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { b.round(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

// round: without one of the voters' dirs, the others give every write that was
// acknowledged, and none that was never asked for.
func (b *bench) round(t *testing.T, r *rand.Rand) {
	members, c := newCluster(t, b.server, 3, "--snapshot-count", strconv.Itoa([]int{10, 50, 100_000}[r.IntN(3)]))
	w := startWriters(t, members)
	voters, others := b.change(t, r, members, c)
	time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
	if r.IntN(2) == 0 { // one goes before the others
		voters[r.IntN(len(voters))].kill()
		time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
	}
	var running []*member
	for _, m := range slices.Concat(voters, others) {
		if m.cmd != nil {
			running = append(running, m)
		}
	}
	killAll(running)
	w.stop()

	lost := r.IntN(len(voters))
	given := slices.Delete(slices.Clone(voters), lost, lost+1)
	for _, m := range others { // a learner may have been killed before it was anything
		if _, err := os.Stat(filepath.Join(m.dir, "member", "snap", "db")); err == nil {
			given = append(given, m)
		}
	}
	got := b.rebuilt(t, given)
	require.NotEmpty(t, w.acked)
	for key, acked := range w.acked {
		value, err := strconv.Atoi(got[key])
		require.NoError(t, err, "%s was acknowledged", key)
		require.GreaterOrEqual(t, value, acked, "%s was acknowledged", key)
		require.LessOrEqual(t, value, w.asked[key], key)
	}
}

// change adds a learner in most rounds, and has it become a voter, or take
// another's place. others are the dirs of those who have no vote.
func (b *bench) change(t *testing.T, r *rand.Rand, members []*member, c *clientv3.Client) (voters, others []*member) {
	t.Helper()
	step := r.IntN(4)
	if step == 0 {
		return members, nil
	}
	m3 := b.join(t, members, c)
	if step == 1 {
		return members, []*member{m3}
	}
	until(t, func(ctx context.Context) error {
		list, err := c.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, m := range list.Members {
			if m.IsLearner {
				_, err = c.MemberPromote(ctx, m.ID)
			}
		}
		return err
	})
	if step == 2 {
		return append(slices.Clone(members), m3), nil
	}
	b.leave(t, &load{t: t}, members[0], members[1])
	return append(slices.Clone(members[1:]), m3), []*member{members[0]}
}

// rebuilt is what a real server holds on what lifeboat builds of some dirs.
func (b *bench) rebuilt(t *testing.T, given []*member) map[string]string {
	t.Helper()
	m := newMember(t, b.server, given[0].name, filepath.Join(t.TempDir(), "result"))
	args := []string{"etcd", "rebuild", given[0].dir, "--to", m.dir, "--initial-advertise-peer-urls", m.peer}
	for _, peer := range given[1:] {
		args = append(args, "--peer-dir", peer.dir)
	}
	_, stderr := b.run(t, args...)
	require.NotContains(t, stderr, "no majority")
	m.start(t, []*member{m})
	got := ask(t, m.dial(t)).Keys
	m.kill()
	require.NoError(t, os.RemoveAll(m.dir))
	return got
}

// writers put growing numbers, each under a key of its own, and compact.
type writers struct {
	sync.Mutex
	acked, asked map[string]int
	stop         func()
}

func startWriters(t *testing.T, members []*member) *writers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &writers{acked: map[string]int{}, asked: map[string]int{}}
	var group sync.WaitGroup
	for i := range 4 {
		c := members[i%len(members)].dial(t)
		c.SetEndpoints(members[0].client, members[1].client, members[2].client)
		group.Go(func() { w.write(ctx, c, fmt.Sprint("/n/", i)) })
	}
	w.stop = func() { cancel(); group.Wait() }
	t.Cleanup(w.stop)
	return w
}

func (w *writers) write(ctx context.Context, c *clientv3.Client, key string) {
	for n := 1; ctx.Err() == nil; n++ {
		w.Lock()
		w.asked[key] = n
		w.Unlock()
		one, cancel := context.WithTimeout(ctx, time.Second)
		put, err := c.Put(one, key, strconv.Itoa(n))
		if err == nil {
			w.Lock()
			w.acked[key] = n
			w.Unlock()
			if n%40 == 0 {
				_, _ = c.Compact(one, put.Header.Revision-5) // another may have been faster
			}
		}
		cancel()
	}
}
