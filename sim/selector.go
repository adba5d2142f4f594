package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Selector picks members: a name (m1, or what a step added), or one of
//
//	leader          the leader of the newest cluster, and in it of the highest term
//	follower        the first running voter that does not lead; followers: all
//	any             a running member, drawn from the seed
//	all             every member of the configuration
//	survivor        the one running voter of the newest cluster that knows most to be committed; survivors: all that run
//	learner         the learner
//	majority        as many running voters as a quorum is, the leader among them
//	minority        the running voters that are left beside a majority
//	down            every member that does not run and was not removed
//
// A selector never picks a member twice within one list: [leader, follower]
// and [follower, follower] are two members.
type Selector string

// ErrSelector says that a selector picked nobody.
var ErrSelector = errors.New("selector picks nobody")

func selectorWords() []string {
	return []string{"leader", "follower", "followers", "any", "all", "survivor", "survivors", "learner", "majority", "minority", "down"}
}

// Resolve turns selectors into names. Draws come from rng.
func Resolve(selectors []Selector, members []Member, rng *rand.Rand) ([]Selector, error) {
	var picked []Selector
	for _, s := range selectors {
		found := pick(string(s), members, rng, func(name string) bool { return slices.Contains(picked, Selector(name)) })
		if len(found) == 0 {
			return nil, fmt.Errorf("choosing %q among %s: %w", string(s), describe(members), ErrSelector)
		}
		for _, name := range found {
			picked = append(picked, Selector(name))
		}
	}
	return picked, nil
}

func pick(word string, members []Member, rng *rand.Rand, taken func(string) bool) []string {
	voters := func(m Member) bool { return m.Running() && !m.Learner }
	those := func(ok func(Member) bool) []string {
		var out []string
		for _, m := range members {
			if ok(m) && !taken(m.Name) {
				out = append(out, m.Name)
			}
		}
		return out
	}
	first := func(found []string) []string { return found[:min(1, len(found))] }
	leader := leaderOf(members)
	switch word {
	case "leader":
		return first(those(func(m Member) bool { return m.Name == leader }))
	case "follower":
		return first(those(func(m Member) bool { return voters(m) && m.Name != leader }))
	case "followers":
		return those(func(m Member) bool { return voters(m) && m.Name != leader })
	case "any":
		found := those(Member.Running)
		if len(found) == 0 {
			return nil
		}
		return []string{found[rng.IntN(len(found))]}
	case "all":
		return those(func(m Member) bool { return m.Role != RoleRemoved })
	case "survivors":
		return those(voters)
	case "survivor":
		return longest(those(voters), members)
	case "learner":
		return first(those(func(m Member) bool { return m.Learner && m.Role != RoleRemoved }))
	case "down":
		return those(func(m Member) bool { return m.Role == RoleDown })
	case "majority", "minority":
		return half(word, members, leader, taken)
	}
	return first(those(func(m Member) bool { return m.Name == word }))
}

// half splits the running voters: the majority is a quorum of the whole
// configuration with the leader in it.
func half(word string, members []Member, leader string, taken func(string) bool) []string {
	configured := 0
	var running []string
	for _, m := range members {
		if m.Learner || m.Role == RoleRemoved {
			continue
		}
		configured++
		if m.Running() && !taken(m.Name) {
			running = append(running, m.Name)
		}
	}
	slices.SortStableFunc(running, func(a, b string) int {
		switch {
		case a == leader && b != leader:
			return -1
		case b == leader && a != leader:
			return 1
		}
		return 0
	})
	quorum := min(configured/2+1, len(running))
	if word == "majority" {
		return running[:quorum]
	}
	return running[quorum:]
}

// leaderOf is the name of the leader of the newest cluster, and in it of the
// highest term; "" if nobody leads.
func leaderOf(members []Member) string {
	var best Member
	for _, m := range members {
		if m.Role == RoleLeader && cmp.Or(cmp.Compare(m.Epoch, best.Epoch), cmp.Compare(m.Term, best.Term)) >= 0 {
			best = m
		}
	}
	return best.Name
}

func longest(found []string, members []Member) []string {
	var best Member
	for _, m := range members {
		if slices.Contains(found, m.Name) && (best.Name == "" || cmp.Or(cmp.Compare(m.Epoch, best.Epoch), cmp.Compare(m.Commit, best.Commit)) > 0) {
			best = m
		}
	}
	if best.Name == "" {
		return nil
	}
	return []string{best.Name}
}

func describe(members []Member) string {
	parts := make([]string, len(members))
	for i, m := range members {
		parts[i] = m.Name + " (" + string(m.Role) + ")"
	}
	return strings.Join(parts, ", ")
}

func quote(s string) string { return strconv.Quote(s) }
