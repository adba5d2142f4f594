package drills

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/cmd/simulations"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/nodes"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// backupOf is the SRC that a drill starts from: --backup, else its own, which
// stands beside its file.
func backupOf(c *cli.Context, word string, s *sim.Scenario) string {
	switch own := s.Given.Backup; {
	case c.String("backup") != "":
		return c.String("backup")
	case own == "" || filepath.IsAbs(own):
		return own
	default:
		return filepath.Join(filepath.Dir(word), own)
	}
}

// engineOf is the engine that a drill will run on.
func engineOf(s *sim.Scenario, wanted sim.EngineName, backup string) (sim.EngineName, error) {
	switch {
	case wanted != "" && !slices.Contains(s.Engines, wanted):
		return "", console.Usagef("%s is not for the %s engine: it lists %s", s.Name, wanted, enginesOf(s))
	case wanted == sim.Virtual && backup != "":
		return "", console.WithHint(console.Usagef("%s: the virtual engine cannot start from a backup: its keys have no values", s.Name), "leave --backup out, or take --engine embedded")
	case backup == "" && s.Engines[0] == sim.Nodes:
		return "", console.WithHint(console.Usagef("%s loses nodes of a backup, and has none", s.Name), "add --backup SRC")
	case wanted != "":
		return wanted, nil
	case backup == "":
		return s.Engines[0], nil
	}
	i := slices.IndexFunc(s.Engines, func(e sim.EngineName) bool { return e != sim.Virtual })
	if i < 0 {
		return "", console.Usagef("%s cannot start from a backup: it is for the virtual engine alone, whose keys have no values", s.Name)
	}
	return s.Engines[i], nil
}

// giveBackups opens the drills' backups, each once, before the first drill is
// run. Databases that members start from are left in scratch.
func giveBackups(c *cli.Context, env *console.Environment, drills []loadedDrill, scratch string) error {
	type use struct {
		engine sim.EngineName
		path   string
	}
	opened := map[use]*drillBackup{}
	for i := range drills {
		d := &drills[i]
		if d.backup == "" {
			continue
		}
		key := use{d.engine, d.backup}
		if opened[key] == nil {
			b, err := openBackup(c, env, d.engine, d.backup, filepath.Join(scratch, fmt.Sprintf("backup-%d.snapshot", len(opened))))
			if err != nil {
				return err
			}
			opened[key] = b
		}
		g, b := &d.scenario.Given, opened[key]
		g.Backup, g.Snapshot, g.Objects = d.backup, b.snapshot, b.objects
		d.nodes, d.missing = b.nodes, b.missing
	}
	return nil
}

// drillBackup is what drills need of a backup.
type drillBackup struct {
	snapshot string // where members can open its database
	objects  []sim.Object
	nodes    *nodes.Cluster // of a drill that loses nodes
	missing  error          // what nodes had to do without
}

// openBackup opens SRC for one engine; a database goes to the file at to.
func openBackup(c *cli.Context, env *console.Environment, engine sim.EngineName, path, to string) (*drillBackup, error) {
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return nil, err
	}
	src, err := console.OpenSource(c.Context, env, opts, path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	b := &drillBackup{}
	if engine == sim.Nodes {
		b.nodes, b.missing, err = drillNodes(c.Context, env, src, opts)
		return b, err
	}
	info, err := src.Db.Info(c.Context)
	if err != nil {
		return nil, err
	}
	if _, err := datadir.Save(c.Context, src.File, info.Size, datadir.Target{Path: to}); err != nil {
		return nil, err
	}
	b.snapshot = to
	regOpts, err := src.RegistryOptions(env, opts)
	if err != nil {
		return nil, err
	}
	for e, err := range registry.New(src.Db, regOpts).Entries(c.Context, func(k registry.Key) bool { return !k.System }) {
		if err != nil {
			return nil, err
		}
		if e.KV.Lease == 0 {
			b.objects = append(b.objects, drillObject(e))
		}
	}
	return b, nil
}

// drillNodes reads a backup's nodes and Pods. A verdict on a part of them would
// be none: what is encrypted has to be opened. The second error is what is left
// out for another reason; the verdict stands beside it.
func drillNodes(ctx context.Context, env *console.Environment, src *console.Source, opts console.SourceOptions) (b *nodes.Cluster, missing, err error) {
	cluster, err := simulations.ReadSimCluster(ctx, env, src, opts)
	if err != nil {
		return nil, nil, err
	}
	if missing = cluster.Verdict(); cluster.Locked > 0 {
		return nil, nil, simulations.LockedObjects(fmt.Errorf("losing nodes of %q: %d objects are encrypted, and no key at hand opens them", src.Path, cluster.Locked))
	}
	b = &nodes.Cluster{Objects: cluster.Objects}
	if missing != nil {
		b.Notes = append(b.Notes, missing.Error())
	}
	version, caveats := simulations.JudgedAs(cluster.Version.Version)
	b.Notes = append(b.Notes, caveats...)
	if b.Options.Config, err = scheduler.DefaultConfig(version); err != nil {
		return nil, nil, err
	}
	b.Options.Version, b.Options.Order = version, scheduler.Order{By: scheduler.ByName}
	b.Tuning, err = simulations.TuningOf(ctx, env, src, opts, cluster, version)
	return b, missing, err
}

// drillObject is what a drill has to know of an object: its name, not its value.
func drillObject(e registry.Entry) sim.Object {
	name := e.Key.Name
	if e.Key.Namespace != "" {
		name = e.Key.Namespace + "/" + name
	}
	return sim.Object{Key: e.Key.Path, Namespace: e.Key.Namespace, Name: e.Key.Resource() + " " + name, Size: len(e.KV.Value)}
}
