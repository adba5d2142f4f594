package lifeboat

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// PlaceReport is what is known of a place.
type PlaceReport struct {
	Place    string          `json:"place"`
	Findings []Finding       `json:"items"`    // by name
	Clusters []ClusterReport `json:"clusters"` // by UID

	how PlaceOptions
}

// ClusterReport is what the archives of one cluster are together.
type ClusterReport struct {
	Cluster  string          `json:"cluster"` // UID of the namespace kube-system
	Archives int             `json:"archives"`
	Outcomes map[Outcome]int `json:"outcomes"`
	Newest   *Finding        `json:"-"`                // the newest of them that may be restored from; nil for none
	Name     string          `json:"newest,omitempty"` // of Newest
	Time     time.Time       `json:"newestTime,omitzero"`
	Revision int64           `json:"newestRevision,omitempty"`
	Verified time.Time       `json:"lastVerified,omitzero"` // when one of them last was found good
	Checks   []Check         `json:"checks"`
}

// judge compares the archives of each cluster with each other.
func (r *PlaceReport) judge() {
	byCluster := map[string][]*Finding{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Cluster != "" {
			byCluster[f.Cluster] = append(byCluster[f.Cluster], f)
		}
	}
	for cluster, list := range byCluster {
		c := ClusterReport{Cluster: cluster, Archives: len(list), Outcomes: map[Outcome]int{}}
		slices.SortStableFunc(list, func(a, b *Finding) int {
			return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.Time.Compare(b.Time), strings.Compare(a.Name, b.Name))
		})
		for _, f := range list {
			c.Outcomes[f.Outcome]++
			if f.Outcome == OutcomeGood && f.Looked.After(c.Verified) {
				c.Verified = f.Looked
			}
			if f.usable() {
				c.Newest = f
			}
		}
		if c.Newest != nil {
			c.Name, c.Time, c.Revision = c.Newest.Name, c.Newest.Time, c.Newest.Revision
		}
		c.Checks = append(c.Checks, revisions(list)...)
		if r.how.Shard.Of == 0 { // a share need not have the newest
			c.Checks = append(c.Checks, c.freshness(r.how)...)
		}
		r.Clusters = append(r.Clusters, c)
	}
	slices.SortFunc(r.Clusters, func(a, b ClusterReport) int { return strings.Compare(a.Cluster, b.Cluster) })
}

// usable reports whether an archive may count as the newest: what was found bad
// or belongs to nobody does not make a backup fresh.
func (f *Finding) usable() bool {
	return f.Revision > 0 && (f.Outcome == OutcomeGood || f.Outcome == OutcomeNotChecked || f.Outcome == OutcomeNoKey)
}

// revisions compares what the archives of one cluster, in the order of their
// revisions, say of the same moment.
func revisions(list []*Finding) []Check {
	const name = "revisions"
	type moment struct{ revision, compact int64 }
	seen := map[moment]*Finding{}
	var checks []Check
	var last *Finding
	compared := int64(0)
	for _, f := range list {
		if f.Outcome != OutcomeGood {
			continue
		}
		compared++
		if last != nil && f.Clock && last.Clock && f.Time.Before(last.Time) && f.Revision > last.Revision {
			checks = append(checks, Note(name, "%q is newer than %q by etcd's revision and older by the clock: the cluster was restored in between, or a clock was wrong", f.Name, last.Name))
		}
		last = f
		if f.Hash == 0 {
			continue
		}
		at := moment{f.Revision, f.CompactRevision}
		if before, ok := seen[at]; ok && before.Hash != f.Hash {
			checks = append(checks, Mismatch(name, "%q and %q are both of revision %d and differ: the cluster's history has forked", before.Name, f.Name, f.Revision))
			continue
		}
		seen[at] = f
	}
	return append(checks, Good(name, compared, "archives", "%d archives that were verified, compared", compared))
}

// ahead is by how much a clock may be wrong before nothing is believed of it.
const ahead = 10 * time.Minute

func (c *ClusterReport) freshness(how PlaceOptions) []Check {
	const name = "age of the newest"
	switch age := how.now().Sub(c.Time); {
	case c.Newest == nil:
		return []Check{Mismatch(name, "none of its %d archives may be restored from", c.Archives)}
	case how.MaxAge == (place.Duration{}):
		return nil
	case age < -ahead:
		return []Check{Mismatch(name, "%q is of %s, which is still to come: a clock is wrong, and its age is not known", c.Name, c.Time.Format(time.RFC3339))}
	case c.Time.Before(how.MaxAge.Before(how.now())):
		return []Check{Mismatch(name, "%q is %s old, more than %s", c.Name, hours(age), how.MaxAge)}
	default:
		return []Check{Good(name, 1, "archives", "%q is %s old, not more than %s; told by %s", c.Name, hours(age), how.MaxAge, c.Newest.Told)}
	}
}

// hours is a length of time as people say it of backups.
func hours(d time.Duration) string {
	if h := int(d.Hours()); h >= 48 {
		return fmt.Sprintf("%dd%dh", h/24, h%24)
	}
	text := strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// remember holds the newest archive of each cluster against what this host has
// seen, and takes its place: twenty-nine of thirty nightlies are older than the
// newest, and no rollback.
func (r *PlaceReport) remember(opts Options) {
	for i := range r.Clusters {
		c := &r.Clusters[i]
		f := c.Newest
		switch {
		case f == nil || f.Outcome != OutcomeGood:
			c.Checks = append(c.Checks, NotChecked(olderCheck, "the newest archive was not verified in this run"))
			continue
		case f.Signer == "":
			c.Checks = append(c.Checks, NotChecked(olderCheck, "only signed archives are remembered: give --pubkey"))
			continue
		case opts.StateDir == "":
			c.Checks = append(c.Checks, NotChecked(olderCheck, "no state folder is known"))
			continue
		}
		check, err := sighting{
			Cluster: f.Cluster, Revision: f.Revision, CompactRevision: f.CompactRevision, Hash: f.Hash,
			Key: f.Signer, Archive: r.Place + "/" + f.Name, Verified: f.Looked,
		}.compare(opts.StateDir, true)
		c.Checks = append(c.Checks, check)
		if err != nil {
			opts.Observer.warn("the newest archive of cluster %s is not remembered: %v", c.Cluster, err)
		}
	}
}

// Count gives how many archives came to each outcome.
func (r *PlaceReport) Count() map[Outcome]int {
	counts := map[Outcome]int{}
	for _, f := range r.Findings {
		counts[f.Outcome]++
	}
	return counts
}

// Verdict is the worst that is said of the place, nil when all that was looked
// at is good. It speaks of the archives only when each has a verdict, or was left
// out on purpose: else the class is Failed, whatever the others came to.
func (r *PlaceReport) Verdict() error {
	counts := r.Count()
	var words []string
	for _, o := range []Outcome{OutcomeFailed, OutcomeBad, OutcomeRefused, OutcomeNoKey, OutcomeMismatch} {
		if n := counts[o]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, o))
		}
	}
	var wrong []string
	for _, c := range r.Clusters {
		if i := slices.IndexFunc(c.Checks, func(check Check) bool { return !Sound([]Check{check}) }); i >= 0 {
			wrong = append(wrong, fmt.Sprintf("%s (%s: %s)", c.Cluster, c.Checks[i].Name, c.Checks[i].Detail))
		}
	}
	if len(words) == 0 && len(wrong) == 0 {
		return nil
	}
	text := fmt.Sprintf("of %d archives: %s", len(r.Findings), strings.Join(words, ", "))
	if len(words) == 0 {
		text = fmt.Sprintf("of %d clusters, %d are not as they should be: %s", len(r.Clusters), len(wrong), strings.Join(wrong[:min(3, len(wrong))], ", "))
	}
	e := &Error{Class: Incomplete, Err: errors.New(text)}
	switch {
	case counts[OutcomeFailed] > 0:
		e.Class, e.Hint = Failed, "run it again: with --run, what has a verdict is not looked at twice"
	case counts[OutcomeBad] > 0:
		e.Class = Damaged
	case counts[OutcomeRefused] > 0:
		e.Class = Refused
	case counts[OutcomeNoKey] > 0:
		e.Class = NoKey
	}
	return e
}
