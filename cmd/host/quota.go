package host

import (
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func quotaCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "quota",
		Usage: "raise etcd's --quota-backend-bytes in its manifest",
		UsageText: "lifeboat host quota --double --dry-run\n" +
			"lifeboat host quota --set 8GiB",
		Description: `What is left to do on a running cluster is printed, filled in: the other
masters, the alarm to disarm, Deckhouse's own setting. --disarm clears the
alarm in the data dir, which is refused where there are other members: one
that is disarmed alone takes what the others refuse.`,
		Flags: runFlags(env, manifestFlag(),
			&cli.BoolFlag{Name: "double", Usage: "twice what it is now (2 GiB where the manifest sets none)"},
			&cli.StringFlag{Name: "set", Usage: "to `SIZE`"},
			&cli.BoolFlag{Name: "disarm", Usage: "clear the alarm in the data dir of a cluster of one, too"}),
		Action: func(c *cli.Context) error { return onHost(c, env, runQuota) },
	}
}

func runQuota(s *session) error {
	if err := noArguments(s.c); err != nil {
		return err
	}
	opts := host.QuotaOptions{Double: s.c.Bool("double"), Disarm: s.c.Bool("disarm")}
	if opts.Double == s.c.IsSet("set") {
		return console.Usagef("say --double or --set SIZE")
	}
	if s.c.IsSet("set") {
		n, err := humanize.ParseBytes(s.c.String("set"))
		if err != nil || n == 0 || n > 1<<50 {
			return console.Usagef("--set %q is not a size: 8GiB", s.c.String("set"))
		}
		opts.Set = int64(n)
	}
	state, err := s.look()
	if err != nil {
		return err
	}
	plan, err := state.PlanQuota(time.Now(), opts)
	if err != nil {
		return s.nothingToDo(err)
	}
	if !opts.Disarm {
		return s.carryOut(plan, nil)
	}
	op := opening{Path: s.root.Path(state.DataDir.Real), Manifest: s.c.String("manifest")}
	if err := op.keep(plan); err != nil {
		return err
	}
	return s.carryOut(plan, op.works(s.env, state))
}
