package archives

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func archiveUnpackCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "unpack",
		Usage: "an archive's files into a new folder",
		UsageText: "lifeboat archive unpack kube-backup.tar.gz.age -i recovery.key --to unpacked/\n" +
			"lifeboat archive unpack kube-backup.tar.gz kubernetes/pki --to pki/",
		ArgsUsage: "SRC [PATH...]",
		Description: `The folder appears when the archive was read to its end and every layer is
whole. Files and folders only, 0600 and 0700, nothing outside of the folder,
whatever the archive says; hard links are made, symbolic links named and left
out, as are names that cannot be shown. Holes of sparse files stay holes.`,
		Flags: append(console.KeyFlags(),
			&cli.StringFlag{Name: "to", Usage: "the new `FOLDER` to write to"},
			&cli.BoolFlag{Name: "links", Usage: "make the symbolic links that stay inside the folder"},
			&cli.BoolFlag{Name: "owners", Usage: "owners and permissions as the archive says; needs root"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error { return runUnpack(c, env) },
	}
}

func runUnpack(c *cli.Context, env *console.Environment) error {
	opts, err := console.KeyOptionsOf(c)
	if err != nil {
		return err
	}
	to := c.String("to")
	switch {
	case c.NArg() == 0:
		return console.Usagef("SRC is missing")
	case to == "" || to == "-":
		return console.Usagef("say where to write to: --to FOLDER")
	}
	folder, err := console.CreateFolder(env, to, c.Args().First())
	if err != nil {
		return err
	}
	done, err := lifeboat.Unpack(c.Context, c.Args().First(), opts.For(env, c.Args().First()), folder.Root, archive.UnpackOptions{
		Paths: c.Args().Tail(), Links: c.Bool("links"), Owners: c.Bool("owners"),
	})
	if err != nil {
		return errors.Join(err, folder.Discard())
	}
	for _, fact := range done.Left {
		env.Warn("%q %s", fact.Entry, fact.Detail)
	}
	for _, name := range done.Missing {
		env.Warn("there is no %q in the archive", name)
	}
	if done.Files+done.Folders+done.Links == 0 && len(done.Missing) > 0 {
		return errors.Join(console.Failf("nothing of what was asked for is in the archive"), folder.Discard())
	}
	if done.Files+done.Folders+done.Links == 0 && len(done.Linked) > 0 {
		return errors.Join(console.Incompletef("nothing was unpacked: what was asked for is a link, see above"), folder.Discard())
	}
	if err := folder.Commit(); err != nil {
		return err
	}
	if err := printUnpacked(env, to, done); err != nil {
		return err
	}
	if n := len(done.Missing) + len(done.Linked) + done.Odd; n > 0 {
		return console.Incompletef("%d paths were not unpacked, see above", n)
	}
	return nil
}

func printUnpacked(env *console.Environment, to string, done *archive.Unpacked) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(struct {
			To      string `json:"to"`
			Files   int    `json:"files"`
			Folders int    `json:"folders"`
			Links   int    `json:"links"`
			Bytes   int64  `json:"bytes"`
		}{to, done.Files, done.Folders, done.Links, done.Bytes})
	}
	_, err := fmt.Fprintf(env.Stdout, "%s: %d files, %d folders, %d links\n", console.Printable(to), done.Files, done.Folders, done.Links)
	return err
}
