package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// judge looks at an expectation until it is met or its time is over. The error
// is one that ends the run.
func (r *runner) judge(ctx context.Context, e sim.Expectation) (sim.Check, error) {
	start := r.cluster.Now()
	check := sim.Check{Expected: e.String()}
	for {
		met, observed, err := r.look(ctx, e)
		check.Met, check.Observed, check.At = met, observed, sim.Duration(r.cluster.Now())
		if err != nil {
			check.Met = false
			return check, err
		}
		if met {
			check.Took = check.At - sim.Duration(start)
			return r.lasts(ctx, e, check)
		}
		if r.cluster.Now()-start >= e.Within.D() {
			return check, nil
		}
		if err := r.advance(ctx, min(r.cluster.Now()+poll, start+e.Within.D())); err != nil {
			return check, err
		}
	}
}

// lasts holds what is met to `for`.
func (r *runner) lasts(ctx context.Context, e sim.Expectation, check sim.Check) (sim.Check, error) {
	end := r.cluster.Now() + e.For.D()
	for r.cluster.Now() < end {
		if err := r.advance(ctx, min(r.cluster.Now()+2*poll, end)); err != nil {
			check.Met = false
			return check, err
		}
		met, observed, err := r.look(ctx, e)
		if !met || err != nil {
			check.Met, check.Observed, check.At = false, observed+", after it had held", sim.Duration(r.cluster.Now())
			return check, err
		}
	}
	return check, nil
}

// look measures once.
func (r *runner) look(ctx context.Context, e sim.Expectation) (met bool, observed string, err error) {
	if r.cluster.Now() > r.scenario.Stop.D() {
		return false, "nothing", errStopped
	}
	members := r.cluster.Members()
	switch e.Subject {
	case sim.OnLeader:
		return leader(e.Value, members)
	case sim.OnTerm:
		now := highestTerm(members)
		observed = fmt.Sprintf("term %d, was %d", now, r.term)
		return (now == r.term) == (e.Value == "same"), observed, nil
	case sim.OnAction:
		return outcome(e.Value, e.With, r.action)
	case sim.OnLost:
		tally := r.cluster.Tally()
		lost := tally.Lost
		if !tally.LostKnown {
			return false, sim.LossUnknown, nil
		}
		if tally.Acknowledged == 0 {
			return false, "not checked: no write was acknowledged, so none could be lost", nil
		}
		if e.Value == "some" {
			return lost > 0, strconv.Itoa(lost), nil
		}
		return strconv.Itoa(lost) == e.Value, strconv.Itoa(lost), nil
	case sim.OnRevision:
		return r.revision(ctx, e, members)
	}
	on, err := r.asked(e, members)
	if err != nil {
		return false, err.Error(), nil //nolint:nilerr // that nobody is left is what was seen
	}
	switch e.Subject {
	case sim.OnWrite:
		err := r.cluster.Write(ctx, r.writers(e, on), attempt)
		return outcome(e.Value, e.With, err)
	case sim.OnReadOnly:
		return r.readOnly(ctx, e, on)
	case sim.OnHash:
		return r.hash(ctx, on)
	}
	// The rest asks one member, and without `on` each that runs in turn.
	name := on[r.rotate%len(on)]
	if len(e.On) == 0 {
		r.rotate++
	}
	return r.ask(ctx, e, name)
}

// ask measures at one member.
func (r *runner) ask(ctx context.Context, e sim.Expectation, name string) (bool, string, error) {
	switch e.Subject {
	case sim.OnRead:
		is := e.Is
		if is == "" {
			is = "ok"
		}
		return outcome(is, e.With, r.cluster.Read(ctx, name, e.Value == "linearizable", attempt))
	case sim.OnMembers, sim.OnVoters, sim.OnLearners:
		// As `etcdctl member list`: a member that lags behind, or is cut off, may
		// not answer from what it has.
		if !e.Serializable {
			if err := r.cluster.Read(ctx, name, true, attempt); err != nil {
				return excuse(err)
			}
		}
		list, err := r.cluster.MemberList(ctx, name)
		if err != nil {
			return excuse(err)
		}
		n := 0
		for _, m := range list {
			if e.Subject == sim.OnMembers || m.Learner == (e.Subject == sim.OnLearners) {
				n++
			}
		}
		return strconv.Itoa(n) == e.Value, strconv.Itoa(n) + " as " + name + " sees it", nil
	case sim.OnStatus, sim.OnAlarms:
		status, err := r.cluster.Status(ctx, name)
		if err != nil {
			return excuse(err)
		}
		found := status.Errors
		if e.Subject == sim.OnAlarms {
			found = status.Alarms
		}
		if len(found) == 0 {
			return e.Value == "none" || e.Value == "ok", "none at " + name, nil
		}
		observed := strings.Join(found, "; ")
		return e.Value != "none" && e.Value != "ok" && strings.Contains(observed, e.Value), observed + " at " + name, nil
	case sim.OnObjects:
		read, of, err := r.cluster.Objects(ctx, name, e.Value)
		if err != nil {
			return excuse(err)
		}
		return read == of && of > 0, fmt.Sprintf("%d of the backup's %d objects at %s", read, of, name), nil
	}
	return false, "", fmt.Errorf("measuring %q: %w", e.Subject, sim.ErrUnsupported)
}

// excuse tells what a client would be told from what ends the run.
func excuse(err error) (bool, string, error) {
	if serious(err) || errors.Is(err, sim.ErrUnsupported) {
		return false, err.Error(), err
	}
	return false, err.Error(), nil
}

// outcome compares what a client was told with ok or fails.
func outcome(want, with string, err error) (bool, string, error) {
	switch {
	case err == nil:
		return want == "ok", "ok", nil
	case serious(err) || errors.Is(err, sim.ErrUnsupported):
		return false, err.Error(), err
	}
	return want == "fails" && strings.Contains(err.Error(), with), err.Error(), nil
}

// asked are the members that an expectation looks at: those of `on`, else all
// running voters. Nobody is an observation, not an error.
func (r *runner) asked(e sim.Expectation, members []sim.Member) ([]string, error) {
	selectors := e.On
	if len(selectors) == 0 {
		selectors = []sim.Selector{"survivors"}
	}
	resolved, err := sim.Resolve(selectors, members, r.rng)
	if err != nil {
		return nil, err
	}
	return sim.Action{Targets: resolved}.Names(), nil
}

// writers leaves the choice to the engine where the drill does.
func (r *runner) writers(e sim.Expectation, on []string) []string {
	if len(e.On) == 0 {
		return nil
	}
	return on
}

func leader(want string, members []sim.Member) (bool, string, error) {
	var leaders []string
	for _, m := range members {
		if m.Role == sim.RoleLeader {
			leaders = append(leaders, m.Name)
		}
	}
	observed := "none"
	if len(leaders) > 0 {
		observed = strings.Join(leaders, " and ")
	}
	switch want {
	case "none":
		return len(leaders) == 0, observed, nil
	case "several":
		return len(leaders) > 1, observed, nil
	case "exactly-one":
		return len(leaders) == 1, observed, nil
	}
	return len(leaders) == 1 && leaders[0] == want, observed, nil
}

// readOnly is the state in which serializable reads work and writes do not.
func (r *runner) readOnly(ctx context.Context, e sim.Expectation, on []string) (bool, string, error) {
	read := r.cluster.Read(ctx, on[0], false, attempt)
	if serious(read) {
		return false, read.Error(), read
	}
	write := r.cluster.Write(ctx, r.writers(e, on), attempt)
	if serious(write) {
		return false, write.Error(), write
	}
	say := func(err error) string {
		if err == nil {
			return "ok"
		}
		return err.Error()
	}
	observed := fmt.Sprintf("serializable read %s, write %s", say(read), say(write))
	if e.Value == "true" {
		return read == nil && write != nil, observed, nil
	}
	return write == nil, observed, nil
}

// hash compares the stores of members at one revision. Members that are at
// different revisions say nothing yet.
func (r *runner) hash(ctx context.Context, on []string) (bool, string, error) {
	var parts []string
	var hashes []uint32
	var revisions []int64
	for _, name := range on {
		s, err := r.cluster.Status(ctx, name)
		if err != nil {
			return excuse(err)
		}
		hashes, revisions = append(hashes, s.Hash), append(revisions, s.Revision)
		parts = append(parts, fmt.Sprintf("%s %08x at revision %d", name, s.Hash, s.Revision))
	}
	if len(on) < 2 {
		return false, "not checked: " + parts[0] + ", and no other voter to compare it with", nil
	}
	same := len(slices.Compact(slices.Clone(hashes))) == 1 && len(slices.Compact(slices.Clone(revisions))) == 1
	return same, strings.Join(parts, ", "), nil
}

// revision compares the store with what watchers had seen before the restore.
func (r *runner) revision(ctx context.Context, e sim.Expectation, members []sim.Member) (bool, string, error) {
	memory, ok := r.cluster.(interface{ Seen() int64 })
	if !ok {
		return false, "", fmt.Errorf("measuring %q: %w", e.Subject, sim.ErrUnsupported)
	}
	on := e.On
	if len(on) == 0 {
		on = []sim.Selector{"leader"}
	}
	resolved, err := sim.Resolve(on, members, r.rng)
	if err != nil {
		return false, err.Error(), nil //nolint:nilerr // that nobody leads is what was seen
	}
	s, err := r.cluster.Status(ctx, string(resolved[0]))
	if err != nil {
		return excuse(err)
	}
	observed := fmt.Sprintf("revision %d, and watchers have seen %d", s.Revision, memory.Seen())
	return (s.Revision > memory.Seen()) == (e.Value == "ahead"), observed, nil
}
