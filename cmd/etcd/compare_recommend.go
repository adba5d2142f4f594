package etcd

import (
	"fmt"
	"slices"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// recommend names the survivor to build from, and what is known of it.
func (c *comparison) recommend() error {
	var survivors []*datadir.Survivor
	for _, r := range c.Rows {
		if r.survivor != nil {
			survivors = append(survivors, r.survivor)
		}
	}
	c.Reasons = []string{}
	if len(survivors) == 0 {
		return nil
	}
	best, err := datadir.Best(survivors)
	if err != nil {
		return &console.CodedError{Code: console.ExitRefused, Err: err, Hint: "give the dirs of one cluster's members"}
	}
	row := c.Rows[slices.IndexFunc(c.Rows, func(r *comparedRow) bool { return r.survivor == best })]
	if !row.readable { // Best takes such a dir only where there is no other
		c.reason("no dir can be read: restore a snapshot with lifeboat etcd restore")
		return nil
	}
	c.Recommended = row.Path
	c.weigh(row, survivors)
	for _, r := range c.Rows {
		if r.Hash != nil && row.Hash != nil && r.Hash.CompactRevision == row.Hash.CompactRevision && r.Hash.Hash != row.Hash.Hash {
			c.reason("%s holds other data at revision %d: one of the two is corrupt; see the differences", r.Path, c.CommonRevision)
		}
	}
	return nil
}

func (c *comparison) reason(format string, args ...any) {
	c.Reasons = append(c.Reasons, fmt.Sprintf(format, args...))
}

// weigh says how the recommended dir stands to the others, and whether it has
// every write that was acknowledged.
func (c *comparison) weigh(row *comparedRow, survivors []*datadir.Survivor) {
	e := console.EvidenceOf(row.replay, survivors)
	index, term := row.survivor.Newest()
	if slices.ContainsFunc(e.Doubts, func(d datadir.Doubt) bool { return d.Known }) {
		c.reason("of what can be read, it has the newest entry (term %d, index %d)", term, index)
	} else {
		c.reason("its last entry has the greatest term and, in it, the greatest index that can be read (term %d, index %d)", term, index)
	}
	if e.Complete() {
		c.reason("%d of %d voters are at hand, a majority: it has every write that was acknowledged", e.Held, e.Voters)
		return
	}
	c.reason("%d of %d voters are at hand with a log whose end is known, no majority: a write that was acknowledged may be missing", e.Held, e.Voters)
	for _, d := range e.Doubts {
		c.reason("%s", console.DoubtOf(d, row.survivor))
	}
}
