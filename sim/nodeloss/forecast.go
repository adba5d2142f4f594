package nodeloss

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-helpers/node/topology"
)

// ErrNoSuchNode says that a node to be lost is not in the cluster.
var ErrNoSuchNode = errors.New("no such node")

// ForceDetach is how long the attach-detach controller waits for an unmount
// before it takes a volume away from an unhealthy node. It counts from the
// moment at which the old Pod is gone, not from the fault.
const ForceDetach = 6 * time.Minute

// Cluster is a cluster at rest.
type Cluster struct {
	Nodes  []*corev1.Node
	Pods   []*corev1.Pod
	Others []runtime.Object // Jobs, PersistentVolumes and their claims, CSIDrivers
}

// Place is where the scheduler puts a Pod's successor; Message says why not.
type Place struct{ Node, Message string }

// Report is what becomes of the Pods of lost nodes under one tuning.
type Report struct {
	Tuning Tuning   `json:"tuning"`
	Fault  Fault    `json:"fault"`
	Lost   []string `json:"lost"`

	Detected Span      `json:"detected"`
	Zones    []Zone    `json:"zones"`            // those that lost a node
	Master   bool      `json:"masterDisruption"` // all zones are down: nothing is evicted
	Early    int       `json:"early,omitempty"`  // of the nodes that are never tainted as a whole zone goes, how many may be all the same
	Flapping Flapping  `json:"flapping"`
	Cost     Cost      `json:"cost"`
	Pods     []PodFate `json:"pods"` // by namespace and name
}

// Zone is the state of a zone after the loss.
type Zone struct {
	Name  string    `json:"name"`
	State ZoneState `json:"state"`
}

// PodFate is one Pod's way. A time that is nil never comes by itself.
type PodFate struct {
	Pod      string   `json:"pod"` // namespace/name
	Node     string   `json:"node"`
	Comeback Comeback `json:"comeback"`
	Why      string   `json:"why"`

	Endpoints *Span  `json:"endpoints,omitempty"` // out of its Services
	Evicted   *Span  `json:"evicted,omitempty"`   // marked for deletion
	Replaced  *Span  `json:"replaced,omitempty"`  // its successor has a node
	Back      *Span  `json:"back,omitempty"`      // its successor can start
	Place     string `json:"place,omitempty"`     // the successor's node
	Volume    string `json:"volume,omitempty"`    // what its volumes wait for
	Data      string `json:"data,omitempty"`      // what it leaves behind on its node
	Never     string `json:"never,omitempty"`     // why Back does not come by itself
}

// Forecast tells what becomes of the Pods of the lost nodes. places are the
// scheduler's answers, by namespace/name; a Pod without one counts as placed.
func (t Tuning) Forecast(cluster Cluster, fault Fault, lost []string, places map[string]Place) (*Report, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if !slices.Contains(Faults(), fault) {
		return nil, fmt.Errorf("%w: %q is not a fault", ErrTuning, fault)
	}
	gone := map[string]bool{}
	for _, name := range lost {
		if !slices.ContainsFunc(cluster.Nodes, func(n *corev1.Node) bool { return n.Name == name }) {
			return nil, fmt.Errorf("losing node %q: %w", name, ErrNoSuchNode)
		}
		gone[name] = true
	}
	taints := t.taint(cluster.Nodes, gone)
	r := &Report{
		Tuning: t, Fault: fault, Lost: slices.Sorted(slices.Values(lost)), Detected: t.Detection(fault),
		Master: taints.master, Flapping: t.Flapping(), Cost: t.Cost(len(cluster.Nodes)), Zones: zonesOf(cluster.Nodes, gone, taints),
	}
	if len(taints.delay) < len(gone) && !taints.master {
		r.Early = t.early(r.Detected, len(gone)-len(taints.delay))
	}
	f := forecast{tuning: t, report: r, taints: taints, owners: NewOwners(cluster.Others), volumes: newVolumes(cluster.Others), places: places}
	for _, pod := range cluster.Pods {
		if gone[pod.Spec.NodeName] && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			r.Pods = append(r.Pods, f.fate(pod))
		}
	}
	slices.SortFunc(r.Pods, func(a, b PodFate) int { return strings.Compare(a.Pod, b.Pod) })
	return r, nil
}

// forecast is a Forecast on its way.
type forecast struct {
	tuning  Tuning
	report  *Report
	taints  tainting
	owners  Owners
	volumes volumes
	places  map[string]Place
}

func (f *forecast) fate(pod *corev1.Pod) PodFate {
	p := PodFate{Pod: pod.Namespace + "/" + pod.Name, Node: pod.Spec.NodeName}
	p.Comeback, p.Why = f.owners.Comeback(pod)
	if p.Comeback != Stays {
		p.Data = HostData(pod)
	}
	endpoints := f.report.Detected
	p.Endpoints = &endpoints
	if p.Comeback == Stays {
		p.Never = "only with its node"
		return p
	}
	delay, tainted := f.taints.delay[p.Node]
	if !tainted {
		p.Never = f.untainted()
		return p
	}
	limit, evicted := f.toleration(pod)
	if !evicted {
		p.Never = "it tolerates a not-ready node without a limit, so it is never evicted"
		return p
	}
	at := f.report.Detected.Plus(delay + limit)
	at.Max += f.tuning.wasted()
	p.Evicted = &at
	f.comeBack(&p, pod)
	return p
}

// comeBack is what follows the eviction.
func (f *forecast) comeBack(p *PodFate, pod *corev1.Pod) {
	place, asked := f.places[p.Pod]
	held := f.volumes.of(pod)
	switch {
	case held.local != "":
		p.Volume = held.local + " is local: it comes back with its node, or never"
	case held.attached != "":
		p.Volume = fmt.Sprintf("%s is attached to the lost node: free %s after the old Pod is deleted by force, or at once with the out-of-service taint", held.attached, ForceDetach)
	case held.fresh != "" && p.Comeback != Gone:
		p.Volume = held.fresh + " is an ephemeral volume: the successor gets a new, empty one"
	}
	switch {
	case p.Comeback == Gone:
		p.Never = p.Why
	case p.Comeback == Unknown:
		p.Never = "not known: " + p.Why
	case p.Comeback == AfterDelete:
		p.Never = "delete the old Pod by force, or the Node, or taint it out-of-service"
	case asked && place.Node == "":
		p.Never = "its successor stays Pending: " + place.Message
	case held.local != "" || held.attached != "":
		replaced := *p.Evicted
		p.Replaced, p.Place = &replaced, place.Node
		p.Never = "its successor waits for its volume"
	default:
		replaced, back := *p.Evicted, *p.Evicted
		p.Replaced, p.Back, p.Place = &replaced, &back, place.Node
	}
}

// untainted says why the NoExecute taint does not come.
func (f *forecast) untainted() string {
	if f.taints.master {
		return "no node of any zone is ready: the controller evicts nothing at all"
	}
	return fmt.Sprintf("too much of its zone is down (%d%% and more than two nodes, at most %d in the zone): the controller evicts nothing there, but from the first %d nodes that it may find before it has counted",
		int(f.tuning.UnhealthyShare*100+0.5), f.tuning.LargeZone, f.report.Early)
}

// toleration is the Pod's own, for the taint that this fault brings. A tuning
// of the unreachable seconds helps nothing against not-ready.
func (f *forecast) toleration(pod *corev1.Pod) (time.Duration, bool) {
	if f.report.Fault == Runtime {
		return Toleration(pod, corev1.TaintNodeNotReady)
	}
	limit, evicted := Toleration(pod, corev1.TaintNodeUnreachable)
	if evicted && limit == DefaultToleration && f.tuning.Unreachable > 0 {
		limit = f.tuning.Unreachable
	}
	return limit, evicted
}

func zonesOf(nodes []*corev1.Node, lost map[string]bool, taints tainting) []Zone {
	seen := map[string]bool{}
	var zones []Zone
	for _, node := range nodes {
		key := topology.GetZoneKey(node)
		if !lost[node.Name] || seen[key] {
			continue
		}
		seen[key] = true
		name := strings.Trim(strings.ReplaceAll(key, ":\x00:", "/"), "/")
		zones = append(zones, Zone{Name: name, State: taints.states[key]})
	}
	slices.SortFunc(zones, func(a, b Zone) int { return cmp.Compare(a.Name, b.Name) })
	return zones
}

// Headline is the report in a sentence: when the loss is noticed, when the last
// Pod is back, and how many do not come back by themselves.
func (r *Report) Headline() string {
	if len(r.Pods) == 0 {
		return "no Pod stood there: not checked"
	}
	var back time.Duration
	came, never, stays := 0, []string{}, 0
	for _, p := range r.Pods {
		switch {
		case p.Back != nil:
			came++
			back = max(back, p.Back.Median)
		case p.Comeback == Stays:
			stays++
		default:
			never = append(never, p.Pod)
		}
	}
	text := "noticed after " + Seconds(r.Detected.Median)
	if came > 0 {
		text += fmt.Sprintf("; %d back by %s", came, Seconds(back))
	}
	if stays > 0 {
		text += fmt.Sprintf("; %d stay with the node", stays)
	}
	if len(never) > 0 {
		text += fmt.Sprintf("; %d never by themselves: %s", len(never), strings.Join(never[:min(3, len(never))], ", "))
		if len(never) > 3 {
			text += fmt.Sprintf(" and %d more", len(never)-3)
		}
	}
	return text
}

// Story is what becomes of Pods for one reason.
type Story struct {
	Text string
	Pods []string // namespace/name
}

// Stories tell why each Pod fares as it does, those of one fate together, in the
// order in which they first occur.
func (r *Report) Stories() []Story {
	var stories []Story
	at := map[string]int{}
	for _, p := range r.Pods {
		parts := []string{p.Why}
		if p.Never != "" {
			parts[0] = p.Never
		}
		for _, more := range []string{p.Volume, p.Data} {
			if more != "" {
				parts = append(parts, more)
			}
		}
		text := strings.Join(parts, "; ")
		i, known := at[text]
		if !known {
			i = len(stories)
			at[text], stories = i, append(stories, Story{Text: text})
		}
		stories[i].Pods = append(stories[i].Pods, p.Pod)
	}
	return stories
}
