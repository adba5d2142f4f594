package registry

import (
	"cmp"
	"context"
	"slices"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Usage is where a database's bytes are. Bytes are those of etcd's
// records; bbolt's pages take some more.
type Usage struct {
	Size        int64 `json:"dbSize"`
	SizeInUse   int64 `json:"dbSizeInUse"`
	Free        int64 `json:"freeBytes"`    // pages that a defragmentation gives back
	Live        int64 `json:"liveBytes"`    // newest records of living keys
	History     int64 `json:"historyBytes"` // older records and deletions, which a compaction drops
	AfterRepair int64 `json:"estimateAfterCompactAndDefrag"`

	Resources  []UsageCount  `json:"resources"`
	Namespaces []UsageCount  `json:"namespaces"`
	Largest    []UsageObject `json:"largest"`
	Churn      []UsageObject `json:"churn"` // the most records of one key
}

// UsageCount is what one resource or namespace takes.
type UsageCount struct {
	Name    string `json:"name"`
	Keys    int64  `json:"keys"`
	Live    int64  `json:"liveBytes"`
	History int64  `json:"historyBytes"`
	Records int64  `json:"records"`
}

// UsageObject is what one key takes.
type UsageObject struct {
	Key     string `json:"key"`
	Records int64  `json:"records"`
	Live    int64  `json:"liveBytes"`
	History int64  `json:"historyBytes"`
}

// MeasureUsage says where a database's bytes are, with the top objects of each
// list; prefix is kube-apiserver's --etcd-prefix. It reads every record once,
// the newest first: the first of a key says whether it lives. It holds a line
// per key.
func MeasureUsage(ctx context.Context, db *snapshot.DB, prefix string, top int) (*Usage, error) {
	info, err := db.Status()
	if err != nil {
		return nil, err
	}
	r := &Usage{Size: info.Size, SizeInUse: info.SizeInUse, Free: info.Size - info.SizeInUse}
	objects := map[string]*UsageObject{}
	for rec, err := range db.Records(ctx, 0) {
		if err != nil {
			return nil, err
		}
		o, known := objects[string(rec.Key)]
		if !known {
			o = &UsageObject{Key: string(rec.Key)}
			objects[o.Key] = o
		}
		o.Records++
		if !known && !rec.Deleted {
			o.Live = int64(rec.Size)
		} else {
			o.History += int64(rec.Size)
		}
	}
	r.tally(objects, prefix, top)
	// What compaction and defragmentation leave is what lives, and of the rest
	// of the file what is no record.
	r.AfterRepair = max(0, r.SizeInUse-r.History)
	return r, nil
}

func (r *Usage) tally(objects map[string]*UsageObject, prefix string, top int) {
	resources, namespaces := map[string]*UsageCount{}, map[string]*UsageCount{}
	all := make([]UsageObject, 0, len(objects))
	for path, o := range objects {
		resource, namespace := "(other)", "(other)"
		if key, err := ParseKey(prefix, path); err == nil {
			resource, namespace = key.Resource(), key.Namespace
			if namespace == "" {
				namespace = "(cluster)"
			}
		}
		r.Live, r.History = r.Live+o.Live, r.History+o.History
		addUsage(resources, resource, o)
		addUsage(namespaces, namespace, o)
		all = append(all, *o)
	}
	r.Resources, r.Namespaces = sortUsage(resources), sortUsage(namespaces)
	r.Largest = topUsage(all, top, func(o UsageObject) int64 { return o.Live })
	r.Churn = topUsage(all, top, func(o UsageObject) int64 { return o.Records })
}

func addUsage(counts map[string]*UsageCount, name string, o *UsageObject) {
	c, ok := counts[name]
	if !ok {
		c = &UsageCount{Name: name}
		counts[name] = c
	}
	if o.Live > 0 {
		c.Keys++
	}
	c.Live, c.History, c.Records = c.Live+o.Live, c.History+o.History, c.Records+o.Records
}

func sortUsage(counts map[string]*UsageCount) []UsageCount {
	sorted := make([]UsageCount, 0, len(counts))
	for _, c := range counts {
		sorted = append(sorted, *c)
	}
	slices.SortFunc(sorted, func(a, b UsageCount) int {
		return cmp.Or(cmp.Compare(b.Live+b.History, a.Live+a.History), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

func topUsage(all []UsageObject, top int, by func(UsageObject) int64) []UsageObject {
	slices.SortFunc(all, func(a, b UsageObject) int {
		return cmp.Or(cmp.Compare(by(b), by(a)), cmp.Compare(a.Key, b.Key))
	})
	return slices.Clone(all[:min(top, len(all))])
}
