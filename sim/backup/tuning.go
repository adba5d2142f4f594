package backup

import (
	"context"
	"fmt"
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
	t, fromManifest, err := nodeloss.Default(minor).WithFlags(c.Flags)
	if err != nil {
		return t, nil, fmt.Errorf("reading kube-controller-manager's flags: %w", err)
	}
	grace, set := secondsOf(c.module["nodeMonitorGracePeriodSeconds"])
	switch {
	case fromManifest:
		t.Name = "as the backup's kube-controller-manager manifest says"
	case set:
		t = t.LikeDeckhouse(time.Duration(grace * float64(time.Second)))
		t.Name = "as ModuleConfig control-plane-manager says"
	}
	if seconds, ok := secondsOf(c.module["failedNodePodEvictionTimeoutSeconds"]); ok {
		notes = append(notes, fmt.Sprintf("ModuleConfig control-plane-manager sets %g s of toleration for unreachable nodes; "+
			"Pods keep what they were created with, and that is what counts here", seconds))
	}
	return t, notes, nil
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
