package backup

import (
	"context"
	"fmt"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/nodes"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// Nodes are the nodes and Pods for a drill that loses some of them; source names
// the backup in errors. A verdict on a part of them would be none: what is
// encrypted has to be opened. What is left out for another reason is Verdict's,
// which stands beside the drill's. notes are worth knowing, for people.
func (c *Cluster) Nodes(source string) (lose *nodes.Cluster, notes []string, err error) {
	if c.Locked > 0 {
		return nil, nil, locked(fmt.Errorf("losing nodes of %q: %d objects are encrypted, and no key at hand opens them", source, c.Locked))
	}
	lose = &nodes.Cluster{Objects: c.Objects}
	if missing := c.Verdict(); missing != nil {
		lose.Notes = append(lose.Notes, missing.Error())
	}
	version, caveats := JudgedAs(c.Version.Version)
	lose.Notes = append(lose.Notes, caveats...)
	config, from, more, err := c.SchedulerConfig(version)
	if err != nil {
		return nil, nil, err
	}
	lose.Options.Config, lose.Notes = config, append(lose.Notes, more...)
	if c.own.config.Path != "" {
		lose.Notes = append(lose.Notes, "The scheduler's configuration is "+from+".")
	}
	lose.Options.Version, lose.Options.Order = version, scheduler.Order{By: scheduler.ByName}
	lose.Tuning, notes, err = c.Tuning(version)
	return lose, notes, err
}

// Keys are the objects of a backup that a drill on its database may write to:
// by name and size, without a value. Those that a lease ends are none.
func Keys(ctx context.Context, b *lifeboat.Backup) ([]sim.Object, error) {
	reg, err := b.Objects(0)
	if err != nil {
		return nil, err
	}
	var objects []sim.Object
	for e, err := range reg.Entries(ctx, func(k registry.Key) bool { return !k.System }) {
		if err != nil {
			return nil, err
		}
		if e.KV.Lease != 0 {
			continue
		}
		name := e.Key.Name
		if e.Key.Namespace != "" {
			name = e.Key.Namespace + "/" + name
		}
		objects = append(objects, sim.Object{Key: e.Key.Path, Namespace: e.Key.Namespace, Name: e.Key.Resource() + " " + name, Size: len(e.KV.Value)})
	}
	return objects, nil
}
