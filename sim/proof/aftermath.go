package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat"
)

// each asks for all objects of a resource, without their content.
func (w *watch) each(ctx context.Context, s served, do func(item)) error {
	next := ""
	for {
		p, err := w.api.page(ctx, s, pageSize, next, metadataOnly)
		if err != nil {
			return err
		}
		for _, raw := range p.Items {
			var it item
			if err := json.Unmarshal(raw, &it); err != nil {
				return fmt.Errorf("listing %s: %w", s.stored, err)
			}
			do(it)
		}
		if next = p.Metadata.Continue; next == "" {
			return nil
		}
	}
}

// condition is that of a Node or a Pod.
type condition struct{ Type, Status, Message string }

// conditioned is a Node, a Pod or a Deployment, as far as it is looked at.
type conditioned struct {
	Metadata struct {
		Name, Namespace string
		Generation      int64
	}
	Spec   struct{ NodeName string }
	Status struct {
		ObservedGeneration int64
		Conditions         []condition
	}
}

func (c *conditioned) condition(kind string) condition {
	i := slices.IndexFunc(c.Status.Conditions, func(have condition) bool { return have.Type == kind })
	if i < 0 {
		return condition{}
	}
	return c.Status.Conditions[i]
}

// conditioned gives all objects below a path. Those of a throw-away copy are few, or
// small: Nodes, Deployments, the probe's Pods.
func (w *watch) conditioned(ctx context.Context, path string) (items []conditioned, err error) {
	var list struct{ Items []conditioned }
	err = w.api.json(ctx, path, jsonType, &list)
	return list.Items, err
}

// notReady are the Nodes that are not ready now, and were before.
func (w *watch) notReady(ctx context.Context) (names []string, err error) {
	nodes, err := w.conditioned(ctx, "/api/v1/nodes")
	for _, n := range nodes {
		if n.condition("Ready").Status != "True" && !slices.Contains(w.unready, n.Metadata.Name) {
			names = append(names, n.Metadata.Name)
		}
	}
	return names, err
}

// judgeDeployments sees whether the controllers have looked at all Deployments,
// and how far they came with a new one.
func (w *watch) judgeDeployments(ctx context.Context) {
	const name = "Deployments"
	all, err := w.conditioned(ctx, "/apis/apps/v1/deployments")
	if err != nil {
		w.say(lifeboat.NotChecked(name, "%s", clip(err.Error())))
		return
	}
	var late []string
	for _, d := range all {
		if d.Status.ObservedGeneration < d.Metadata.Generation {
			late = append(late, d.Metadata.Namespace+"/"+d.Metadata.Name)
		}
	}
	w.list(name, "%d Deployments were changed before the backup, and no controller has looked at them: %s", late)
	if len(late) == 0 && w.probe.pod != "" {
		w.say(lifeboat.Good(name, int64(len(all)), "Deployments", "each was observed; a new one had its Pod after %s%s", w.probe.took, w.probe.scheduled))
		return
	}
	if w.probe.pod == "" {
		w.say(lifeboat.NotChecked(name, "a new one got no Pod: %s", w.probe.why()))
	}
}

// probe is a Deployment that the proof makes: only with something new to do do
// controllers show that they work.
type probe struct {
	begun     time.Time
	made      [2]bool // the Namespace, the Deployment
	refused   string
	pod       string // "" until there is one
	took      time.Duration
	scheduled string // what kube-scheduler has made of it, "" for nothing yet
}

// probeName is that of the probe's Namespace and Deployment.
const probeName = "lifeboat-prove"

// step does what comes next, and is called until the time is over.
func (p *probe) step(ctx context.Context, a *api) {
	if p.begun.IsZero() {
		p.begun = time.Now()
	}
	for i, make := range []struct {
		path   string
		object map[string]any
	}{
		{"/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": probeName}}},
		{"/apis/apps/v1/namespaces/" + probeName + "/deployments", probeDeployment()},
	} {
		if p.made[i] {
			continue
		}
		err := a.create(ctx, make.path, make.object)
		if err != nil {
			p.refused = err.Error()
			return
		}
		p.made[i] = true
	}
	if p.scheduled == "" {
		p.find(ctx, a)
	}
}

func (p *probe) find(ctx context.Context, a *api) {
	var pods struct{ Items []conditioned }
	if err := a.json(ctx, "/api/v1/namespaces/"+probeName+"/pods", jsonType, &pods); err != nil || len(pods.Items) == 0 {
		return
	}
	pod := pods.Items[0]
	if p.pod == "" {
		p.pod, p.took = pod.Metadata.Name, time.Since(p.begun).Round(time.Second/10)
	}
	scheduled := pod.condition("PodScheduled")
	switch {
	case pod.Spec.NodeName != "":
		p.scheduled = ", which kube-scheduler put onto Node " + pod.Spec.NodeName
	case scheduled.Status == "False":
		p.scheduled = ", of which kube-scheduler says: " + clip(strings.TrimSpace(scheduled.Message))
	}
}

func (p *probe) why() string {
	if p.refused != "" {
		return "the API server took none: " + clip(p.refused)
	}
	return "no controller has made one"
}

func probeDeployment() map[string]any {
	labels := map[string]any{"app": probeName}
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": probeName, "namespace": probeName},
		"spec": map[string]any{"selector": map[string]any{"matchLabels": labels}, "template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": probeName, "image": "registry.invalid/" + probeName}}},
		}},
	}
}
