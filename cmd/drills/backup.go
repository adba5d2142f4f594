package drills

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/cmd/simulations"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/backup"
	"github.com/lifeboat-dr/lifeboat/sim/nodes"
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
	if engine == sim.Nodes {
		return drillNodes(c.Context, env, src)
	}
	info, err := src.DB().Info(c.Context)
	if err != nil {
		return nil, err
	}
	if _, err := datadir.Save(c.Context, src.File(), info.Size, datadir.Target{Path: to}); err != nil {
		return nil, err
	}
	objects, err := backup.Keys(c.Context, src)
	return &drillBackup{snapshot: to, objects: objects}, err
}

func drillNodes(ctx context.Context, env *console.Environment, src *lifeboat.Backup) (*drillBackup, error) {
	cluster, err := simulations.ReadCluster(ctx, env, src)
	if err != nil {
		return nil, err
	}
	lose, notes, err := cluster.Nodes(src.Path())
	for _, note := range notes {
		env.Note("%s", note)
	}
	return &drillBackup{nodes: lose, missing: cluster.Verdict()}, err
}
