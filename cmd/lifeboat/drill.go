package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// drillCommand is the family of verbs that rehearse a disaster.
func drillCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "drill",
		Usage: "rehearse a lost quorum or node: scenarios with expectations and a verdict",
		UsageText: "lifeboat drill list\n" +
			"lifeboat drill run lose-1-of-3 --seeds 1..200 --to report\n" +
			"lifeboat drill run lose-a-node --backup kube-backup.tar.gz\n" +
			"lifeboat drill new > my-drill.yaml",
		Subcommands: []*cli.Command{drillListCommand(env), drillRunCommand(env), drillNewCommand(env)},
	}
}

// readDrill reads a drill by its name, or from a file: what looks like a path
// is one.
func readDrill(word string) (*sim.Scenario, []byte, error) {
	var data []byte
	var err error
	if strings.ContainsAny(word, "/.") {
		data, err = os.ReadFile(word)
	} else if data, err = scenarios.Read(word); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, withHint(failf("there is no drill %q", word), didYouMean(word, scenarios.Names(), "", "lifeboat drill list"))
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := sim.Load(word, data)
	if err != nil {
		return nil, nil, usageError(err)
	}
	return s, data, nil
}

func drillListCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "the drills that ship, and what each rehearses",
		UsageText: "lifeboat drill list\nlifeboat drill list -o json",
		Flags:     []cli.Flag{outputFlag(env, formatTable, formatWide, formatJSON, formatYAML, formatName)},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("unexpected argument %q", c.Args().First())
			}
			return drillList(env)
		},
	}
}

func drillList(env *environment) error {
	var all []*sim.Scenario
	for _, name := range scenarios.Names() {
		s, _, err := readDrill(name)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	switch env.format {
	case formatJSON, formatYAML:
		return env.printDocument(map[string]any{"items": all})
	case formatName:
		for _, s := range all {
			fmt.Fprintln(env.stdout, s.Name)
		}
		return nil
	}
	header := []string{"NAME", "ENGINE", "TITLE"}
	if env.format == formatWide {
		header = append(header, "REHEARSES")
	}
	t := newTable(env.stdout, header...)
	for _, s := range all {
		row := []string{s.Name, enginesOf(s), s.Title}
		if env.format == formatWide {
			row = append(row, s.Document)
		}
		t.row(row...)
	}
	return t.flush()
}

func enginesOf(s *sim.Scenario) string {
	if s.Kind == sim.KindCard {
		return "card"
	}
	names := make([]string, len(s.Engines))
	for i, e := range s.Engines {
		names[i] = string(e)
	}
	return strings.Join(names, ",")
}
