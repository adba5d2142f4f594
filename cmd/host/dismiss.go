package host

import (
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func dismissCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "dismiss",
		Usage: "take the master role from a node that stays",
		UsageText: "lifeboat host dismiss kube-backup.tar.gz --dry-run\n" +
			"lifeboat host dismiss kube-backup.tar.gz --yes",
		ArgsUsage: "[SRC]",
		Description: `Manifests, kubeconfigs, keys and etcd's data are moved aside: the documents'
list of files, and no other. It is refused while the node is a member of the
cluster: in SRC, a backup made after it was removed, else in its own data dir.`,
		Flags: runFlags(env, append(console.SourceFlags(), manifestFlag())...),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return console.Usagef("unexpected argument %q", c.Args().Get(1))
			}
			return onHost(c, env, runDismiss)
		},
	}
}

func runDismiss(s *session) error {
	state, err := s.look()
	if err != nil {
		return err
	}
	var members []snapshot.Member
	if src := s.c.Args().First(); src != "" {
		if members, err = s.membersOf(src); err != nil {
			return err
		}
	}
	plan, err := state.PlanDismiss(time.Now(), members)
	if err != nil {
		return s.nothingToDo(err)
	}
	return s.carryOut(plan, nil)
}

// membersOf are those that a backup's database names.
func (s *session) membersOf(src string) ([]snapshot.Member, error) {
	op, err := s.opening(src)
	if err != nil {
		return nil, err
	}
	b, err := op.open(s.env)(s.c.Context)
	if err != nil {
		return nil, err
	}
	members, _, err := b.DB().Members()
	if err == nil && len(members) == 0 {
		err = console.Refusef("%q names no member: it says nothing about this one", src)
	}
	return members, errors.Join(err, b.Close())
}
