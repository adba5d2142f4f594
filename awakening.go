package lifeboat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	batchv1beta1 "k8s.io/api/batch/v1beta1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// Awakening is what the controllers of a cluster will do by themselves, soon
// after they start on restored data, and which nobody may expect.
type Awakening struct {
	// CronJobs are not suspended: those whose time has come since the data was
	// written start a Job at once, within their starting deadline.
	CronJobs int `json:"cronJobs"`

	// Nodes are NotReady until their kubelets renew the Leases, all of which are
	// as old as the data.
	Nodes int `json:"nodes"`

	// Pods stand on those Nodes and do not tolerate that for ever; the first of
	// them is deleted After it was noticed.
	Pods  int           `json:"pods"`
	After time.Duration `json:"after"` // nanoseconds
}

// What is looked at of each kind, by the numbers of k8s.io/api's generated.proto.
var awakening = map[string]registry.Fields{
	"nodes":          {},
	"cronjobs.batch": {2: {4: nil}}, // spec.suspend
	"pods": {
		1: {9: nil},           // metadata.deletionTimestamp
		2: {10: nil, 22: nil}, // spec.nodeName, tolerations
		3: {1: nil},           // status.phase
	},
}

// Awakening looks for it in the objects at a revision, 0 for the newest. What
// cannot be read is not counted.
func (b *Backup) Awakening(ctx context.Context, rev int64) (*Awakening, error) {
	reg, err := b.Objects(rev)
	if err != nil {
		return nil, err
	}
	want := func(k registry.Key) bool { return !k.System && awakening[k.Resource()] != nil }
	a := &Awakening{}
	for entry, err := range reg.Entries(ctx, want) {
		if err != nil {
			return nil, fmt.Errorf("looking for what the controllers will do: %w", err)
		}
		switch typed := reg.Glance(ctx, entry, awakening[entry.Key.Resource()]).Typed.(type) {
		case *batchv1.CronJob:
			a.cronJob(typed.Spec.Suspend)
		case *batchv1beta1.CronJob:
			a.cronJob(typed.Spec.Suspend)
		case *corev1.Node:
			a.Nodes++
		case *corev1.Pod:
			a.pod(typed)
		}
	}
	return a, nil
}

// AwakeningBeside looks for it while something else is done. The function that it
// returns waits for the end, and has to be called before Close; nil is what could
// not be read.
func (b *Backup) AwakeningBeside(ctx context.Context, rev int64) func() *Awakening {
	var found *Awakening
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a, err := b.Awakening(ctx, rev); err == nil {
			found = a
		}
	}()
	return func() *Awakening {
		<-done
		return found
	}
}

func (a *Awakening) cronJob(suspended *bool) {
	if suspended == nil || !*suspended {
		a.CronJobs++
	}
}

// pod is counted by what TaintManager does once a Node is unreachable: Pods
// without a toleration go at once, others when it runs out
// (kubernetes pkg/controller/tainteviction).
func (a *Awakening) pod(p *corev1.Pod) {
	if p.Spec.NodeName == "" || p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return
	}
	taint, after := &corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute}, time.Duration(0)
	fits := func(t corev1.Toleration) bool { return t.ToleratesTaint(klog.Logger{}, taint, false) }
	if i := slices.IndexFunc(p.Spec.Tolerations, fits); i >= 0 { // the first counts (helper.GetMatchingTolerations)
		seconds := p.Spec.Tolerations[i].TolerationSeconds
		if seconds == nil {
			return
		}
		after = time.Duration(max(*seconds, 0)) * time.Second
	}
	if a.Pods == 0 || after < a.After {
		a.After = after
	}
	a.Pods++
}

// String is one line for people, "" where nothing will happen.
func (a *Awakening) String() string {
	var parts []string
	if a.CronJobs > 0 {
		parts = append(parts, fmt.Sprintf("of %d CronJobs those fire at once whose time has come since the backup", a.CronJobs))
	}
	if a.Nodes > 0 {
		parts = append(parts, fmt.Sprintf("%d Nodes go NotReady unless their kubelets renew their Leases", a.Nodes))
	}
	if a.Pods > 0 {
		parts = append(parts, fmt.Sprintf("%d Pods are evicted from Nodes that stay so, the first %s later", a.Pods, a.After))
	}
	if len(parts) == 0 {
		return ""
	}
	return "when kube-controller-manager starts: " + strings.Join(parts, "; ")
}
