// Package host holds the verbs of `lifeboat host`: the operators' procedures on
// a control-plane host, each planned, carried out with a journal, and undone.
package host

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// HostCommand is the family of verbs that put a host right.
func HostCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "host",
		Usage: "this master: look, restore, quota, audit, images, dismiss; undo",
		UsageText: "lifeboat host plan kube-backup.tar.gz\n" +
			"lifeboat host restore kube-backup.tar.gz --dry-run\n" +
			"lifeboat host undo",
		Description: `Each verb makes a plan from what it finds in /etc/kubernetes and in etcd's data
dir, prints it with --dry-run, and carries it out with a journal in
/var/lib/lifeboat/journal. Nothing is deleted: what is replaced stays beside
its place. A run that was cut off goes on with "host resume"; "host undo" takes
back what was done. --root works on a copy of a host.`,
		Subcommands: []*cli.Command{
			planCommand(env),
			restoreCommand(env),
			forceCommand(env),
			etcdCommand(env),
			quotaCommand(env),
			auditCommand(env),
			imagesCommand(env),
			dismissCommand(env),
			defragCommand(env),
			scaleCommand(env),
			replaceCommand(env),
			timerCommand(env),
			resumeCommand(env),
			undoCommand(env),
			logCommand(env),
		},
	}
}

func rootFlag() cli.Flag {
	return &cli.StringFlag{Name: "root", Value: "/", Usage: "the `DIR` that is the host's /"}
}

func manifestFlag() cli.Flag {
	return &cli.StringFlag{Name: "manifest", Usage: "etcd's static Pod manifest `FILE`, if it is not in its place"}
}

// runFlags stand where a plan is carried out.
func runFlags(env *console.Environment, more ...cli.Flag) []cli.Flag {
	return append(more,
		rootFlag(),
		&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and change nothing"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask before what cannot be taken back with a word"},
		&cli.DurationFlag{Name: "wait", Value: defaultWait, Usage: "how `LONG` etcd may take to let go of its data"},
		console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML))
}

// noArguments refuses what a verb would pass over.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return console.Usagef("unexpected argument %q", c.Args().First())
	}
	return nil
}
