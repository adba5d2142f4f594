package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

func archiveRekeyCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "rekey",
		Usage: "other recipients for an encrypted file, at the speed of a copy",
		UsageText: "lifeboat archive rekey old.age -i my.key --add age1... --to new.age\n" +
			"lifeboat archive rekey old.age -i my.key --recipients team.txt --to new.age\n" +
			"lifeboat archive rekey old.age -i my.key --drop-identity ex.key --to new.age",
		ArgsUsage: "SRC",
		Description: `THIS DOES NOT REVOKE. The file keeps its key; only the list of those who are
given it changes. Whoever could open the old file may have kept that key, and
it opens the new file, too. And whoever read the archive has the cluster's CA
and Secrets: those have to be replaced in the cluster.

--rotate encrypts anew with a fresh key (the whole list has to be given). It
keeps a former recipient out of the new file, not out of copies of the old one.

The new file is not signed: sign it again (minisign -Sm FILE -s KEY).`,
		Flags: append(keyFlags(),
			&cli.StringSliceFlag{Name: "add", Usage: "`RECIPIENT` to add to those of the file; repeatable"},
			&cli.StringSliceFlag{Name: "recipients", Aliases: []string{"R"}, Usage: "the whole new list, from `FILE`, one a line; repeatable"},
			&cli.StringSliceFlag{Name: "drop-identity", Usage: "drop the recipient that the private key in `FILE` opens; repeatable"},
			&cli.BoolFlag{Name: "rotate", Usage: "encrypt anew with a fresh key; needs --recipients"},
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` to write, - for standard output"},
			outputFlag(env, formatTable, formatJSON),
		),
		Action: func(c *cli.Context) error { return runRekey(c, env) },
	}
}

func runRekey(c *cli.Context, env *environment) error {
	path, err := oneArgument(c, "SRC")
	if err != nil {
		return err
	}
	opts, err := keyOptionsOf(c)
	if err != nil {
		return err
	}
	change, err := changeOf(c, env)
	if err != nil {
		return err
	}
	if to := c.String("to"); to != "" && to != "-" {
		if err := refuseExisting(to); err != nil {
			return err
		}
	}
	if c.Bool("rotate") {
		return rotate(c, env, opts, path, change.Only)
	}
	o := &opener{env: env, opts: opts, src: &source{path: path}}
	defer o.release()
	if err := o.checkSignature(c.Context); err != nil {
		return fmt.Errorf("opening %q: %w", path, err)
	}
	keys, err := o.keys()
	if err != nil {
		return err
	}
	in, size, err := o.raw()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := openOutlet(env, c.String("to"), true, path)
	if err != nil {
		return err
	}
	phase := env.progress.Start("copying "+path, size)
	defer phase.Done()
	buffered := bufio.NewWriterSize(out, 1<<20)
	done, err := crypto.Rekey(buffered, phase.Reader(&contextReader{c.Context, in}), keys, change)
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		err = fmt.Errorf("re-keying %q: %w", path, err)
	}
	if err := out.end(err); err != nil {
		return err
	}
	env.warn("this does not revoke: whoever could open %q may have kept its key, which opens %q as well (lifeboat archive rekey --help)", path, c.String("to"))
	return printRekeyed(env, c.String("to"), done)
}

func changeOf(c *cli.Context, env *environment) (change crypto.Change, err error) {
	add, lists, drop := c.StringSlice("add"), c.StringSlice("recipients"), c.StringSlice("drop-identity")
	switch {
	case len(add)+len(lists)+len(drop) == 0:
		return change, usagef("say what to change: --add RECIPIENT, --recipients FILE or --drop-identity FILE")
	case len(lists) > 0 && len(add)+len(drop) > 0:
		return change, usagef("--recipients is the whole new list: leave --add and --drop-identity out")
	case c.Bool("rotate") && len(lists) == 0:
		return change, usagef("--rotate needs the whole list: --recipients FILE (the file's own recipients cannot be read out of it)")
	}
	plugins := env.plugins(c.Bool("plugins"), c.Args().First() == "-")
	if change.Add, err = recipientsIn(env, add, nil, plugins); err != nil {
		return change, err
	}
	if change.Only, err = recipientsIn(env, nil, lists, plugins); err != nil {
		return change, err
	}
	for _, path := range drop {
		file, err := readIdentities(env, path, passphraseIn(env, c.String("passphrase-file")), plugins)
		if err != nil {
			return change, err
		}
		change.Drop = append(change.Drop, file.Identities...)
	}
	return change, nil
}

// openStream opens SRC as it stands.
func openStream(env *environment, path string) (io.ReadCloser, int64, error) {
	o := &opener{env: env, src: &source{path: path}}
	return o.raw()
}

// raw opens SRC without a look at what it is.
func (o *opener) raw() (io.ReadCloser, int64, error) {
	if o.src.path == "-" {
		return io.NopCloser(o.env.stdin), 0, nil
	}
	file, err := o.file()
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = failf("%q is a folder", o.src.path)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// rotate encrypts anew. The plaintext is never on a disk.
func rotate(c *cli.Context, env *environment, opts sourceOptions, path string, list []crypto.Recipient) error {
	in, err := openDecrypted(c.Context, env, opts, path)
	if err != nil {
		return err
	}
	defer in.Close()
	if !in.info.Encrypted {
		return fmt.Errorf("re-keying %q: %w", path, crypto.ErrNotEncrypted)
	}
	out, err := openOutlet(env, c.String("to"), true, path)
	if err != nil {
		return err
	}
	if err := out.end(encryptTo(out, in, in.info.Armored, list)); err != nil {
		return fmt.Errorf("re-keying %q: %w", path, err)
	}
	env.warn("copies of %q still open with the old keys, and whoever read them has the cluster's CA and Secrets", path)
	done := crypto.Rekeyed{Before: in.info.Recipients}
	for _, r := range list {
		done.After = append(done.After, r.Type)
	}
	return printRekeyed(env, c.String("to"), done)
}

func printRekeyed(env *environment, to string, done crypto.Rekeyed) error {
	switch {
	case to == "-":
		return nil
	case env.format == formatJSON:
		return env.printDocument(struct {
			File string `json:"file"`
			crypto.Rekeyed
		}{to, done})
	}
	_, err := fmt.Fprintf(env.stdout, "%s: recipients %s; before %s\n", printable(to),
		printable(strings.Join(done.After, ", ")), printable(strings.Join(done.Before, ", ")))
	return err
}
