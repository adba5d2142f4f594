package scheduler

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"
	configv1 "k8s.io/kube-scheduler/config/v1"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
)

// ErrConfig says that a KubeSchedulerConfiguration cannot be used.
var ErrConfig = errors.New("no usable KubeSchedulerConfiguration")

// UnknownPluginError names plugins that are not in the scheduler's own tree.
type UnknownPluginError struct{ Names []string }

func (e *UnknownPluginError) Error() string {
	return fmt.Sprintf("plugins %q are not in kube-scheduler's own tree", e.Names)
}

// Config is a KubeSchedulerConfiguration, ready to be used.
type Config struct {
	Skipped   []string // custom plugins that were left out
	Extenders []string // URLs of extenders, which are never called

	internal *config.KubeSchedulerConfiguration
}

// Profiles are the names of the schedulers that the configuration describes.
func (c *Config) Profiles() []string {
	names := make([]string, len(c.internal.Profiles))
	for i, p := range c.internal.Profiles {
		names[i] = p.SchedulerName
	}
	return names
}

// Percentage is percentageOfNodesToScore of a profile; 0 is adaptive.
func (c *Config) Percentage(profile string) int32 {
	global := c.internal.PercentageOfNodesToScore
	for _, p := range c.internal.Profiles {
		if p.SchedulerName == profile && p.PercentageOfNodesToScore != nil {
			return *p.PercentageOfNodesToScore
		}
	}
	if global == nil {
		return 0
	}
	return *global
}

// DefaultConfig is what kube-scheduler of a version ("" is the library's own)
// does without a configuration file. Defaults hang on the feature gates, so it
// sets those of the process.
func DefaultConfig(kubernetes string) (*Config, error) {
	if err := setGates(kubernetes); err != nil {
		return nil, err
	}
	var versioned configv1.KubeSchedulerConfiguration
	scheme.Scheme.Default(&versioned)
	internal := &config.KubeSchedulerConfiguration{}
	if err := scheme.Scheme.Convert(&versioned, internal, nil); err != nil {
		return nil, fmt.Errorf("making the default configuration: %w", err)
	}
	internal.APIVersion = configv1.SchemeGroupVersion.String()
	return &Config{internal: internal}, nil
}

// ParseConfig reads a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1)
// as kube-scheduler's --config does: strictly, with its defaults and its
// validation. Custom plugins are an *UnknownPluginError, or are left out when
// skipUnknown is set. A file that cannot be used is ErrConfig. As with
// DefaultConfig, the gates of the version are set first.
//
// Extenders are taken out: they are calls over the network.
func ParseConfig(data []byte, kubernetes string, skipUnknown bool) (*Config, error) {
	if err := setGates(kubernetes); err != nil {
		return nil, err
	}
	obj, gvk, err := scheme.Codecs.UniversalDecoder().Decode(data, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	internal, ok := obj.(*config.KubeSchedulerConfiguration)
	if !ok {
		return nil, fmt.Errorf("%w: it is a %s", ErrConfig, gvk.Kind)
	}
	internal.APIVersion = gvk.GroupVersion().String()
	c := &Config{internal: internal}
	for _, e := range internal.Extenders {
		c.Extenders = append(c.Extenders, e.URLPrefix)
	}
	internal.Extenders = nil
	c.Skipped = dropUnknown(internal.Profiles)
	if len(c.Skipped) > 0 && !skipUnknown {
		return nil, &UnknownPluginError{Names: c.Skipped}
	}
	if err := validation.ValidateKubeSchedulerConfiguration(internal); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, nil
}

// dropUnknown takes plugins out of the profiles that the scheduler does not
// have in its tree, and returns their names.
func dropUnknown(profiles []config.KubeSchedulerProfile) []string {
	registry := plugins.NewInTreeRegistry()
	unknown := sets.New[string]()
	isUnknown := func(name string) bool {
		if _, ok := registry[name]; ok || name == "*" {
			return false
		}
		unknown.Insert(name)
		return true
	}
	for i := range profiles {
		p := &profiles[i]
		if p.Plugins == nil {
			continue
		}
		for _, set := range pluginSets(p.Plugins) {
			set.Enabled = slices.DeleteFunc(set.Enabled, func(pl config.Plugin) bool { return isUnknown(pl.Name) })
			set.Disabled = slices.DeleteFunc(set.Disabled, func(pl config.Plugin) bool { return isUnknown(pl.Name) })
		}
		p.PluginConfig = slices.DeleteFunc(p.PluginConfig, func(c config.PluginConfig) bool { return isUnknown(c.Name) })
	}
	return sets.List(unknown)
}

func pluginSets(p *config.Plugins) []*config.PluginSet {
	return []*config.PluginSet{
		&p.PreEnqueue, &p.QueueSort, &p.PreFilter, &p.Filter, &p.PostFilter, &p.PreScore, &p.Score,
		&p.Reserve, &p.Permit, &p.PreBind, &p.Bind, &p.PostBind, &p.MultiPoint,
	}
}
