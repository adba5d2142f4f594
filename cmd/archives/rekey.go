package archives

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

func archiveRekeyCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "rekey",
		Usage: "other recipients for an encrypted file, at the speed of a copy",
		UsageText: "lifeboat archive rekey old.age -i my.key --add age1... --to new.age\n" +
			"lifeboat archive rekey old.age -i my.key --recipients team.txt --to new.age\n" +
			"lifeboat archive rekey /mnt/backups -i my.key --drop-identity ex.key \\\n" +
			"  --sign backup.key --to /mnt/re-keyed",
		ArgsUsage: "SRC|PLACE",
		Description: `THIS DOES NOT REVOKE. The file keeps its key; only the list of those who are
given it changes. Whoever could open the old file may have kept that key, and
it opens the new file, too. And whoever read the archive has the cluster's CA
and Secrets: those have to be replaced in the cluster.

--rotate encrypts anew with a fresh key (the whole list has to be given). It
keeps a former recipient out of the new file, not out of copies of the old one.

The new file is not signed: sign it again (minisign -Sm FILE -s KEY).
Of a PLACE every archive is copied to another PLACE, and signed with --sign;
the same command goes on where it was killed.`,
		Flags: append(append(console.KeyFlags(), console.ShardFlags("the archives of a PLACE")...),
			&cli.StringSliceFlag{Name: "add", Usage: "`RECIPIENT` to add to those of the file; repeatable"},
			&cli.StringSliceFlag{Name: "recipients", Aliases: []string{"R"}, Usage: "the whole new list, from `FILE`, one a line; repeatable"},
			&cli.StringSliceFlag{Name: "drop-identity", Usage: "drop the recipient that the private key in `FILE` opens; repeatable"},
			&cli.BoolFlag{Name: "rotate", Usage: "encrypt anew with a fresh key; needs --recipients"},
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` or PLACE to write, - for standard output"},
			&cli.StringFlag{Name: "sign", Usage: "sign with the minisign secret key in `FILE`"},
			&cli.StringFlag{Name: "sign-passphrase-file", Usage: "`FILE` with the passphrase of the signing key"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error { return runRekey(c, env) },
	}
}

func runRekey(c *cli.Context, env *console.Environment) error {
	path, err := console.OneArgument(c, "SRC")
	if err != nil {
		return err
	}
	opts, err := console.KeyOptionsOf(c)
	if err != nil {
		return err
	}
	change, err := changeOf(c, env)
	if err != nil {
		return err
	}
	signer, err := signerOf(c, env)
	if err != nil {
		return err
	}
	if lifeboat.IsPlace(path) {
		return rekeyPlace(c, env, opts, path, lifeboat.RekeyOptions{Change: change, Rotate: c.Bool("rotate"), Signer: signer})
	}
	if signer != nil || c.IsSet("shard") || c.IsSet("shards") {
		return console.WithHint(console.Usagef("--sign, --shard and --shards go with a PLACE"), "sign a file by itself: minisign -Sm FILE -s KEY")
	}
	if to := c.String("to"); to != "" && to != "-" {
		if err := console.RefuseExisting(to); err != nil {
			return err
		}
	}
	if c.Bool("rotate") {
		return rotate(c, env, opts, path, change.Only)
	}
	in, err := lifeboat.OpenSealed(c.Context, path, opts.For(env, path))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := console.OpenOutlet(env, c.String("to"), true, path)
	if err != nil {
		return err
	}
	phase := env.Progress.Start("copying "+path, in.Size)
	defer phase.Done()
	buffered := bufio.NewWriterSize(out, 1<<20)
	done, err := crypto.Rekey(buffered, phase.Reader(ctxio.Reader(c.Context, in)), in.Keys, change)
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		err = fmt.Errorf("re-keying %q: %w", path, err)
	}
	if err := out.End(err); err != nil {
		return err
	}
	env.Warn("this does not revoke: whoever could open %q may have kept its key, which opens %q as well (lifeboat archive rekey --help)", path, c.String("to"))
	return printRekeyed(env, c.String("to"), done)
}

func changeOf(c *cli.Context, env *console.Environment) (change crypto.Change, err error) {
	add, lists, drop := c.StringSlice("add"), c.StringSlice("recipients"), c.StringSlice("drop-identity")
	switch {
	case len(add)+len(lists)+len(drop) == 0:
		return change, console.Usagef("say what to change: --add RECIPIENT, --recipients FILE or --drop-identity FILE")
	case len(lists) > 0 && len(add)+len(drop) > 0:
		return change, console.Usagef("--recipients is the whole new list: leave --add and --drop-identity out")
	case c.Bool("rotate") && len(lists) == 0:
		return change, console.Usagef("--rotate needs the whole list: --recipients FILE (the file's own recipients cannot be read out of it)")
	}
	plugins := env.Plugins(c.Bool("plugins"), c.Args().First() == "-")
	if change.Add, err = recipientsIn(env, add, nil, plugins); err != nil {
		return change, err
	}
	if change.Only, err = recipientsIn(env, nil, lists, plugins); err != nil {
		return change, err
	}
	for _, path := range drop {
		file, err := console.ReadIdentities(env, path, console.PassphraseIn(env, c.String("passphrase-file")), plugins)
		if err != nil {
			return change, err
		}
		change.Drop = append(change.Drop, file.Identities...)
	}
	return change, nil
}

// rotate encrypts anew. The plaintext is never on a disk.
func rotate(c *cli.Context, env *console.Environment, opts console.SourceOptions, path string, list []crypto.Recipient) error {
	in, err := lifeboat.Decrypt(c.Context, path, opts.For(env, path))
	if err != nil {
		return err
	}
	defer in.Close()
	if !in.Info.Encrypted {
		return fmt.Errorf("re-keying %q: %w", path, crypto.ErrNotEncrypted)
	}
	out, err := console.OpenOutlet(env, c.String("to"), true, path)
	if err != nil {
		return err
	}
	if err := out.End(encryptTo(out, in, in.Info.Armored, list)); err != nil {
		return fmt.Errorf("re-keying %q: %w", path, err)
	}
	env.Warn("copies of %q still open with the old keys, and whoever read them has the cluster's CA and Secrets", path)
	done := crypto.Rekeyed{Before: in.Info.Recipients}
	for _, r := range list {
		done.After = append(done.After, r.Type)
	}
	return printRekeyed(env, c.String("to"), done)
}

func printRekeyed(env *console.Environment, to string, done crypto.Rekeyed) error {
	switch {
	case to == "-":
		return nil
	case env.Format == console.FormatJSON:
		return env.PrintDocument(struct {
			File string `json:"file"`
			crypto.Rekeyed
		}{to, done})
	}
	_, err := fmt.Fprintf(env.Stdout, "%s: recipients %s; before %s\n", console.Printable(to),
		console.Printable(strings.Join(done.After, ", ")), console.Printable(strings.Join(done.Before, ", ")))
	return err
}
