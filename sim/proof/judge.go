package proof

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// settling is how long the definitions of custom resources may take until the
// server serves what they define: it is ready before.
const settling = 15 * time.Second

// compare asks the server for everything, and holds it against the backup.
func (r *runner) compare(ctx context.Context) (string, error) {
	a, err := r.api()
	if err != nil {
		return "", err
	}
	defer a.close()
	reg, elsewhere, err := r.b.ObjectsWherever()
	if err != nil {
		return "", err
	}
	c := &comparer{api: a, registry: reg, report: r.report, restored: r.restored, all: r.opts.All, alive: map[string]living{}, unconverted: map[schema.GroupResource]int{}}
	c.foreign, c.other = isForeign(r.version), r.other
	if err := c.gather(ctx); err != nil {
		return "", err
	}
	if err := c.define(ctx); err != nil {
		return "", err
	}
	total := 0
	for _, of := range c.stored {
		total += len(of)
	}
	found, err := c.discoverAll(ctx)
	if err != nil {
		return "", r.answered(err)
	}
	r.found, r.alive = found, c.alive
	for _, s := range found.found {
		if err := c.resource(ctx, s); err != nil {
			return "", r.answered(err)
		}
	}
	c.notServed()
	r.judge(c, total, elsewhere)
	belong, err := r.b.Authorities(ctx)
	if err != nil {
		return "", err
	}
	r.say(belong...)
	for _, gv := range found.stale {
		r.report.NotProvable = append(r.report.NotProvable, gv+" is served by another server of the cluster, which is not here")
	}
	r.judgeServing(a)
	return fmt.Sprintf("%d stored objects, %d resources", total, len(found.found)), nil
}

// judgeServing says whether clients would trust the server.
func (r *runner) judgeServing(a *api) {
	const name = "serving certificate"
	switch err := a.servingError(); {
	case a.blind:
		r.say(lifeboat.NotChecked(name, "kubernetes/pki/ca.crt is not in the backup"))
	case err != nil:
		r.say(lifeboat.Bad(name, "kube-apiserver answers, and none of its clients would trust it: %v", err))
	default:
		r.say(lifeboat.Good(name, 1, "certificates", "it is the archived CA's, and names the address"))
	}
}

// answered is an error on the way to the server: one that has died is told from
// one that does not answer.
func (r *runner) answered(err error) error {
	select {
	case <-r.server.Done():
		return r.ended("kube-apiserver", r.server)
	case <-time.After(time.Second): // the news of its end comes by another way
		return r.fail("kube-apiserver", "kube-apiserver was ready, and does not answer: %s; %s", clip(err.Error()), r.words(r.server))
	}
}

// define reads the definitions of custom resources, by which objects become
// what a client sees.
func (c *comparer) define(ctx context.Context) error {
	var customs []registry.CustomResource
	for _, of := range c.stored {
		for _, e := range of {
			if !registry.IsDefinition(e.Key) {
				break
			}
			if custom, err := registry.ParseDefinition(c.registry.Decode(ctx, e.Entry)); err == nil {
				customs = append(customs, custom)
			}
		}
	}
	c.defs = registry.NewResources(customs)
	c.printer = printer.New(c.defs, c.report.Started)
	return ctx.Err()
}

// discoverAll asks until all custom resources that have objects are served, or
// a while has passed.
func (c *comparer) discoverAll(ctx context.Context) (*catalog, error) {
	for begun := time.Now(); ; {
		found, err := c.api.discover(ctx)
		if denied(err) && c.api.next() {
			continue
		}
		if err != nil {
			return nil, err
		}
		waiting := false
		for gr := range c.stored {
			_, custom := c.defs.Custom(gr)
			waiting = waiting || custom && !slices.ContainsFunc(found.found, func(s served) bool { return s.stored == gr })
		}
		if !waiting || time.Since(begun) > settling {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(4 * poll):
		}
	}
}

// notServed is what is stored and not offered.
func (c *comparer) notServed() {
	var rest []schema.GroupResource
	for gr := range c.stored {
		rest = append(rest, gr)
	}
	slices.SortFunc(rest, func(a, b schema.GroupResource) int { return strings.Compare(a.String(), b.String()) })
	for _, gr := range rest {
		c.report.NotServed = append(c.report.NotServed, ResourceCount{Resource: gr.String(), Stored: len(c.stored[gr]), Why: c.whyNotServed(gr)})
	}
	for _, r := range c.defs.All() {
		if custom, ok := c.defs.Custom(r.GroupResource()); ok && custom.Conversion == "Webhook" {
			c.report.NotProvable = append(c.report.NotProvable, fmt.Sprintf("%s is converted by a webhook, which is not here: %d objects are in another version than the one asked for, and were not read", r, c.unconverted[r.GroupResource()]))
		}
	}
}

// Why stored objects are not served.
const (
	byFlags     = "the archived flags do not serve their API"
	byVersion   = "this kube-apiserver, which is of another version than the manifest's image, does not serve their API"
	undefined   = "no CustomResourceDefinition in the backup defines them"
	unexplained = "their CustomResourceDefinition is in the backup, and is not served"
)

func (c *comparer) whyNotServed(gr schema.GroupResource) string {
	custom, defined := c.defs.Custom(gr)
	_, builtin := registry.LookupResource(gr)
	switch {
	case defined && slices.ContainsFunc(custom.Versions, func(v registry.CustomVersion) bool { return v.Served }):
		return unexplained
	case !defined && !builtin && strings.Contains(gr.Group, "."):
		return undefined
	case c.other:
		return byVersion
	}
	return byFlags
}

// judgeNotServed says what is stored and not offered, by the reason.
func (r *runner) judgeNotServed() {
	const name = "stored but not served"
	for _, why := range []string{unexplained, byVersion, byFlags, undefined} {
		var of []string
		objects := 0
		for _, n := range r.report.NotServed {
			if n.Why == why {
				of = append(of, fmt.Sprintf("%s (%d)", n.Resource, n.Stored))
				objects += n.Stored
			}
		}
		switch {
		case objects == 0:
		case why == unexplained || why == byVersion:
			r.say(lifeboat.Mismatch(name, "%d objects: %s: %s", objects, why, few(of)))
		default:
			r.say(lifeboat.Note(name, "%d objects: %s: %s", objects, why, few(of)))
		}
	}
}

// judge makes checks of what was found.
func (r *runner) judge(c *comparer, total int, elsewhere *registry.PrefixError) {
	var same, compared int
	for _, count := range r.report.Resources {
		same += count.Same
		compared += count.Compared
	}
	switch {
	case total > 0 && same == 0 && elsewhere != nil:
		r.say(lifeboat.Bad("objects", "kube-apiserver is ready, as an empty cluster: none of %d objects is there. They stand under %q, and the manifest's --etcd-prefix is another", total, elsewhere.Keyspace.Best()))
		return
	case total > 0 && same == 0 && len(r.report.Unreadable) == 0:
		r.say(lifeboat.Bad("objects", "kube-apiserver is ready, as an empty cluster: none of %d objects is there", total))
		return
	case total > 0 && same == 0:
		r.say(lifeboat.Bad("objects", "kube-apiserver is ready, and can read none of %d objects: %s", total, few(r.report.Unreadable)))
		return
	case total == 0:
		r.say(lifeboat.Bad("objects", "kube-apiserver is ready, as an empty cluster: the backup holds no object"))
		return
	default:
		rest := ""
		if same < total {
			rest = "; what became of the others stands below"
		}
		r.say(lifeboat.Good("objects", int64(same), "objects", "%d of %d stored objects are served under their names and at their revisions%s", same, total, rest))
	}
	r.list("missing objects", "%d stored objects are not served: %s", r.report.Missing)
	r.list("unreadable objects", "%d objects cannot be read by the server: %s", r.report.Unreadable)
	r.list("unexpected objects", "%d objects are served that are not in the backup, and that the server has not written: %s", r.report.Unexpected)
	r.whole(c, compared)
	r.judgeNotServed()
	r.ownWrites()
}

func (r *runner) whole(c *comparer, compared int) {
	const name = "whole objects"
	var differ []string
	for _, d := range r.report.Differing {
		differ = append(differ, d.Object+" ("+strings.Join(d.Paths, ", ")+")")
	}
	r.list(name, "%d objects differ from what the backup holds: %s", differ)
	if alike := compared - len(c.others); len(differ) == 0 && alike > 0 {
		r.say(lifeboat.Good(name, int64(alike), "objects", "%d objects were compared field by field, and are the same (seed %d)", alike, r.report.Seed))
	}
	if len(c.others) > 0 {
		r.say(lifeboat.Note(name, "%d of %d objects have fields that %s alone has, or Kubernetes %s alone, which is linked: %s", len(c.others), compared, r.version, spec.Version(), few(c.others)))
	}
	for _, n := range c.unconverted {
		r.say(lifeboat.NotChecked(name, "%d objects are not provable here: a webhook converts them", n))
	}
	if c.locked > 0 {
		r.say(lifeboat.NotChecked(name, "%d objects could not be read out of the backup or turned into the version that is served", c.locked))
	}
}

func (r *runner) ownWrites() {
	strange, of := 0, map[string]int{}
	for _, w := range r.report.OwnWrites {
		of[w.What]++
		if strings.HasPrefix(w.Why, "not known") {
			strange++
		}
	}
	if len(of) > 0 {
		r.say(lifeboat.Note("the server's own writes", "since its start %d objects were created, %d changed and %d deleted; each is named in the report", of[created], of[changed], of[deleted]))
	}
	if strange > 0 {
		r.say(lifeboat.Mismatch("the server's own writes", "%d of them are none that an API server is known to make", strange))
	}
}

// list is a mismatch where something is listed.
func (r *runner) list(name, format string, items []string) {
	if len(items) > 0 {
		slices.Sort(items)
		r.say(lifeboat.Mismatch(name, format, len(items), few(items)))
	}
}

// few names a few of many.
func few(items []string) string {
	const most = 5
	if more := len(items) - most; more > 0 {
		return strings.Join(items[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(items, ", ")
}

// isForeign tells a server that is known to be of another minor version than the
// types that are linked. One that does not know its own version, as a build from
// source, is held to be the same: differences are found rather than excused.
func isForeign(version string) bool {
	found := kubernetesVersion.FindStringSubmatch(version)
	linked := kubernetesVersion.FindStringSubmatch(spec.Version())
	return found != nil && linked != nil && found[1] != linked[1]
}

var kubernetesVersion = regexp.MustCompile(`v(1\.[0-9]+)\.`)
