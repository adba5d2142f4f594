package members

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func TestMain(m *testing.M) {
	etcdproc.Main(datadir.Tasks()...)
	drill.Main()
	if dir := os.Getenv(drillEnv); dir != "" {
		if err := runDrill(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// given is a cluster as a drill's defaults have it.
func given(members int) sim.Given {
	return sim.Given{Members: members, PreVote: true}
}

func start(t *testing.T, g sim.Given) *cluster {
	t.Helper()
	dir := t.TempDir()
	started, err := Engine{Dir: dir}.Start(t.Context(), g, 0)
	require.NoError(t, err)
	c := started.(*cluster)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		requireNothing(t, dir)
	})
	return c
}

// requireNothing holds that no process and no file is left.
func requireNothing(t *testing.T, dir string) {
	t.Helper()
	require.Empty(t, processes(t, dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// processes are those at work in a folder under dir.
func processes(t *testing.T, dir string) (pids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(cwd, dir+"/") {
			continue // gone since, or not of this test
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// do carries out an action on members.
func (c *cluster) try(ctx context.Context, verb sim.Verb, names ...string) error {
	a := sim.Action{Verb: verb}
	for _, name := range names {
		a.Targets = append(a.Targets, sim.Selector(name))
	}
	return c.Do(ctx, a)
}

func do(t *testing.T, c *cluster, verb sim.Verb, names ...string) {
	t.Helper()
	require.NoError(t, c.try(t.Context(), verb, names...))
}

// enough bounds what answers at once where the machine is not busy.
const enough = 20 * time.Second

// within waits until the cluster is as wanted and returns how long it took.
func within(t *testing.T, c *cluster, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := c.Now()
	for !ok() {
		require.Less(t, c.Now()-began, limit, "%v", c.Members())
		require.NoError(t, c.Advance(t.Context(), c.Now()+20*time.Millisecond))
	}
	return c.Now() - began
}

// leader waits for a leader that more than half of the members follow, other
// than those named.
func leader(t *testing.T, c *cluster, not ...string) (name string) {
	t.Helper()
	within(t, c, 15*time.Second, func() bool {
		var best sim.Member
		for _, m := range c.Members() {
			if m.Role == sim.RoleLeader && m.Term > best.Term && !contains(not, m.Name) {
				best = m
			}
		}
		name = best.Name
		return name != ""
	})
	return name
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// others are the members but those named.
func others(c *cluster, not ...string) (names []string) {
	for _, m := range c.Members() {
		if !contains(not, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

func role(c *cluster, name string) sim.Role {
	for _, m := range c.Members() {
		if m.Name == name {
			return m.Role
		}
	}
	return ""
}

// writes waits until a write is acknowledged.
func writes(t *testing.T, c *cluster, limit time.Duration, on ...string) time.Duration {
	t.Helper()
	return within(t, c, limit, func() bool { return c.Write(t.Context(), on, 2*time.Second) == nil })
}
