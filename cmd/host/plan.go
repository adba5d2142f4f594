package host

import (
	"errors"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func planCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "look at this master: what is left, which case it is, what comes next",
		UsageText: "lifeboat host plan\n" +
			"lifeboat host plan kube-backup.tar.gz\n" +
			"lifeboat host plan --root /mnt/rescued -o json",
		ArgsUsage: "[SRC]",
		Description: `Nothing is changed, and SRC is read to its end if it is given: then its
checks stand beside those of the host. What is good is named; -o wide shows
what was looked at.`,
		Flags: append(console.SourceFlags(), manifestFlag(), rootFlag(),
			console.OutputFlag(env, console.FormatTable, console.FormatWide, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return console.Usagef("unexpected argument %q", c.Args().Get(1))
			}
			return onHost(c, env, runPlan)
		},
	}
}

// assessmentDocument is an assessment in JSON.
type assessmentDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	*host.Assessment
	Backup []lifeboat.Check `json:"backup,omitempty"`
}

func runPlan(s *session) error {
	src := s.c.Args().First()
	state, err := s.look()
	if err != nil {
		return err
	}
	a, err := state.Assess(time.Now(), src)
	if err != nil {
		return err
	}
	doc := assessmentDocument{APIVersion: "lifeboat/v1", Kind: "HostAssessment", Assessment: a}
	if src != "" {
		if doc.Backup, err = s.verify(src); err != nil {
			return err
		}
	}
	if s.env.Format != console.FormatTable && s.env.Format != console.FormatWide {
		return errors.Join(s.env.PrintDocument(doc), verdict(doc))
	}
	out := console.NewSection(s.env)
	out.Line("Host %s, member %s: %s", console.Printable(s.root.Dir()), console.OrDash(console.Printable(a.Member)), a.Case)
	wide := s.env.Format == console.FormatWide
	printChecks(out, "Host", a.Checks, wide)
	if src != "" {
		printChecks(out, "Backup "+console.Printable(src), doc.Backup, wide)
	}
	printList(out, "Next", a.Next)
	return errors.Join(out.Err, verdict(doc))
}

// verdict is about SRC: what is wrong with the host is what the command is for.
func verdict(doc assessmentDocument) error { return lifeboat.Verdict(doc.Backup) }

func (s *session) verify(src string) ([]lifeboat.Check, error) {
	op, err := s.opening(src)
	if err != nil {
		return nil, err
	}
	b, err := op.open(s.env)(s.c.Context)
	if err != nil {
		return nil, err
	}
	checks, err := b.Verify(s.c.Context)
	return checks, errors.Join(err, b.Close())
}

// printChecks shows what is not good, a line each, and names what is; -o wide
// shows all of it.
func printChecks(out *console.Section, heading string, checks []lifeboat.Check, wide bool) {
	out.Heading(heading)
	var rows [][]string
	var good []string
	for _, c := range checks {
		if c.State() == lifeboat.StateGood && !wide {
			good = append(good, c.Name)
			continue
		}
		rows = append(rows, []string{"  " + c.Name, string(c.State()), c.Detail})
	}
	if len(rows) > 0 {
		out.Table(rows)
	}
	if len(good) > 0 {
		out.Line("  good: %s", strings.Join(good, ", "))
	}
}
