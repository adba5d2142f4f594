package proof

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// comparer holds what the server answers against what the backup has.
type comparer struct {
	api      *api
	registry *registry.Registry
	defs     *registry.Resources
	printer  *printer.Printer
	report   *Report

	restored int64 // revision of the restored data: what is newer, the server has written
	foreign  bool  // the server is of another version than the types that are linked
	other    bool  // the server is of another version than the manifest's image
	all      bool
	stored   map[schema.GroupResource]map[string]*entry // by namespace/name
	locked   int
	others   []string // objects that differ under such a server

	alive       map[string]living            // what of the backup is served, by its label
	unconverted map[schema.GroupResource]int // objects that only a webhook could convert
}

// living is an object of the backup that the server shows.
type living struct {
	resource served
	item     item
}

// entry is a stored object, and whether it was met.
type entry struct {
	registry.Entry
	sampled bool
}

const (
	pageSize   = 500
	pageBytes  = 32 << 20 // of a page, as far as the stored objects tell
	jsonGrowth = 4        // of an object on its way from etcd to JSON, at most
	sampleSize = 25       // objects of each resource, without All
	maxSingles = 2000     // objects asked for one by one when their list fails
)

// gather reads the keys of the backup, and picks the sample: by a hash of seed
// and key, so that another seed looks at others.
func (c *comparer) gather(ctx context.Context) error {
	c.stored = map[schema.GroupResource]map[string]*entry{}
	for e, err := range c.registry.Entries(ctx, func(k registry.Key) bool { return !k.System }) {
		if err != nil {
			return err
		}
		of := c.stored[e.Key.GroupResource()]
		if of == nil {
			of = map[string]*entry{}
			c.stored[e.Key.GroupResource()] = of
		}
		of[e.Key.Namespace+"/"+e.Key.Name] = &entry{Entry: e}
	}
	for _, of := range c.stored {
		all := make([]*entry, 0, len(of))
		for _, e := range of {
			all = append(all, e)
		}
		slices.SortFunc(all, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(c.rank(a), c.rank(b)), strings.Compare(a.Key.Path, b.Key.Path))
		})
		for i, e := range all {
			e.sampled = c.all || i < sampleSize
		}
	}
	return nil
}

func (c *comparer) rank(e *entry) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", c.report.Seed, e.Key.Path)
	return h.Sum64()
}

// page is a list's answer.
type page struct {
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// pageOf is how many objects of a resource one answer may hold: a Secret has up
// to a megabyte.
func pageOf(of map[string]*entry) int {
	largest := 1
	for _, e := range of {
		largest = max(largest, jsonGrowth*len(e.KV.Value))
	}
	return max(1, min(pageSize, pageBytes/largest))
}

// page asks for one page of a list.
func (a *api) page(ctx context.Context, s served, limit int, next, accept string) (p page, err error) {
	err = a.json(ctx, s.path+"?limit="+strconv.Itoa(limit)+"&continue="+url.QueryEscape(next), accept, &p)
	return p, err
}

// item is what is read of every object.
type item struct {
	Metadata struct {
		Name            string `json:"name"`
		Namespace       string `json:"namespace"`
		ResourceVersion string `json:"resourceVersion"`

		UID               string  `json:"uid"`
		DeletionTimestamp *string `json:"deletionTimestamp"`
		OwnerReferences   []owner `json:"ownerReferences"`
	} `json:"metadata"`
}

// owner is whose end is that of an object.
type owner struct {
	UID string `json:"uid"`
}

// resource lists one resource and compares it.
func (c *comparer) resource(ctx context.Context, s served) error {
	of := c.stored[s.stored]
	count := ResourceCount{Resource: s.stored.String(), Stored: len(of)}
	seen := map[string]bool{}
	next, limit := "", pageOf(of)
	for {
		p, err := c.api.page(ctx, s, limit, next, jsonType)
		if status := (*statusError)(nil); errors.As(err, &status) {
			if err := c.singles(ctx, s, of, seen, &count, status); err != nil {
				return err
			}
			break
		}
		if err != nil {
			return fmt.Errorf("listing %s: %w", s.stored, err)
		}
		for _, raw := range p.Items {
			if err := c.item(ctx, s, raw, seen, &count); err != nil {
				return fmt.Errorf("listing %s: %w", s.stored, err)
			}
		}
		if next = p.Metadata.Continue; next == "" {
			break
		}
	}
	c.leftOver(ctx, s, of, seen)
	c.report.Resources = append(c.report.Resources, count)
	delete(c.stored, s.stored)
	return nil
}

// singles asks for the objects of a list that the server cannot give one by
// one: a single object that it cannot read keeps it from showing all others.
func (c *comparer) singles(ctx context.Context, s served, of map[string]*entry, seen map[string]bool, count *ResourceCount, why *statusError) error {
	if len(of) == 0 {
		c.report.Unreadable = append(c.report.Unreadable, fmt.Sprintf("the list of %s: %s", s.stored, why.text))
		return nil
	}
	names := make([]string, 0, len(of))
	for name := range of {
		if !seen[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		id := label(s.stored, name)
		if i == maxSingles {
			c.report.Unreadable = append(c.report.Unreadable, fmt.Sprintf("%d more of %s, which were not asked for one by one", len(names)-i, s.stored))
			for _, rest := range names[i:] {
				seen[rest] = true
			}
			break
		}
		body, err := c.api.get(ctx, s.url(of[name].Key), jsonType)
		status := (*statusError)(nil)
		switch {
		case errors.As(err, &status) && status.code == http.StatusNotFound:
			continue // leftOver says it
		case errors.As(err, &status) && c.webhook(s) && strings.Contains(status.text, "conversion webhook"):
			seen[name] = true
			c.unconverted[s.stored]++
			continue
		case errors.As(err, &status):
			seen[name] = true
			c.report.Unreadable = append(c.report.Unreadable, id+": "+status.text)
			continue
		case err != nil:
			return fmt.Errorf("reading %s: %w", id, err)
		}
		if err := c.item(ctx, s, body, seen, count); err != nil {
			return err
		}
	}
	return nil
}

// webhook tells a custom resource that a webhook converts.
func (c *comparer) webhook(s served) bool {
	custom, ok := c.defs.Custom(s.stored)
	return ok && custom.Conversion == "Webhook"
}

// url is where an object stands.
func (s served) url(k registry.Key) string {
	if k.Namespace == "" {
		return s.path + "/" + url.PathEscape(k.Name)
	}
	return strings.TrimSuffix(s.path, s.plural) + "namespaces/" + url.PathEscape(k.Namespace) + "/" + s.plural + "/" + url.PathEscape(k.Name)
}

// item compares one object of an answer.
func (c *comparer) item(ctx context.Context, s served, raw json.RawMessage, seen map[string]bool, count *ResourceCount) error {
	var it item
	if err := json.Unmarshal(raw, &it); err != nil {
		return fmt.Errorf("an item is not an object: %w", err)
	}
	name := it.Metadata.Namespace + "/" + it.Metadata.Name
	id := label(s.stored, name)
	revision, _ := strconv.ParseInt(it.Metadata.ResourceVersion, 10, 64) // none of what is not stored, such as ComponentStatus
	if revision == 0 {
		return nil
	}
	count.Served++
	seen[name] = true
	e := c.stored[s.stored][name]
	if e != nil {
		c.alive[id] = living{s, it}
	}
	switch {
	case revision > c.restored && e == nil:
		c.wrote(s.stored, name, created)
	case revision > c.restored:
		c.wrote(s.stored, name, changed)
	case e == nil:
		c.report.Unexpected = append(c.report.Unexpected, id)
	case revision != e.KV.ModRevision:
		c.report.Differing = append(c.report.Differing, Difference{id, []string{"metadata.resourceVersion"}})
	default:
		count.Same++
		if e.sampled {
			return c.whole(ctx, s, e, raw, count)
		}
	}
	return nil
}

// whole compares an object with what registry reads, field by field, in the
// version that the server answers with.
func (c *comparer) whole(ctx context.Context, s served, e *entry, raw json.RawMessage, count *ResourceCount) error {
	o := c.registry.Decode(ctx, e.Entry)
	if !o.Readable() {
		c.locked++
		return nil
	}
	answer, err := c.printer.Answer(o)
	if err != nil {
		c.locked++
		return nil //nolint:nilerr // what is not converted is counted
	}
	object, err := answer.In(s.gvk)
	if err != nil {
		c.locked++
		return nil //nolint:nilerr // as above
	}
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var want, got map[string]any
	if err := errors.Join(utiljson.Unmarshal(data, &want), utiljson.Unmarshal(raw, &got)); err != nil {
		return err
	}
	for _, field := range []string{"apiVersion", "kind"} { // which items of a list do not have
		delete(want, field)
		delete(got, field)
	}
	count.Compared++
	id := label(s.stored, e.Key.Namespace+"/"+e.Key.Name)
	paths := differing("", want, got, nil)
	if len(paths) > 0 && c.foreign {
		c.others = append(c.others, id)
		if paths, err = c.contradicted(ctx, s, e, want, got); err != nil {
			return err
		}
	}
	if len(paths) > 0 {
		c.report.Differing = append(c.report.Differing, Difference{id, paths})
	}
	return nil
}

// leftOver are the stored objects that the server did not show.
func (c *comparer) leftOver(ctx context.Context, s served, of map[string]*entry, seen map[string]bool) {
	for name, e := range of {
		if seen[name] {
			continue
		}
		if why := whyDeleted(s.stored, name); why != "" && c.automatic(ctx, s, e) {
			c.report.OwnWrites = append(c.report.OwnWrites, Write{label(s.stored, name), deleted, why})
			continue
		}
		c.report.Missing = append(c.report.Missing, label(s.stored, name))
	}
}

// automatic tells whether the server may take an object away by itself: of the
// APIServices only those that it has made (kube-aggregator pkg/controllers/autoregister).
func (c *comparer) automatic(ctx context.Context, s served, e *entry) bool {
	if s.stored.Resource != "apiservices" {
		return true
	}
	_, ok := c.registry.Decode(ctx, e.Entry).Labels()["kube-aggregator.kubernetes.io/automanaged"]
	return ok
}

func (c *comparer) wrote(gr schema.GroupResource, name, what string) {
	w := Write{Object: label(gr, name), What: what, Why: whyWritten(gr, name, what)}
	if w.Why == "" {
		w.Why = "not known to be written by an API server"
	}
	c.report.OwnWrites = append(c.report.OwnWrites, w)
}

// label names an object as the rest of the program does.
func label(gr schema.GroupResource, name string) string {
	return gr.String() + " " + strings.TrimPrefix(name, "/")
}
