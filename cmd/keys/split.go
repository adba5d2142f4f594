package keys

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

func keySplitCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "split",
		Usage:     "a key into shares on paper, of which so many open it",
		UsageText: "lifeboat key split recovery.key --shares 5 --threshold 3 --to shares",
		ArgsUsage: "FILE",
		Description: `The private key is locked with a random number, and that is split (Shamir's
secret sharing): DIR/identity.locked, which is no secret and is kept with the
archives, and DIR/share-1-of-5.txt and so on, each a page to be printed and
given to somebody else. Fewer shares than it takes tell nothing of the key.

Then try it: lifeboat key check ARCHIVE --shares-of DIR/identity.locked with
--share for each page. When it opens, remove the pages and the key from here.`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "shares", Usage: "`N` pages, at most 50"},
			&cli.IntFlag{Name: "threshold", Usage: "`N` of them open the key, at least 2"},
			&cli.StringFlag{Name: "to", Usage: "the new folder `DIR`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		},
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "FILE")
			if err != nil {
				return err
			}
			target := c.String("to")
			if target == "" || c.Int("shares") == 0 || c.Int("threshold") == 0 {
				return console.Usagef("say how many and where: --shares 5 --threshold 3 --to DIR")
			}
			if err := console.RefuseExisting(target); err != nil {
				return err
			}
			identity, warnings, err := crypto.ReadKeyFile(path)
			if err != nil {
				return err
			}
			for _, warning := range warnings {
				env.Warn("%s", warning)
			}
			split, err := crypto.SplitIdentity(identity, c.Int("shares"), c.Int("threshold"), time.Now())
			if err != nil {
				return console.UsageError(err)
			}
			return saveSplit(env, target, split)
		},
	}
}

// saveSplit writes the locked key and the pages, all of them or none.
func saveSplit(env *console.Environment, target string, split *crypto.Split) error {
	folder, err := console.CreateFolder(env, target)
	if err != nil {
		return err
	}
	files := []string{"identity.locked"}
	err = folder.Root.WriteFile(files[0], split.Locked, 0o600)
	for i, page := range split.Pages {
		name := fmt.Sprintf("share-%d-of-%d.txt", i+1, len(split.Pages))
		files = append(files, name)
		if err == nil {
			err = folder.Root.WriteFile(name, page, 0o600)
		}
	}
	if err != nil {
		_ = folder.Discard() // the first error counts
		return err
	}
	if err := folder.Commit(); err != nil {
		return err
	}
	env.Note("print the pages, give each to somebody else, then remove them from here")
	if env.Format == console.FormatJSON {
		return env.PrintDocument(map[string]any{"folder": target, "files": files})
	}
	out := console.NewSection(env)
	for _, name := range files {
		out.Line("%s", console.Printable(filepath.Join(target, name)))
	}
	return out.Err
}

func keyCombineCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "combine",
		Usage: "shares to the key that was split",
		UsageText: "lifeboat key combine identity.locked --share a.txt --share b.txt \\\n" +
			"  --share c.txt --to recovery.key",
		ArgsUsage: "FILE",
		Description: `FILE is identity.locked of key split. Of each page the four numbered lines are
read, as they were printed or typed in again. A slip is found and its line
named; a share of another key, a wrong one and too few of them are told apart
(exit code 4).`,
		Flags: []cli.Flag{
			shareFlag(),
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` for the private key, 0600"},
		},
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "FILE")
			if err != nil {
				return err
			}
			target := c.String("to")
			if target == "" || target == "-" || len(c.StringSlice("share")) == 0 {
				return console.Usagef("give the shares and a new file for the key: --share FILE ... --to KEY")
			}
			if err := console.RefuseExisting(target); err != nil {
				return err
			}
			locked, pages, err := crypto.ReadShares(path, c.StringSlice("share"))
			if err != nil {
				return err
			}
			identity, err := crypto.Combine(locked, pages)
			if err != nil {
				return noQuorum(err)
			}
			if err := console.SaveFile(env, target, identity); err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Stdout, "%s\n", console.Printable(target))
			return err
		},
	}
}

func shareFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "share", Usage: "`FILE` with a share of a split key; repeatable"}
}

// noQuorum is exit code 4: no key is at hand.
func noQuorum(err error) error {
	return console.WithHint(&console.CodedError{Code: console.ExitNoKey, Err: err}, "lifeboat key combine --help says how a share is typed in")
}

// sharedIdentity is the split key of --shares-of and --share, which stays in
// memory; nil where there is none.
func sharedIdentity(c *cli.Context) (*crypto.IdentityFile, error) {
	locked, paths := c.String("shares-of"), c.StringSlice("share")
	if locked == "" && len(paths) == 0 {
		return nil, nil
	}
	if locked == "" || len(paths) == 0 {
		return nil, console.Usagef("shares need the locked key, and it needs them: --shares-of identity.locked --share FILE ...")
	}
	text, pages, err := crypto.ReadShares(locked, paths)
	if err != nil {
		return nil, err
	}
	file, err := crypto.OpenShared(locked, text, pages)
	if err != nil {
		return nil, noQuorum(err)
	}
	return file, nil
}
