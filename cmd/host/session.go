package host

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const defaultWait = 2 * time.Minute

// session is one verb on one host.
type session struct {
	c    *cli.Context
	env  *console.Environment
	root *host.Root
}

// onHost opens the root folder for a verb.
func onHost(c *cli.Context, env *console.Environment, do func(s *session) error) error {
	root, err := host.OpenRoot(c.String("root"))
	if err != nil {
		return err
	}
	return coded(errors.Join(do(&session{c, env, root}), root.Close()), root.Command)
}

func (s *session) look() (*host.State, error) {
	return s.lookWith(host.LookOptions{Manifest: s.c.String("manifest"), ReadFile: os.ReadFile})
}

func (s *session) lookWith(opts host.LookOptions) (*host.State, error) {
	phase := s.env.Progress.Start("looking at the host", 0)
	defer phase.Done()
	return host.Look(s.c.Context, s.root, opts)
}

// coded gives the package's errors their exit codes, and the next command, which
// do words for the root folder.
func coded(err error, do func(verb string) string) error {
	refused := func(hint string) error { return &console.CodedError{Code: console.ExitRefused, Err: err, Hint: hint} }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, host.ErrUnfinished):
		return refused(do("resume") + ", or " + do("undo"))
	case errors.Is(err, host.ErrChanged):
		return refused("look at it again: " + do("plan"))
	case errors.Is(err, host.ErrRefused), errors.Is(err, host.ErrRunning), errors.Is(err, host.ErrOtherHost):
		return refused("")
	case errors.Is(err, snapshot.ErrInUse):
		return refused("stop it: crictl stopp $(crictl pods --name '^etcd' -q); crictl ps --name '^etcd$' shows it")
	case errors.Is(err, host.ErrNoManifest):
		return console.WithHint(err, do("etcd on")+", if it was taken out; else --manifest FILE")
	}
	return err
}

// nothingToDo turns "it is so already" into a note: the host is as was asked for.
func (s *session) nothingToDo(err error) error {
	if errors.Is(err, host.ErrNothing) {
		s.env.Note("%v", err)
		return nil
	}
	return err
}

// carryOut prints the plan, or asks and runs it.
func (s *session) carryOut(plan *host.Plan, works map[string]host.Work) error {
	if s.c.Bool("dry-run") {
		return s.printPlan(plan)
	}
	for _, note := range plan.Notes {
		s.env.Note("%s", note)
	}
	if plan.Severe {
		var steps []string
		for _, step := range plan.Steps {
			steps = append(steps, step.String())
		}
		if err := s.confirm(plan.Verb, plan.Member, steps); err != nil {
			return err
		}
	}
	run, err := host.Begin(s.root, plan)
	if err != nil {
		return err
	}
	return errors.Join(s.forward(run, works), run.Close())
}

// confirm asks for the member's name before what is severe.
func (s *session) confirm(verb, name string, steps []string) error {
	if s.c.Bool("yes") {
		return nil
	}
	stdin, ok := s.env.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) {
		return console.WithHint(console.Refusef("%s is severe, and nobody can be asked: standard input is not a terminal", verb), "look at it with --dry-run, then add --yes")
	}
	name = cmp.Or(name, "yes")
	for _, step := range steps {
		s.env.Note("%s", step)
	}
	s.env.Note("type %s to go on:", name)
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != name {
		return console.Refusef("%s: not confirmed, nothing was changed", verb)
	}
	return nil
}

func (s *session) watch(run *host.Run, verb string) func() {
	run.Patience.Limit = s.c.Duration("wait")
	phase := s.env.Progress.Start(verb, 0)
	return phase.Done
}

func (s *session) forward(run *host.Run, works map[string]host.Work) error {
	done := s.watch(run, run.Plan.Verb)
	err := run.Forward(s.c.Context, works)
	done()
	if err != nil {
		s.env.Note("%s stopped half-way: %s goes on, %s takes back what was done", run.Plan.Verb, s.root.Command("resume"), s.root.Command("undo"))
		return fmt.Errorf("%s: %w", run.Plan.Verb, coded(err, s.root.Command))
	}
	return s.printRun(run, "done")
}

func (s *session) back(run *host.Run) error {
	done := s.watch(run, "undoing "+run.Plan.Verb)
	err := run.Back(s.c.Context, nil)
	done()
	if err != nil {
		if run.Status() == host.Going {
			s.env.Note("the undo stopped half-way: %s goes on with it, %s leaves all as it stands", s.root.Command("resume"), s.root.Command("undo --abandon"))
		}
		return fmt.Errorf("undoing %s: %w", run.Plan.Verb, coded(err, s.root.Command))
	}
	return s.printRun(run, "undone")
}
