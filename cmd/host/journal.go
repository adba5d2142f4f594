package host

import (
	"errors"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func resumeCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "resume", Usage: "go on with the run that was cut off",
		UsageText: "lifeboat host resume",
		Flags: []cli.Flag{rootFlag(), &cli.DurationFlag{Name: "wait", Value: defaultWait, Usage: "how `LONG` etcd may take to let go of its data"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)},
		Action: func(c *cli.Context) error { return onHost(c, env, runResume) },
	}
}

func runResume(s *session) error {
	if err := noArguments(s.c); err != nil {
		return err
	}
	id, err := host.Unfinished(s.root)
	if err != nil {
		return err
	}
	if id == "" {
		s.env.Note("no run was cut off")
		return nil
	}
	run, err := host.Load(s.root, id)
	if err != nil {
		return err
	}
	return errors.Join(s.goOn(run), run.Close())
}

// goOn goes the way that the run was going.
func (s *session) goOn(run *host.Run) error {
	if run.Status() == host.Going {
		return s.back(run)
	}
	var works map[string]host.Work
	if run.Plan.NeedsSource() {
		op, err := openingOf(run.Plan)
		if err != nil {
			return err
		}
		state, err := host.Look(s.c.Context, s.root, op.look())
		if err != nil {
			return err
		}
		works = op.works(s.env, state)
	}
	return s.forward(run, works)
}

func undoCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "undo", Usage: "take back what a run did; the newest, without an ID",
		UsageText: "lifeboat host undo --dry-run\n" +
			"lifeboat host undo 20261128T120000Z --yes",
		ArgsUsage: "[ID]",
		Description: `It is refused when something that the run changed was changed since: nothing is
taken back then. An undo that changes what the cluster holds, as that of a
restore, asks for the member's name, as the run did. --abandon closes a run
that was cut off and neither goes on nor back: all stays as it stands, and
other runs may begin.`,
		Flags: runFlags(env, &cli.BoolFlag{Name: "abandon", Usage: "close a run that was cut off, and change nothing"}),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return console.Usagef("unexpected argument %q", c.Args().Get(1))
			}
			if c.Bool("abandon") && c.Bool("dry-run") {
				return console.Usagef("--abandon has nothing to show with --dry-run")
			}
			if c.Bool("abandon") {
				return onHost(c, env, func(s *session) error { return s.abandon(c.Args().First()) })
			}
			return onHost(c, env, func(s *session) (err error) {
				id := c.Args().First()
				if id == "" {
					if id, err = host.Newest(s.root); err != nil {
						return err
					}
				}
				return s.undo(id)
			})
		},
	}
}

// abandon closes the run that was cut off.
func (s *session) abandon(id string) (err error) {
	if id == "" {
		if id, err = host.Unfinished(s.root); err != nil {
			return err
		}
	}
	if id == "" {
		s.env.Note("no run was cut off")
		return nil
	}
	run, err := host.Load(s.root, id)
	if err != nil {
		return err
	}
	defer run.Close()
	if err := run.Abandon(); err != nil {
		return err
	}
	return s.printRun(run, "closed as it stands")
}

func (s *session) undo(id string) error {
	run, err := host.Load(s.root, id)
	if err != nil {
		return err
	}
	return errors.Join(s.takeBackRun(run), run.Close())
}

// takeBackRun prints what an undo does, or asks where it is severe, and does it.
func (s *session) takeBackRun(run *host.Run) error {
	steps := run.BackSteps()
	switch {
	case s.c.Bool("dry-run"):
		return s.printUndo(run, steps)
	case run.SevereBack():
		if err := s.confirm("undo of "+run.Plan.Verb, run.Plan.Member, steps); err != nil {
			return err
		}
	}
	return s.back(run)
}

func logCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "log", Usage: "what was done on this host",
		UsageText: "lifeboat host log",
		Flags:     []cli.Flag{rootFlag(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return onHost(c, env, runLog)
		},
	}
}

func runLog(s *session) error {
	runs, err := host.History(s.root)
	if err != nil {
		return err
	}
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(map[string]any{"apiVersion": "lifeboat/v1", "kind": "HostRunList", "items": runs})
	}
	out := console.NewSection(s.env)
	rows := [][]string{{"ID", "WHAT", "MEMBER", "STATUS", "STEPS"}}
	for _, r := range runs {
		status := string(r.Status)
		if r.Problem != "" {
			status = "cannot be read: " + r.Problem
		}
		rows = append(rows, []string{r.ID, console.OrDash(r.Verb), console.OrDash(r.Member), status, strconv.Itoa(r.Reached) + " of " + strconv.Itoa(r.Steps)})
	}
	if len(runs) == 0 {
		out.Line("nothing was done on this host")
		return out.Err
	}
	out.Table(rows)
	return out.Err
}
