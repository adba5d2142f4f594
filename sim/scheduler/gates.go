package scheduler

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/version"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/features"
)

// Library is the release whose scheduler is linked.
const Library = "1.37.1"

// ErrVersion says that a Kubernetes version cannot be simulated.
var ErrVersion = errors.New("version cannot be simulated")

// Difference is something in which the linked scheduler is known to judge
// otherwise than the cluster's own.
type Difference struct {
	Topic  string `json:"topic"`
	Detail string `json:"detail"`
}

// differences are the known ones, with the first minor release (of 1.x) that
// does as the library does.
func differences() []struct {
	since uint
	Difference
} {
	return []struct {
		since uint
		Difference
	}{
		{32, Difference{"volume limits", "before 1.32 EBSLimits, GCEPDLimits and AzureDiskLimits were plugins of their own; the library has NodeVolumeLimits alone"}},
		{35, Difference{"ties", "up to 1.34 the winner among equal scores is drawn at random; the library takes the one on top of its heap, which follows the node order"}},
		{35, Difference{"node order", "up to 1.34 a restart lists the nodes by name; from 1.35 on any order is legal"}},
		{36, Difference{"balanced allocation", "up to 1.35 NodeResourcesBalancedAllocation scores 100*(1-deviation); the library scores what the Pod changes about it"}},
		{37, Difference{"plugins", "the list and the order of the default plugins differ (NodeUnschedulable, NodeDeclaredFeatures); of several reasons against a node another may be named first"}},
	}
}

// Differences are the known differences between the linked scheduler and that
// of a Kubernetes version ("v1.34.2", "1.36"), the oldest first.
func Differences(kubernetes string) ([]Difference, error) {
	v, err := version.ParseGeneric(kubernetes)
	if err != nil {
		return nil, fmt.Errorf("reading version %q: %w", kubernetes, ErrVersion)
	}
	var known []Difference
	for _, d := range differences() {
		if v.Major() == 1 && v.Minor() < d.since {
			known = append(known, d.Difference)
		}
	}
	if newest := version.MustParseGeneric(Library); v.Major() != 1 || v.Minor() > newest.Minor() {
		known = append(known, Difference{"newer", "the cluster is newer than the linked scheduler " + Library + ": what changed since is not known"})
	}
	return known, nil
}

// process guards the feature gates: Kubernetes keeps them in a variable of the
// process, so the first Simulator decides for all.
var process struct {
	sync.Mutex
	emulated string // "" before the first
	gates    string // those that UseGates set
	ignored  []string
}

// setGates sets the gates of a version once. Releases below 1.34 get those of
// 1.34: component-base emulates three releases back, no further.
func setGates(kubernetes string) error {
	emulated, err := emulation(kubernetes)
	if err != nil {
		return err
	}
	process.Lock()
	defer process.Unlock()
	switch process.emulated {
	case emulated.String():
		return nil
	case "":
	default:
		return fmt.Errorf("simulating %s: %w: this process simulates %s already", emulated, ErrVersion, process.emulated)
	}
	klog.LogToStderr(false) // informers log past any context
	klog.SetOutput(io.Discard)
	gates := utilfeature.DefaultMutableFeatureGate
	if err := gates.SetEmulationVersion(emulated); err != nil {
		return fmt.Errorf("setting the gates of %s: %w", emulated, err)
	}
	for _, gate := range pinnedGates() {
		if !gates.Enabled(gate) {
			continue
		}
		if err := gates.SetFromMap(map[string]bool{string(gate): false}); err != nil {
			return fmt.Errorf("switching %s off: %w", gate, err)
		}
	}
	process.emulated = emulated.String()
	return nil
}

// UseGates sets feature gates as kube-scheduler's --feature-gates gives them
// ("A=true,B=false"), over those of a version. Gates that the linked scheduler does
// not have, cannot change, or needs as they are, are returned. They belong to the
// process: other gates than before are ErrVersion.
func UseGates(kubernetes, text string) (ignored []string, err error) {
	if err := setGates(kubernetes); err != nil {
		return nil, err
	}
	process.Lock()
	defer process.Unlock()
	switch process.gates {
	case text:
		return slices.Clone(process.ignored), nil
	case "":
	default:
		return nil, fmt.Errorf("setting the gates %q: %w: this process has those of %q already", text, ErrVersion, process.gates)
	}
	gates := utilfeature.DefaultMutableFeatureGate
	for _, word := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		on, err := strconv.ParseBool(strings.TrimSpace(value))
		if err == nil && !slices.Contains(pinnedGates(), featuregate.Feature(name)) {
			err = gates.SetFromMap(map[string]bool{name: on})
		} else if err == nil {
			err = ErrVersion
		}
		if err != nil {
			process.ignored = append(process.ignored, strconv.Quote(name))
		}
	}
	process.gates = text
	return slices.Clone(process.ignored), nil
}

// pinnedGates are off whatever a cluster says.
func pinnedGates() []featuregate.Feature {
	return []featuregate.Feature{
		features.OpportunisticBatching,    // hints that expire by the wall clock
		features.SchedulerAsyncPreemption, // deletes victims from a goroutine
		features.SchedulerAsyncAPICalls,   // wants an API server to answer
	}
}

// emulation is the version whose gates are set for a cluster's version.
func emulation(kubernetes string) (*version.Version, error) {
	newest := version.MajorMinor(1, version.MustParseGeneric(Library).Minor())
	if kubernetes == "" {
		return newest, nil
	}
	v, err := version.ParseGeneric(kubernetes)
	if err != nil || v.Major() != 1 {
		return nil, fmt.Errorf("reading version %q: %w", kubernetes, ErrVersion)
	}
	oldest := newest.Minor() - 3
	return version.MajorMinor(1, min(max(v.Minor(), oldest), newest.Minor())), nil
}
