package simulations

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim"
)

func simQuorumTableCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "table", Usage: "sizes 1 to 9: quorum, and how many losses were stood in a run",
		UsageText: "lifeboat sim quorum table",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "seeds", Value: "1..3", Usage: "one run per seed of `A..B`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		},
		Action: func(c *cli.Context) error {
			seeds, err := sim.ParseRange(c.String("seeds"))
			if err != nil {
				return console.Usagef("--seeds: %w", err)
			}
			return quorumTable(c, env, seeds)
		},
	}
}

// quorumRow is a cluster size.
type quorumRow struct {
	Members int         `json:"members"`
	Quorum  int         `json:"quorum"`
	Stands  int         `json:"stands"` // losses at once after which writes went on, in every run
	Silence *sim.Spread `json:"withoutWrites,omitempty"`
	Gain    bool        `json:"standsMoreThanOneLess"` // than a cluster with one member less
}

// quorumTable kills one member more until writes stop.
func quorumTable(c *cli.Context, env *console.Environment, seeds sim.Range) error {
	phase := env.Progress.Start("running sizes 1 to 9", 0)
	defer phase.Done()
	var rows []quorumRow
	for members := 1; members <= 9; members++ {
		row := quorumRow{Members: members, Quorum: members/2 + 1}
		for kill := 1; kill <= members; kill++ {
			answer, err := askQuorum(c, members, kill, seeds, "")
			if err != nil {
				return err
			}
			if answer.Keeps < answer.Seeds {
				break
			}
			row.Stands, row.Silence = kill, answer.Silence
		}
		row.Gain = members == 1 || row.Stands > rows[members-2].Stands
		rows = append(rows, row)
	}
	phase.Done()
	if env.Format != console.FormatTable {
		return env.PrintDocument(map[string]any{"items": rows})
	}
	t := console.NewTable(env.Stdout, "MEMBERS", "QUORUM", "STANDS", "WITHOUT WRITES", "NOTE")
	for _, row := range rows {
		silence, note := "-", ""
		if row.Silence != nil {
			silence = "up to " + row.Silence.Max.Short()
		}
		if !row.Gain {
			note = "no more than " + strconv.Itoa(row.Members-1)
		}
		t.Row(strconv.Itoa(row.Members), strconv.Itoa(row.Quorum), strconv.Itoa(row.Stands), silence, note)
	}
	return t.Flush()
}
