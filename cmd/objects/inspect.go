package objects

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// InspectCommand is `lifeboat inspect`.
func InspectCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "what SRC is, whether it is whole, what it holds, what to do next",
		UsageText: "lifeboat inspect kube-backup.tar.gz\nlifeboat inspect /var/lib/etcd\nlifeboat inspect -i recovery.key kube-backup.tar.gz.age -o json",
		ArgsUsage: "SRC",
		Flags:     append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "SRC")
			if err != nil {
				return err
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			opts.AcceptLoss = true // what is damaged is what inspect is there to show
			src, err := console.OpenSource(c.Context, env, opts, path)
			if err != nil {
				return err
			}
			defer src.Close()
			found, err := src.Inspect(c.Context)
			switch {
			case err != nil:
				return err
			case env.Format == console.FormatTable:
				err = found.WriteText(env.Stdout)
			default:
				err = env.PrintDocument(found)
			}
			if err != nil {
				return err
			}
			return found.Verdict()
		},
	}
}
