// Package keys holds the verbs of `lifeboat key`: keys made, shown and tried.
package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// KeyCommand is the family of verbs about keys.
func KeyCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "key",
		Usage: "keys of archives: make, show, split, prove that they open",
		UsageText: "lifeboat key generate --to recovery.key\n" +
			"lifeboat key check *.age -i recovery.key",
		Subcommands: []*cli.Command{keyGenerateCommand(env), keyShowCommand(env), keyCheckCommand(env), keySplitCommand(env), keyCombineCommand(env)},
	}
}

func keyGenerateCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "generate",
		Usage: "a new private key for archives, or for signatures",
		UsageText: "lifeboat key generate --to recovery.key\n" +
			"lifeboat key generate --pq --to recovery.key\n" +
			"lifeboat key generate --sign --to backup.key",
		Description: `The private key is written to FILE, 0600; a file is never overwritten. Keep it
off the hosts that make backups: they need the recipient alone. Keep a second
copy elsewhere: without it the archives are lost.

--sign makes minisign's pair, FILE and FILE.pub. That one stays where
archives are made; FILE.pub goes to where they are verified.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` for the private key"},
			&cli.BoolFlag{Name: "pq", Usage: "a hybrid post-quantum key (opens with age 1.3 and newer)"},
			&cli.BoolFlag{Name: "sign", Usage: "a pair for signatures, in minisign's format"},
			&cli.StringFlag{Name: "passphrase-file", Usage: "lock the key with the passphrase in the first line of `FILE`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		},
		Action: func(c *cli.Context) error { return runGenerate(c, env) },
	}
}

func runGenerate(c *cli.Context, env *console.Environment) error {
	to := c.String("to")
	switch {
	case c.NArg() > 0:
		return console.Usagef("unexpected argument %q", c.Args().First())
	case to == "" || to == "-":
		return console.Usagef("say where to write the private key to: --to FILE")
	case c.Bool("pq") && c.Bool("sign"):
		return console.Usagef("--pq is for keys that decrypt: there are no post-quantum signatures here")
	}
	if err := console.RefuseExisting(to); err != nil {
		return err
	}
	var passphrase []byte
	if path := c.String("passphrase-file"); path != "" {
		var err error
		if passphrase, err = console.PassphraseIn(env, path)(); err != nil {
			return err
		}
	}
	if c.Bool("sign") {
		return generateSigner(env, to, passphrase)
	}
	var lock *crypto.Recipient
	if passphrase != nil {
		r, err := crypto.NewPassphrase(passphrase)
		if err != nil {
			return err
		}
		lock = &r
	}
	file, public, err := crypto.GenerateIdentity(c.Bool("pq"), time.Now(), lock)
	if err != nil {
		return err
	}
	if err := console.SaveFile(env, to, file); err != nil {
		return err
	}
	return printKeys(env, []shownKey{{File: to, Type: public.Type, Recipient: public.Text, Fingerprint: public.Fingerprint()}})
}

func generateSigner(env *console.Environment, to string, passphrase []byte) error {
	if err := console.RefuseExisting(to + ".pub"); err != nil {
		return err
	}
	private, public, err := crypto.GenerateSigner(passphrase)
	if err != nil {
		return err
	}
	if err := console.SaveFile(env, to, private); err != nil {
		return err
	}
	if err := console.SaveFile(env, to+".pub", public); err != nil {
		return fmt.Errorf("the private key is in %q, its public half could not be written: %w", to, err)
	}
	verifier, err := crypto.ReadVerifier(to + ".pub")
	if err != nil {
		return err
	}
	return printKeys(env, []shownKey{{File: to, Type: "minisign", Recipient: to + ".pub", Fingerprint: verifier.ID()}})
}

// shownKey is the public side of a private key.
type shownKey struct {
	File        string `json:"file"`
	Type        string `json:"type"`
	Recipient   string `json:"recipient"` // of a signing key the file with its public half
	Fingerprint string `json:"fingerprint"`
}

func printKeys(env *console.Environment, keys []shownKey) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(map[string]any{"items": keys})
	}
	out := console.NewSection(env)
	for _, k := range keys {
		out.Line("%s: %s %s", console.Printable(k.File), k.Type, k.Fingerprint)
		out.Line("%s", k.Recipient)
	}
	return out.Err
}

func keyShowCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "the recipients and fingerprints of private keys",
		UsageText: "lifeboat key show recovery.key",
		ArgsUsage: "FILE...",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` with the passphrase of a locked key"},
			console.PluginsFlag(),
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return console.Usagef("FILE is missing")
			}
			ask := console.PassphraseIn(env, c.String("passphrase-file"))
			var keys []shownKey
			for _, path := range c.Args().Slice() {
				file, err := console.ReadIdentities(env, path, ask, env.Plugins(c.Bool("plugins"), false))
				if err != nil {
					return err
				}
				list, err := file.Public()
				if err != nil {
					return err
				}
				for _, r := range list {
					keys = append(keys, shownKey{path, r.Type, r.Text, r.Fingerprint()})
				}
			}
			return printKeys(env, keys)
		},
	}
}

func keyCheckCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "which private keys open which archives",
		UsageText: "lifeboat key check backup-1.age backup-2.age -i recovery.key -i deputy.key",
		ArgsUsage: "SRC...",
		Description: `Each identity is tried by itself on the header and the first 64 KiB of each
archive. That proves the key, not that the archive is whole: lifeboat archive
verify does. An archive that none of them opens is exit code 4. With
--shares-of and --share it is a split key that is tried: it is put together in
memory, and written nowhere.`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "`FILE` with an age or ssh private key; repeatable"},
			&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` with the passphrase of a locked key"},
			&cli.StringFlag{Name: "shares-of", Usage: "`FILE` with the locked key of key split"},
			shareFlag(),
			console.PluginsFlag(),
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		},
		Action: func(c *cli.Context) error { return runKeyCheck(c, env) },
	}
}

func runKeyCheck(c *cli.Context, env *console.Environment) error {
	if c.NArg() == 0 || len(c.StringSlice("identity"))+len(c.StringSlice("share")) == 0 {
		return console.Usagef("give archives, and identities with -i FILE")
	}
	files, err := identityFiles(env, c)
	if err != nil {
		return err
	}
	shared, err := sharedIdentity(c)
	if err != nil {
		return err
	}
	if shared != nil {
		files = append(files, shared)
	}
	fits := []lifeboat.KeyFit{}
	var failed []error
	for _, path := range c.Args().Slice() {
		found, err := lifeboat.TryKeys(c.Context, path, files, lifeboat.Options{Stdin: env.Stdin})
		fits = append(fits, found...)
		if err == nil && !slices.ContainsFunc(found, func(f lifeboat.KeyFit) bool { return f.Opens }) {
			err = &console.CodedError{Code: console.ExitNoKey, Err: fmt.Errorf("none of these identities opens %q", path)}
		}
		failed = append(failed, err)
	}
	if err := printFits(env, fits); err != nil {
		return err
	}
	return errors.Join(failed...)
}

func identityFiles(env *console.Environment, c *cli.Context) ([]*crypto.IdentityFile, error) {
	ask := console.PassphraseIn(env, c.String("passphrase-file"))
	var files []*crypto.IdentityFile
	for _, path := range c.StringSlice("identity") {
		file, err := console.ReadIdentities(env, path, ask, env.Plugins(c.Bool("plugins"), slices.Contains(c.Args().Slice(), "-")))
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func printFits(env *console.Environment, fits []lifeboat.KeyFit) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(map[string]any{"items": fits})
	}
	t := console.NewTable(env.Stdout, "ARCHIVE", "IDENTITY", "OPENS")
	for _, f := range fits {
		word := "no"
		if f.Opens {
			word = "yes"
		}
		t.Row(f.Archive, f.Identity, word)
	}
	return t.Flush()
}
