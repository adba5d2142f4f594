package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/sim"
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
		return "", usagef("%s is not for the %s engine: it lists %s", s.Name, wanted, enginesOf(s))
	case wanted == sim.Virtual && backup != "":
		return "", withHint(usagef("%s: the virtual engine cannot start from a backup: its keys have no values", s.Name), "leave --backup out, or take --engine embedded")
	case wanted != "":
		return wanted, nil
	case backup == "":
		return s.Engines[0], nil
	}
	i := slices.IndexFunc(s.Engines, func(e sim.EngineName) bool { return e != sim.Virtual })
	if i < 0 {
		return "", usagef("%s cannot start from a backup: it is for the virtual engine alone, whose keys have no values", s.Name)
	}
	return s.Engines[i], nil
}

// giveBackups opens the drills' backups, each once, before the first drill is
// run, and leaves their databases in scratch, where members can open them.
func giveBackups(c *cli.Context, env *environment, drills []loadedDrill, scratch string) error {
	opened := map[string]sim.Given{}
	for _, d := range drills {
		if d.backup == "" {
			continue
		}
		given, ok := opened[d.backup]
		if !ok {
			var err error
			given, err = openBackup(c, env, d.backup, filepath.Join(scratch, fmt.Sprintf("backup-%d.snapshot", len(opened))))
			if err != nil {
				return err
			}
			opened[d.backup] = given
		}
		g := &d.scenario.Given
		g.Backup, g.Snapshot, g.Objects = d.backup, given.Snapshot, given.Objects
	}
	return nil
}

// openBackup puts a backup's database at to and names the objects in it.
func openBackup(c *cli.Context, env *environment, path, to string) (g sim.Given, err error) {
	opts, err := sourceOptionsOf(c)
	if err != nil {
		return g, err
	}
	src, err := openSource(c.Context, env, opts, path)
	if err != nil {
		return g, err
	}
	defer src.Close()
	info, err := src.db.Info(c.Context)
	if err != nil {
		return g, err
	}
	if _, err := datadir.Save(c.Context, src.file, info.Size, to); err != nil {
		return g, err
	}
	g.Snapshot = to
	regOpts, err := src.registryOptions(env, opts)
	if err != nil {
		return g, err
	}
	for e, err := range registry.New(src.db, regOpts).Entries(c.Context, func(k registry.Key) bool { return !k.System }) {
		if err != nil {
			return g, err
		}
		if e.KV.Lease == 0 {
			g.Objects = append(g.Objects, drillObject(e))
		}
	}
	return g, nil
}

// drillObject is what a drill has to know of an object: its name, not its value.
func drillObject(e registry.Entry) sim.Object {
	name := e.Key.Name
	if e.Key.Namespace != "" {
		name = e.Key.Namespace + "/" + name
	}
	return sim.Object{Key: e.Key.Path, Namespace: e.Key.Namespace, Name: e.Key.Resource() + " " + name, Size: len(e.KV.Value)}
}
