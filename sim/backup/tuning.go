package backup

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// Tuning is how the cluster's node lifecycle is tuned, and says from where: the
// manifest's flags, else ModuleConfig control-plane-manager, else the defaults
// of the release. notes are worth knowing, for people.
func (c *Cluster) Tuning(release string) (t nodeloss.Tuning, notes []string, err error) {
	minor := 37
	if v, err := version.ParseGeneric(release); err == nil {
		minor = int(v.Minor())
	}
	t = nodeloss.Default(minor)
	fromManifest, err := applyFlags(&t, c.Flags)
	if err != nil {
		return t, nil, err
	}
	grace, set := secondsOf(c.module["nodeMonitorGracePeriodSeconds"])
	switch {
	case fromManifest:
		t.Name = "as the backup's kube-controller-manager manifest says"
	case set:
		TuneLikeDeckhouse(&t, grace)
		t.Name = "as ModuleConfig control-plane-manager says"
	}
	if seconds, ok := secondsOf(c.module["failedNodePodEvictionTimeoutSeconds"]); ok {
		notes = append(notes, fmt.Sprintf("ModuleConfig control-plane-manager sets %g s of toleration for unreachable nodes; "+
			"Pods keep what they were created with, and that is what counts here", seconds))
	}
	return t, notes, nil
}

// TuneLikeDeckhouse sets what its control-plane-manager derives from the grace
// period in seconds: a monitor pass every eighth of it, and status heartbeats
// every 10 s.
func TuneLikeDeckhouse(t *nodeloss.Tuning, grace float64) {
	t.Grace = time.Duration(grace * float64(time.Second))
	t.Period = time.Duration(max(1, math.Round(grace/8))) * time.Second
	t.StatusReport = 10 * time.Second
}

// applyFlags takes what kube-controller-manager's flags say.
func applyFlags(t *nodeloss.Tuning, flags map[string]string) (bool, error) {
	found := false
	wrong := func(name, text, what string) error {
		return fmt.Errorf("reading kube-controller-manager's --%s: %q is no %s", name, text, what)
	}
	for name, target := range map[string]*time.Duration{"node-monitor-grace-period": &t.Grace, "node-monitor-period": &t.Period} {
		if text, ok := flags[name]; ok {
			d, err := time.ParseDuration(text)
			if err != nil {
				return false, wrong(name, text, "duration")
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
				return false, wrong(name, text, "number")
			}
			*target, found = rate, true
		}
	}
	if text, ok := flags["large-cluster-size-threshold"]; ok {
		n, err := strconv.Atoi(text)
		if err != nil {
			return false, wrong("large-cluster-size-threshold", text, "number")
		}
		t.LargeZone, found = n, true
	}
	return found, nil
}

// moduleSettings are the settings of ModuleConfig control-plane-manager, nil
// where the backup has none.
func moduleSettings(ctx context.Context, reg *registry.Registry) (map[string]any, error) {
	var settings map[string]any
	for o, err := range reg.Objects(ctx, func(k registry.Key) bool {
		return k.Resource() == "moduleconfigs.deckhouse.io" && k.Name == "control-plane-manager"
	}) {
		if err != nil {
			return nil, err
		}
		if content, err := o.Content(); err == nil {
			settings, _, _ = unstructured.NestedMap(content, "spec", "settings")
		}
	}
	return settings, nil
}

func secondsOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
