package lifeboat

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// LostObjects is what a restore to a revision takes away or back, against the
// newest state that is known.
type LostObjects struct {
	Groups  []LostGroup  `json:"groups"` // by namespace and kind
	Objects []LostObject `json:"objects"`
}

// LostGroup counts the objects of a namespace and kind.
type LostGroup struct {
	Namespace string `json:"namespace,omitempty"` // "" are the cluster's own
	Resource  string `json:"resource"`
	Gone      int    `json:"gone,omitempty"`     // created after the revision: they are lost
	Reverted  int    `json:"reverted,omitempty"` // changed after it: they are as before
	Returning int    `json:"returning,omitempty"`
}

// LostObject is one of them.
type LostObject struct {
	Key  string `json:"key"`
	What string `json:"what"` // gone, reverted, returning
}

// Lost compares a revision with the newest one. What every cluster makes anew by
// itself is not counted.
func (b *Backup) Lost(ctx context.Context, rev int64) (*LostObjects, error) {
	then, err := b.Objects(rev)
	if err != nil {
		return nil, err
	}
	now, err := b.Objects(0)
	if err != nil {
		return nil, err
	}
	changed, err := b.changedSince(ctx, rev)
	if err != nil {
		return nil, err
	}
	diff, err := registry.DiffOf(ctx, then, now, registry.DiffOptions{Want: changed})
	if err != nil {
		return nil, err
	}
	lost := &LostObjects{Groups: []LostGroup{}, Objects: []LostObject{}}
	groups := map[LostGroup]*LostGroup{}
	for _, item := range diff.Items {
		id := LostGroup{Namespace: item.Key.Namespace, Resource: item.Key.Resource()}
		if groups[id] == nil {
			groups[id] = &LostGroup{Namespace: id.Namespace, Resource: id.Resource}
		}
		what := "reverted"
		switch item.Event {
		case registry.Created:
			what = "gone"
			groups[id].Gone++
		case registry.Deleted:
			what = "returning"
			groups[id].Returning++
		default:
			groups[id].Reverted++
		}
		lost.Objects = append(lost.Objects, LostObject{item.Key.Path, what})
	}
	for _, g := range groups {
		lost.Groups = append(lost.Groups, *g)
	}
	slices.SortFunc(lost.Groups, func(a, b LostGroup) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Resource, b.Resource))
	})
	return lost, nil
}

// changedSince takes the keys that have a record after a revision, which are few
// of all; nil, which takes all, where a hole lies after it.
func (b *Backup) changedSince(ctx context.Context, rev int64) (func(registry.Key) bool, error) {
	if !b.History().Windows()[0].Holds(rev) {
		return nil, nil
	}
	changed := map[string]bool{}
	for record, err := range b.History().Changes(ctx, nil) {
		if err != nil {
			return nil, err
		}
		if record.Main <= rev {
			break // the newest come first
		}
		changed[string(record.Key)] = true
	}
	return func(k registry.Key) bool { return changed[k.Path] }, nil
}

// Lines are the groups in words.
func (l *LostObjects) Lines() []string {
	if len(l.Groups) == 0 {
		return []string{"no object but what a cluster makes anew by itself"}
	}
	var lines []string
	for _, g := range l.Groups {
		lines = append(lines, fmt.Sprintf("%s in %s: %d lost, %d as before, %d back again",
			g.Resource, cmp.Or(g.Namespace, "the cluster"), g.Gone, g.Reverted, g.Returning))
	}
	return lines
}
