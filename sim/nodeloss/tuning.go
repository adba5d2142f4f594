package nodeloss

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrTuning says that flags cannot be simulated.
var ErrTuning = errors.New("no usable tuning")

// Tuning is what decides when a lost node is noticed and emptied.
type Tuning struct {
	Name string `json:"name"`

	Grace         time.Duration `json:"grace"`         // kube-controller-manager --node-monitor-grace-period
	Period        time.Duration `json:"period"`        // --node-monitor-period
	LeaseDuration time.Duration `json:"leaseDuration"` // kubelet's; it renews four times in it
	StatusReport  time.Duration `json:"statusReport"`  // kubelet nodeStatusReportFrequency

	EvictionRate   float64 `json:"evictionRate"`   // nodes per second and zone
	SecondaryRate  float64 `json:"secondaryRate"`  // in a large zone that is partly down
	LargeZone      int     `json:"largeZone"`      // nodes above which a zone is large
	UnhealthyShare float64 `json:"unhealthyShare"` // from which a zone is partly down

	// Unreachable replaces the 300 s that admission had stamped on the Pods
	// for unreachable nodes, as if they had been created since; 0 leaves them.
	// Other values were asked for by somebody and stay.
	Unreachable time.Duration `json:"unreachable,omitempty"`

	deckhouse bool // the grace period decides the rest
}

// DefaultToleration is what admission stamps on Pods for not-ready and
// unreachable nodes.
const DefaultToleration = 300 * time.Second

// Default is the tuning that Kubernetes 1.minor comes with.
func Default(minor int) Tuning {
	t := Tuning{
		Name: fmt.Sprintf("defaults of 1.%d", minor), Grace: 50 * time.Second, Period: 5 * time.Second,
		LeaseDuration: 40 * time.Second, StatusReport: 5 * time.Minute,
		EvictionRate: 0.1, SecondaryRate: 0.01, LargeZone: 50, UnhealthyShare: 0.55,
	}
	if minor <= 31 {
		t.Grace = 40 * time.Second // kubernetes/kubernetes#126287 made it 50 s
	}
	return t
}

// LikeDeckhouse is the tuning with what Deckhouse's control-plane-manager derives
// from the grace period of its ModuleConfig: a monitor pass every eighth of it,
// and status heartbeats every 10 s.
func (t Tuning) LikeDeckhouse(grace time.Duration) Tuning {
	t.Grace, t.deckhouse = grace, true
	t.Period = time.Duration(max(1, math.Round(grace.Seconds()/8))) * time.Second
	t.StatusReport = 10 * time.Second
	return t
}

// WithGrace is the tuning with another grace period. Nothing else changes, but
// where a ModuleConfig of Deckhouse made the tuning: there the rest follows.
func (t Tuning) WithGrace(grace time.Duration) Tuning {
	if t.deckhouse {
		return t.LikeDeckhouse(grace)
	}
	t.Grace = grace
	return t
}

// WithFlags is the tuning with what kube-controller-manager's flags say, and
// whether any of them said something. A value that cannot be read is ErrTuning.
func (t Tuning) WithFlags(flags map[string]string) (Tuning, bool, error) {
	found := false
	for name, target := range map[string]*time.Duration{"node-monitor-grace-period": &t.Grace, "node-monitor-period": &t.Period} {
		if text, ok := flags[name]; ok {
			d, err := time.ParseDuration(text)
			if err != nil {
				return t, false, fmt.Errorf("%w: --%s: %q is not a duration", ErrTuning, name, text)
			}
			*target, found = d, true
		}
	}
	for name, target := range map[string]*float64{
		"node-eviction-rate": &t.EvictionRate, "secondary-node-eviction-rate": &t.SecondaryRate, "unhealthy-zone-threshold": &t.UnhealthyShare,
	} {
		if text, ok := flags[name]; ok {
			rate, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return t, false, fmt.Errorf("%w: --%s: %q is not a number", ErrTuning, name, text)
			}
			*target, found = rate, true
		}
	}
	if text, ok := flags["large-cluster-size-threshold"]; ok {
		n, err := strconv.Atoi(text)
		if err != nil {
			return t, false, fmt.Errorf("%w: --large-cluster-size-threshold: %q is not a number", ErrTuning, text)
		}
		t.LargeZone, found = n, true
	}
	return t, found, nil
}

// Validate refuses what no controller could run with: ErrTuning.
func (t Tuning) Validate() error {
	for _, v := range []struct {
		name     string
		duration time.Duration
	}{{"grace period", t.Grace}, {"monitor period", t.Period}, {"lease duration", t.LeaseDuration}, {"status report frequency", t.StatusReport}} {
		if v.duration < 100*time.Millisecond || v.duration > 24*time.Hour {
			return fmt.Errorf("%w: a %s of %s is not between 0.1 s and a day", ErrTuning, v.name, v.duration)
		}
	}
	for _, rate := range []float64{t.EvictionRate, t.SecondaryRate, t.UnhealthyShare} {
		if !(rate >= 0 && rate <= 1e6) {
			return fmt.Errorf("%w: %v is no rate", ErrTuning, rate)
		}
	}
	return nil
}

// RenewInterval is the longest time between two renewals of a healthy
// kubelet's lease: a quarter of its duration, and up to 4 % of jitter.
func (t Tuning) RenewInterval() time.Duration {
	return time.Duration(float64(t.LeaseDuration) / 4 * 1.04)
}

// maxPass is how long a pass over the nodes is taken to last at most. The next
// one begins a monitor period after its end (wait.UntilWithContext is sliding).
const maxPass = 100 * time.Millisecond

// Window is how long a node may be silent, counted from the pass that saw its
// last sign of life: the first pass later than the grace period finds it lost.
// Where the grace period is a multiple of the monitor period, that pass falls on
// the end of it and, as every pass takes its time, just behind: median.
func (t Tuning) Window() Span {
	return Span{
		Min:    t.Grace,
		Median: (t.Grace + t.Period - 1) / t.Period * t.Period,
		Max:    (t.Grace/t.Period + 1) * (t.Period + maxPass),
	}
}

// Flapping is how close a healthy node is to being called lost.
type Flapping struct {
	Slack   time.Duration `json:"slack"`   // a lease renewal may come this much late; negative: every node flaps
	Signals int           `json:"signals"` // signs of life in a row, leases and status, that must go missing
}

// Flapping measures a healthy node in the worst phase.
func (t Tuning) Flapping() Flapping {
	window := t.Window().Min
	return Flapping{
		Slack:   window - t.RenewInterval(),
		Signals: int(window/t.RenewInterval()) + int(window/t.StatusReport),
	}
}

// Cost is what heartbeats of n nodes cost the API server and etcd.
type Cost struct {
	LeaseWrites  float64 `json:"leaseWritesPerSecond"`
	StatusWrites float64 `json:"statusWritesPerSecond"`
	Passes       float64 `json:"monitorPassesPerSecond"`
}

// Cost is per second, of a cluster of n nodes at rest.
func (t Tuning) Cost(n int) Cost {
	perSecond := func(every time.Duration) float64 { return math.Round(float64(n)/every.Seconds()*100) / 100 }
	mean := time.Duration(float64(t.LeaseDuration) / 4 * 1.02)
	return Cost{
		LeaseWrites: perSecond(mean), StatusWrites: perSecond(t.StatusReport),
		Passes: math.Round(100/t.Period.Seconds()) / 100,
	}
}

// ModuleConfig is what has to be applied to a cluster of Deckhouse for a tuning,
// "" where no ModuleConfig made it: control-plane-manager writes the flags of
// kube-controller-manager and kubelet, and the toleration of new Pods, from it.
func (t Tuning) ModuleConfig() string {
	if !t.deckhouse {
		return ""
	}
	return fmt.Sprintf(`apiVersion: deckhouse.io/v1alpha1
kind: ModuleConfig
metadata:
  name: control-plane-manager
spec:
  version: 1
  settings:
    nodeMonitorGracePeriodSeconds: %d
    failedNodePodEvictionTimeoutSeconds: %d
`, int64(t.Grace.Seconds()), int64(t.Unreachable.Seconds()))
}

// Compared is t, and the tuning to compare it with where a grace period or a
// toleration of unreachable nodes is given; 0 stands for t's own. A report of
// status that is given goes for both.
func (t Tuning) Compared(grace, toleration, statusReport time.Duration) []Tuning {
	if statusReport > 0 {
		t.StatusReport = statusReport
	}
	if grace == 0 && toleration == 0 {
		return []Tuning{t}
	}
	other := t
	var parts []string
	if grace > 0 {
		other = t.WithGrace(grace)
		if statusReport > 0 {
			other.StatusReport = statusReport
		}
		parts = append(parts, fmt.Sprintf("grace %d s", grace/time.Second))
	}
	if toleration > 0 {
		other.Unreachable = toleration
		parts = append(parts, fmt.Sprintf("toleration %d s", toleration/time.Second))
	}
	other.Name = strings.Join(parts, ", ")
	return []Tuning{t, other}
}
