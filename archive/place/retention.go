package place

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Facts are what retention has to know of an archive.
type Facts struct {
	Entry
	Cluster  string    // UID of the namespace kube-system, "" when nothing proves it
	Revision int64     // of etcd
	Time     time.Time // when the snapshot was made
	Proven   time.Time // when a start from it last succeeded, zero for never
	Locked   string    // why it cannot be removed yet, "" when it can
}

// Policy says what to keep, in restic's words. Counts are per cluster; 0 is
// none, -1 all.
type Policy struct {
	Last, Hourly, Daily, Weekly, Monthly, Yearly int
	Within                                       Duration // before the newest archive of the cluster
}

// Empty reports whether the policy would keep nothing.
func (p Policy) Empty() bool { return p == Policy{} }

// Validate rejects what nobody can mean.
func (p Policy) Validate() error {
	for _, n := range []int{p.Last, p.Hourly, p.Daily, p.Weekly, p.Monthly, p.Yearly} {
		if n < -1 {
			return fmt.Errorf("keeping %d archives: a count is at least 0, or -1 for all", n)
		}
	}
	if p.Empty() {
		return errors.New("nothing says what to keep: everything would go")
	}
	return nil
}

// Decision is what becomes of one archive.
type Decision struct {
	Facts
	Reasons []string // why it stays; empty when it goes
}

// Keep reports whether the archive stays.
func (d Decision) Keep() bool { return len(d.Reasons) > 0 }

// Apply decides for every archive, by cluster and then newest first. The order
// within a cluster is that of etcd's revisions, which only grow: a clock or a
// name that somebody chose cannot push a real archive out (restic#22057).
//
// Whatever the policy says, these stay: an archive whose cluster is not proven,
// one that a lock holds, and of each cluster the newest and the last one proven
// by a start.
func (p Policy) Apply(archives []Facts) []Decision {
	byCluster := map[string][]Facts{}
	for _, a := range archives {
		byCluster[a.Cluster] = append(byCluster[a.Cluster], a)
	}
	var all []Decision
	for cluster, list := range byCluster {
		slices.SortFunc(list, func(a, b Facts) int {
			return cmp.Or(cmp.Compare(b.Revision, a.Revision), b.Time.Compare(a.Time), strings.Compare(a.Name, b.Name))
		})
		decisions := p.ofCluster(list)
		for i := range decisions {
			decisions[i].Reasons = append(always(cluster, list, i), decisions[i].Reasons...)
		}
		all = append(all, decisions...)
	}
	slices.SortStableFunc(all, func(a, b Decision) int { return strings.Compare(a.Cluster, b.Cluster) })
	return all
}

// always are the reasons that no policy overrules.
func always(cluster string, list []Facts, i int) []string {
	var reasons []string
	if cluster == "" {
		reasons = append(reasons, "its cluster is not proven")
	}
	if list[i].Locked != "" {
		reasons = append(reasons, list[i].Locked)
	}
	if i == 0 && cluster != "" {
		reasons = append(reasons, "newest of its cluster")
	}
	last := -1
	for j, a := range list {
		if !a.Proven.IsZero() && (last < 0 || a.Proven.After(list[last].Proven)) {
			last = j
		}
	}
	if i == last {
		reasons = append(reasons, "last one proven")
	}
	return reasons
}

// bucket keeps the newest archive of each period, so many of them.
type bucket struct {
	left   int
	period func(t time.Time, nr int) int
	last   int
	reason string
}

// ofCluster applies the policy to one cluster's archives, newest first, as
// restic's forget does (restic internal/data/snapshot_policy.go): the newest of
// each period stays, and while a count is not used up, the oldest of all.
func (p Policy) ofCluster(list []Facts) []Decision {
	buckets := []bucket{
		{p.Last, func(_ time.Time, nr int) int { return nr }, -1, "last"},
		{p.Hourly, hour, -1, "hourly"},
		{p.Daily, day, -1, "daily"},
		{p.Weekly, week, -1, "weekly"},
		{p.Monthly, month, -1, "monthly"},
		{p.Yearly, func(t time.Time, _ int) int { return t.Year() }, -1, "yearly"},
	}
	decisions := make([]Decision, len(list))
	for nr, a := range list {
		decisions[nr].Facts = a
		if p.Within != (Duration{}) && a.Time.After(p.Within.Before(list[0].Time)) {
			decisions[nr].Reasons = append(decisions[nr].Reasons, "within "+p.Within.String())
		}
		for i := range buckets {
			if reason := buckets[i].take(a.Time, nr, nr == len(list)-1); reason != "" {
				decisions[nr].Reasons = append(decisions[nr].Reasons, reason)
			}
		}
	}
	return decisions
}

// take says why an archive stays, "" when this bucket does not need it.
func (b *bucket) take(t time.Time, nr int, oldest bool) string {
	if b.left == 0 {
		return ""
	}
	period, reason := b.period(t, nr), b.reason
	switch {
	case period != b.last:
	case oldest:
		reason = "oldest " + reason
	default:
		return ""
	}
	b.last = period
	if b.left > 0 {
		b.left--
	}
	return reason
}

func hour(t time.Time, _ int) int  { return day(t, 0)*100 + t.Hour() }
func day(t time.Time, _ int) int   { return month(t, 0)*100 + t.Day() }
func month(t time.Time, _ int) int { return t.Year()*100 + int(t.Month()) }
func week(t time.Time, _ int) int {
	year, week := t.ISOWeek()
	return year*100 + week
}
