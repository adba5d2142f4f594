package host

import (
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func forceCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "force-new-cluster",
		Usage: "a cluster of this member alone, after the others are lost",
		UsageText: "lifeboat host force-new-cluster --dry-run\n" +
			"lifeboat host force-new-cluster --peer-dir /mnt/master-1/etcd --yes\n" +
			"lifeboat host force-new-cluster --via-flag on --yes",
		Description: `Without --via-flag this host's data dir is rebuilt in its place, with its
whole log, as "etcd rebuild" does: what was acknowledged beyond the recorded
commit is kept. --via-flag on puts --force-new-cluster into etcd's manifest,
as the documents do, and off takes it out again once the new cluster serves;
etcd then cuts at the recorded commit. Stop etcd on every other master first.`,
		Flags: runFlags(env, append(console.SourceFlags(), manifestFlag(),
			&cli.StringFlag{Name: "via-flag", Usage: "change etcd's manifest instead: `ON` or off"},
			&cli.BoolFlag{Name: "no-boot-check", Usage: "do not boot a real etcd on a copy of the result"})...),
		Action: func(c *cli.Context) error { return onHost(c, env, runForce) },
	}
}

func runForce(s *session) error {
	if err := noArguments(s.c); err != nil {
		return err
	}
	state, err := s.look()
	if err != nil {
		return err
	}
	if s.c.IsSet("via-flag") {
		return s.viaFlag(state)
	}
	op, err := s.opening(s.root.Path(state.DataDir.Real))
	if err != nil {
		return err
	}
	plan, err := state.PlanRebuild(time.Now(), len(op.Source.PeerDirs) > 0 || op.Source.AcceptLoss)
	if err != nil {
		return err
	}
	if err := op.keep(plan); err != nil {
		return err
	}
	return s.carryOut(plan, op.works(s.env, state))
}

func (s *session) viaFlag(state *host.State) error {
	on := s.c.String("via-flag") == "on"
	if !on && s.c.String("via-flag") != "off" {
		return console.Usagef("--via-flag %q: it is on or off", s.c.String("via-flag"))
	}
	plan, err := state.PlanForceFlag(on, time.Now())
	if err != nil {
		return s.nothingToDo(err)
	}
	return s.carryOut(plan, nil)
}

func etcdCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "etcd",
		Usage: "stop etcd and kube-apiserver on this master, start them again",
		UsageText: "lifeboat host etcd off\n" +
			"lifeboat host etcd on",
		Subcommands: []*cli.Command{
			{
				Name: "off", Usage: "take their manifests out, and wait until etcd has stopped",
				UsageText: "lifeboat host etcd off\nlifeboat host etcd off --dry-run",
				Flags:     runFlags(env, manifestFlag()),
				Action: func(c *cli.Context) error {
					return onHost(c, env, func(s *session) error {
						return s.planned((*host.State).PlanEtcdOff)
					})
				},
			},
			{
				Name: "on", Usage: "put back the manifests that \"off\" took out",
				UsageText: "lifeboat host etcd on",
				Flags:     runFlags(env),
				Action: func(c *cli.Context) error {
					return onHost(c, env, func(s *session) error { return s.takeBack("host etcd off") })
				},
			},
		},
	}
}

// planned carries out what needs nothing but the host.
func (s *session) planned(plan func(*host.State, time.Time) (*host.Plan, error)) error {
	if err := noArguments(s.c); err != nil {
		return err
	}
	state, err := s.look()
	if err != nil {
		return err
	}
	p, err := plan(state, time.Now())
	if err != nil {
		return s.nothingToDo(err)
	}
	return s.carryOut(p, nil)
}

// takeBack undoes the newest run of a verb.
func (s *session) takeBack(verb string) error {
	if err := noArguments(s.c); err != nil {
		return err
	}
	id, err := host.LastDone(s.root, verb)
	if errors.Is(err, host.ErrNoRun) {
		return console.WithHint(err, "the journal has nothing to put back; "+s.root.Command("log")+" lists what it has")
	}
	if err != nil {
		return err
	}
	return s.undo(id)
}
