package archives

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func archivePushCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "push",
		Usage: "archives to a place off site, with their signatures",
		UsageText: "lifeboat archive push kube-backup.tar.gz.age --to s3://backups/prod\n" +
			"lifeboat archive push latest.tar.gz.age --to s3://backups/prod \\\n" +
			"  --object-lock-until 2027-12-31",
		ArgsUsage: "FILE...",
		Description: `PLACE is a folder or s3://BUCKET/PREFIX; where the store is and who asks is
read from the environment and AWS' files, never from a flag (lifeboat help
places). A killed push is gone on with by the same command. The name is there
when all of the file is, checked by its sha256, and nothing is overwritten:
another content under the name is exit code 6. --object-lock-until keeps
everybody, the owner too, from removing it before that day (compliance mode);
the bucket has to have object lock enabled.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the `PLACE` to send to"},
			&cli.StringFlag{Name: "object-lock-until", Usage: "nobody removes it before `DAY`, 2027-12-31 or a time of RFC 3339"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 || c.String("to") == "" {
				return console.Usagef("say what goes where: FILE... --to PLACE")
			}
			until, err := lockUntil(c.String("object-lock-until"), time.Now())
			if err != nil {
				return err
			}
			to, err := lifeboat.OpenPlace(c.Context, c.String("to"))
			if err != nil {
				return err
			}
			if err := lifeboat.ProbeOverwrite(c.Context, to, env.Observer()); err != nil {
				return err
			}
			var pushed []lifeboat.Pushed
			for _, path := range c.Args().Slice() {
				p, err := lifeboat.Push(c.Context, path, to, until, env.Observer())
				if err != nil {
					return console.WithHint(err, "run it again: what is there is not sent twice")
				}
				pushed = append(pushed, p)
			}
			return printPushed(env, pushed)
		},
	}
}

// lockUntil reads a day, which ends at midnight in UTC, or a time.
func lockUntil(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	until, err := time.Parse(time.RFC3339, text)
	if err != nil {
		until, err = time.Parse(time.DateOnly, text)
		until = until.AddDate(0, 0, 1)
	}
	if err != nil || !until.After(now) {
		return until, console.Usagef("--object-lock-until %q: a day to come, 2027-12-31, or a time of RFC 3339", text)
	}
	return until, nil
}

func printPushed(env *console.Environment, pushed []lifeboat.Pushed) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(map[string]any{"items": pushed})
	}
	t := console.NewTable(env.Stdout, "NAME", "SIZE", "SHA256", "SIGNED", "STATE")
	for _, p := range pushed {
		t.Row(p.Name, humanize.IBytes(uint64(p.Size)), p.SHA256, yesNo(p.Signed), map[bool]string{true: "sent", false: "there already"}[p.Sent])
	}
	return t.Flush()
}

func yesNo(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

func archivePullCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "pull",
		Usage: "an archive from a place, with its signature",
		UsageText: "lifeboat archive pull s3://backups/prod/kube-backup.tar.gz.age \\\n" +
			"  --to kube-backup.tar.gz.age",
		ArgsUsage: "PLACE/NAME",
		Description: `A killed pull is gone on with by the same command. The file has its name when
all of it is there and its sha256 is the one that was pushed. Every command
reads s3://BUCKET/NAME as its SRC, too, without a file in between.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` to write"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		},
		Action: func(c *cli.Context) error {
			source, err := console.OneArgument(c, "PLACE/NAME")
			if err != nil {
				return err
			}
			target := c.String("to")
			if target == "" || target == "-" {
				return console.Usagef("say where to write to: --to FILE")
			}
			if err := console.RefuseExisting(target); err != nil {
				return err
			}
			p, err := lifeboat.Pull(c.Context, source, target, lifeboat.Options{Observer: env.Observer()})
			if err != nil {
				return err
			}
			if !p.Proven {
				env.Note("nothing says what sum it was pushed with: lifeboat archive verify says whether it is whole")
			}
			if env.Format == console.FormatJSON {
				return env.PrintDocument(p)
			}
			_, err = fmt.Fprintf(env.Stdout, "%s: %s, sha256 %s, signature: %s\n", console.Printable(p.File), humanize.IBytes(uint64(p.Size)), p.SHA256, yesNo(p.Signed))
			return err
		},
	}
}
