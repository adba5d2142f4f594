package drill

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// shown is a cluster that answers with fixed values; its clock is what is advanced.
// What it does not answer, nobody asks.
type shown struct {
	sim.Cluster
	now              time.Duration
	members          []sim.Member
	status           map[string]sim.Status
	tally            sim.Tally
	read, write      error
	objects, ofThem  int
	seen             int64
	writesFailBehind time.Duration // 0 for never
}

func (c *shown) Now() time.Duration                               { return c.now }
func (c *shown) Advance(_ context.Context, d time.Duration) error { c.now = d; return nil }
func (c *shown) Members() []sim.Member                            { return c.members }
func (c *shown) Tally() sim.Tally                                 { return c.tally }
func (c *shown) Seen() int64                                      { return c.seen }
func (c *shown) Checked() []sim.Invariant                         { return nil }
func (c *shown) Events() []sim.Event                              { return nil }
func (c *shown) Digest() string                                   { return "" }

func (c *shown) Status(_ context.Context, on string) (sim.Status, error) { return c.status[on], nil }

func (c *shown) Read(context.Context, string, bool, time.Duration) error { return c.read }

func (c *shown) Write(context.Context, []string, time.Duration) error {
	if c.writesFailBehind > 0 && c.now > c.writesFailBehind {
		return errors.New("etcdserver: request timed out")
	}
	return c.write
}

func (c *shown) Objects(context.Context, string, string) (read, of int, err error) {
	return c.objects, c.ofThem, nil
}

func member(name string, role sim.Role) sim.Member {
	return sim.Member{Name: name, Role: role}
}

// What is looked at is met or not; what nothing was looked at for is not.
func TestJudgeOfValues(t *testing.T) {
	t.Parallel()
	timedOut := errors.New("etcdserver: request timed out")
	two := []sim.Member{member("m1", sim.RoleLeader), member("m2", sim.RoleLeader)}
	one := []sim.Member{member("m1", sim.RoleLeader), member("m2", sim.RoleFollower)}
	at := func(rev int64, hash uint32) sim.Status { return sim.Status{Revision: rev, Hash: hash} }
	expect := func(subject sim.Subject, value string) sim.Expectation {
		return sim.Expectation{Subject: subject, Value: value}
	}
	for name, c := range map[string]struct {
		cluster shown
		expect  sim.Expectation
		met     bool
	}{
		"one leader":               {shown{members: one}, expect(sim.OnLeader, "exactly-one"), true},
		"two are not one":          {shown{members: two}, expect(sim.OnLeader, "exactly-one"), false},
		"two are several":          {shown{members: two}, expect(sim.OnLeader, "several"), true},
		"m1 leads":                 {shown{members: one}, expect(sim.OnLeader, "m1"), true},
		"m1 leads, and another":    {shown{members: two}, expect(sim.OnLeader, "m1"), false},
		"equal hashes":             {shown{members: one, status: map[string]sim.Status{"m1": at(7, 1), "m2": at(7, 1)}}, expect(sim.OnHash, "equal"), true},
		"other hashes":             {shown{members: one, status: map[string]sim.Status{"m1": at(7, 1), "m2": at(7, 2)}}, expect(sim.OnHash, "equal"), false},
		"hashes of two revisions":  {shown{members: one, status: map[string]sim.Status{"m1": at(7, 1), "m2": at(8, 1)}}, expect(sim.OnHash, "equal"), false},
		"one hash":                 {shown{members: one[:1], status: map[string]sim.Status{"m1": at(7, 1)}}, expect(sim.OnHash, "equal"), false},
		"fails as is said":         {shown{members: one, write: timedOut}, sim.Expectation{Subject: sim.OnWrite, Value: "fails", With: "timed out"}, true},
		"fails for another reason": {shown{members: one, write: timedOut}, sim.Expectation{Subject: sim.OnWrite, Value: "fails", With: "no leader"}, false},
		"nothing lost":             {shown{tally: sim.Tally{Acknowledged: 3, LostKnown: true}}, expect(sim.OnLost, "0"), true},
		"nothing acknowledged":     {shown{tally: sim.Tally{LostKnown: true}}, expect(sim.OnLost, "0"), false},
		"nobody knows":             {shown{tally: sim.Tally{Acknowledged: 3}}, expect(sim.OnLost, "0"), false},
		"all objects":              {shown{members: one, objects: 3, ofThem: 3}, expect(sim.OnObjects, "shop"), true},
		"some objects":             {shown{members: one, objects: 2, ofThem: 3}, expect(sim.OnObjects, "shop"), false},
		"no object to read":        {shown{members: one}, expect(sim.OnObjects, "shop"), false},
		"read only":                {shown{members: one, write: timedOut}, expect(sim.OnReadOnly, "true"), true},
		"reads and writes":         {shown{members: one}, expect(sim.OnReadOnly, "true"), false},
		"ahead of what was seen":   {shown{members: one, status: map[string]sim.Status{"m1": at(9, 1)}, seen: 8}, expect(sim.OnRevision, "ahead"), true},
		"where watchers were":      {shown{members: one, status: map[string]sim.Status{"m1": at(8, 1)}, seen: 8}, expect(sim.OnRevision, "ahead"), false},
	} {
		r := &runner{scenario: &sim.Scenario{Stop: sim.Duration(time.Hour)}, cluster: &c.cluster}
		met, observed, err := r.look(t.Context(), c.expect)
		require.NoError(t, err, name)
		require.Equal(t, c.met, met, "%s: %s", name, observed)
	}

	// What has to last is looked at to its end.
	for behind, met := range map[time.Duration]bool{0: true, 2 * time.Second: false} {
		r := &runner{scenario: &sim.Scenario{Stop: sim.Duration(time.Hour)}, cluster: &shown{members: one, writesFailBehind: behind}}
		check, err := r.judge(t.Context(), sim.Expectation{Subject: sim.OnWrite, Value: "ok", For: sim.Duration(5 * time.Second)})
		require.NoError(t, err)
		require.Equal(t, met, check.Met)
	}
}

// Limits are limits, and a gap that has not ended is as long as the run.
func TestRTOAndRPOOfValues(t *testing.T) {
	t.Parallel()
	second := func(n int) sim.Duration { return sim.Duration(time.Duration(n) * time.Second) }
	judged := func(tally sim.Tally, change func(*sim.Scenario)) sim.Run {
		s := &sim.Scenario{Measure: sim.Measure{RPO: true, From: "gone", Until: "steady"}, Given: sim.Given{Load: sim.Workload{Writes: 10}}}
		change(s)
		tally.LostKnown, tally.Acknowledged = true, 100
		r := &runner{scenario: s, cluster: &shown{now: 60 * time.Second, tally: tally}, run: sim.Run{Verdict: sim.Met, Steps: []sim.StepResult{{Name: "gone", Start: second(10), End: second(12)}}}}
		r.summary(t.Context())
		return r.run
	}
	none := func(*sim.Scenario) {}
	run := judged(sim.Tally{Gaps: []sim.Gap{{From: second(11), Until: second(15)}}}, none)
	require.Equal(t, second(5), run.RTO.Total)
	run = judged(sim.Tally{Gaps: []sim.Gap{{From: second(11), Until: second(15)}, {From: second(20)}}}, none)
	require.Equal(t, second(50), run.RTO.Total, "writes have not come back")
	for limit, met := range map[int]bool{2: false, 3: true} {
		run = judged(sim.Tally{Lost: 3}, func(s *sim.Scenario) { s.Expect.RPO = &limit })
		require.Equal(t, met, run.Verdict == sim.Met, "3 lost, %d may be", limit)
	}
	for limit, met := range map[int]bool{4: false, 5: true} {
		run = judged(sim.Tally{Gaps: []sim.Gap{{From: second(11), Until: second(15)}}}, func(s *sim.Scenario) { d := second(limit); s.Expect.RTO = &d })
		require.Equal(t, met, run.Verdict == sim.Met, "5 s, %d s may be", limit)
	}
	run = judged(sim.Tally{Lost: 1}, func(s *sim.Scenario) { s.Always = []sim.Invariant{sim.AckedWritesSurvive} })
	require.Equal(t, sim.Deviated, run.Verdict, "one is too many")

	// Without a leader to the end is without one.
	role := func(at int, role sim.Role) sim.Event {
		return sim.Event{At: second(at), Kind: sim.EventRole, Member: "m1", Role: role}
	}
	led := &sim.Run{Length: second(60), Events: []sim.Event{role(1, sim.RoleLeader), role(12, sim.RoleDown), role(14, sim.RoleLeader), role(50, sim.RoleDown)}}
	require.Equal(t, second(10), withoutLeader(led, second(10)))
	led.Events = led.Events[:3]
	require.Equal(t, second(2), withoutLeader(led, second(10)))
}

// The shards of some seeds are those seeds, each once.
func TestShardsAreTheSeeds(t *testing.T) {
	t.Parallel()
	all := sim.Range{First: 3, Last: 17}
	for of := 1; of <= 5; of++ {
		var seeds []uint64
		for i := range of {
			mine, err := seedsOf(Shard{Index: i, Of: of}, all)
			require.NoError(t, err)
			seeds = append(seeds, mine...)
		}
		slices.Sort(seeds)
		require.Len(t, seeds, 15)
		require.Len(t, slices.Compact(seeds), 15)
	}
}
