package backup

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// own is how the backup's kube-scheduler was run.
type own struct {
	config  controlplane.FlagFile // of --config
	missing error                 // why that file is not at hand
	gates   string                // --feature-gates
}

func ownScheduler(control *controlplane.View) (o own, err error) {
	if flags, ok := control.Flags(controlplane.Scheduler); ok {
		o.gates = flags["feature-gates"]
	}
	o.config, _, err = control.FlagFile(controlplane.Scheduler, "config")
	if errors.Is(err, fs.ErrNotExist) {
		o.missing, err = err, nil
	}
	return o, err
}

// SchedulerConfig is the configuration of the backup's own kube-scheduler, judged
// as a version: what its manifest names, else the defaults. from says where it
// comes from, caveats what of it has no say.
func (c *Cluster) SchedulerConfig(version string) (config *scheduler.Config, from string, caveats []string, err error) {
	ignored, err := scheduler.UseGates(version, c.own.gates)
	if err != nil {
		return nil, "", nil, err
	}
	for _, gate := range ignored {
		caveats = append(caveats, "feature gate "+gate+" of kube-scheduler's manifest has no say: kube-scheduler "+scheduler.Library+" does not have it, or it is fixed here")
	}
	if c.own.missing != nil {
		caveats = append(caveats, fmt.Sprintf("%v: judged by the default configuration", c.own.missing))
	}
	if c.own.config.Path == "" {
		config, err = scheduler.DefaultConfig(version)
		return config, "the default configuration", caveats, err
	}
	config, err = scheduler.ParseConfig(c.own.config.Content, version, true)
	if err != nil {
		return nil, "", nil, fmt.Errorf("reading %q of the backup: %w", c.own.config.Path, err)
	}
	from = fmt.Sprintf("%q of the backup, which kube-scheduler's manifest names", c.own.config.Path)
	for _, name := range config.Skipped {
		caveats = append(caveats, fmt.Sprintf("plugin %q of %q is left out: the answer may differ from your scheduler's", name, c.own.config.Path))
	}
	for _, url := range config.Extenders {
		caveats = append(caveats, fmt.Sprintf("extender %q of %q is not called: the answer may differ from your scheduler's", url, c.own.config.Path))
	}
	return config, from, caveats, nil
}
