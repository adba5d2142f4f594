// Package drills holds the verbs of `lifeboat drill`: the drills that ship are
// listed, run and started from.
package drills

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/argv"
	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// DrillCommand is the family of verbs that rehearse a disaster.
func DrillCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "drill",
		Usage: "rehearse a lost quorum or node: scenarios with expectations and a verdict",
		UsageText: "lifeboat drill list\n" +
			"lifeboat drill run lose-1-of-3 --seeds 1..200 --to report\n" +
			"lifeboat drill run lose-a-node --backup kube-backup.tar.gz\n" +
			"lifeboat drill search lose-1-of-3 --seeds 1..1000 --to found\n" +
			"lifeboat drill new > my-drill.yaml",
		Subcommands: []*cli.Command{drillListCommand(env), drillRunCommand(env), drillSearchCommand(env), drillMergeCommand(env), drillNewCommand(env)},
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
		return nil, nil, console.WithHint(console.Failf("there is no drill %q", word), argv.DidYouMean(word, scenarios.Names(), "", "lifeboat drill list"))
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := sim.Load(word, data)
	if err != nil {
		return nil, nil, console.UsageError(err)
	}
	return s, data, nil
}

func drillListCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "the drills that ship, and what each rehearses",
		UsageText: "lifeboat drill list\nlifeboat drill list -o json",
		Flags:     []cli.Flag{console.OutputFlag(env, console.FormatTable, console.FormatWide, console.FormatJSON, console.FormatYAML, console.FormatName)},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return console.Usagef("unexpected argument %q", c.Args().First())
			}
			return drillList(env)
		},
	}
}

func drillList(env *console.Environment) error {
	var all []*sim.Scenario
	for _, name := range scenarios.Names() {
		s, _, err := readDrill(name)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	switch env.Format {
	case console.FormatJSON, console.FormatYAML:
		return env.PrintDocument(map[string]any{"items": all})
	case console.FormatName:
		for _, s := range all {
			fmt.Fprintln(env.Stdout, s.Name)
		}
		return nil
	}
	header := []string{"NAME", "ENGINE", "TITLE"}
	if env.Format == console.FormatWide {
		header = append(header, "REHEARSES")
	}
	t := console.NewTable(env.Stdout, header...)
	for _, s := range all {
		row := []string{s.Name, enginesOf(s), s.Title}
		if env.Format == console.FormatWide {
			row = append(row, s.Document)
		}
		t.Row(row...)
	}
	return t.Flush()
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
