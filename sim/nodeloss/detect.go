package nodeloss

import (
	"slices"
	"time"
)

// Fault is what broke.
type Fault string

// The faults, by who falls silent.
const (
	Power   Fault = "power"   // the machine: everything ends at once
	Network Fault = "network" // cut off: its Pods run on, unseen
	Kubelet Fault = "kubelet" // no heartbeats: its Pods run on and serve until their endpoints drop
	Runtime Fault = "runtime" // the kubelet lives and reports itself NotReady
)

// Faults are all of them.
func Faults() []Fault { return []Fault{Kubelet, Network, Power, Runtime} }

// Span is a time after the fault, over all phases of heartbeats and passes.
type Span struct {
	Min    time.Duration `json:"min"`
	Median time.Duration `json:"median"`
	Max    time.Duration `json:"max"`
}

// Plus shifts a Span.
func (s Span) Plus(d time.Duration) Span { return Span{s.Min + d, s.Median + d, s.Max + d} }

// The steps of a phase: enough for tenths of a second.
const phaseSteps = 64

// maxRuntimeSilence and statusSync are the kubelet's, for a dead runtime:
// maxWaitForContainerRuntime, counted from the last time that the runtime
// answered, of which it is asked every 5 s (pkg/kubelet/kubelet.go
// updateRuntimeUp), and nodeStatusUpdateFrequency.
const (
	maxRuntimeSilence = 30 * time.Second
	runtimeCheck      = 5 * time.Second
	statusSync        = 10 * time.Second
)

// Detection is when the node lifecycle controller stops calling the node
// ready. Endpoints drop in the same pass (MarkPodsNotReady), and the
// NoSchedule taint follows at once.
//
// A silent node is found by the first pass that is later than the grace period
// after the pass that saw its last sign of life (tryUpdateNodeHealth in
// pkg/controller/nodelifecycle/node_lifecycle_controller.go).
func (t Tuning) Detection(fault Fault) Span {
	var times []time.Duration
	for i := range phaseSteps {
		pass := phase(t.Period, i) // of the first pass after the fault
		for j := range phaseSteps {
			if fault == Runtime {
				times = append(times, t.reported(pass, j))
				continue
			}
			for k := range phaseSteps / 4 {
				silent := min(phase(t.RenewInterval(), j), phase(t.StatusReport, 4*k))
				times = append(times, t.missed(pass, silent))
			}
		}
	}
	slices.Sort(times)
	found := Span{times[0], times[len(times)/2], times[len(times)-1] + maxPass}
	if window := t.Window(); fault != Runtime {
		found.Min = max(0, found.Min-(window.Median-window.Min))
		found.Max += window.Max - window.Median
	}
	return found
}

// phase is step i of an interval: 0 at i=0, the whole of it at the last.
func phase(interval time.Duration, i int) time.Duration {
	return interval * time.Duration(i) / (phaseSteps - 1)
}

// missed is the pass that finds a node silent whose last sign of life was that
// long before the fault. Passes happen at pass + k*Period.
func (t Tuning) missed(pass, silent time.Duration) time.Duration {
	seen := pass - (silent+pass)/t.Period*t.Period // the first pass at or after the sign of life
	return max(0, seen+t.Window().Median)          // below 0 it was called lost when it was not
}

// reported is the pass that reads a kubelet's own word on its dead runtime.
func (t Tuning) reported(pass time.Duration, step int) time.Duration {
	word := maxRuntimeSilence - runtimeCheck + phase(runtimeCheck+statusSync, step)
	late := max(word-pass, 0)
	return pass + (late+t.Period-1)/t.Period*t.Period
}

// Ref is a Span in the place of one that may be missing.
func (s Span) Ref() *Span { return &s }
