package archives

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

func archiveEncryptCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "encrypt",
		Usage: "any file, as age does",
		UsageText: "lifeboat archive encrypt backup.tar.gz -r age1... --to backup.tar.gz.age\n" +
			"tar cz pki | lifeboat archive encrypt - -R team.txt --to - > x.age",
		ArgsUsage:   "FILE",
		Description: provenanceText,
		Flags: append(recipientFlags(),
			&cli.StringFlag{Name: "passphrase-file", Usage: "encrypt with the passphrase in the first line of `FILE`"},
			&cli.BoolFlag{Name: "armor", Usage: "write text (PEM), to be mailed or pasted"},
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` to write, - for standard output"},
		),
		Action: func(c *cli.Context) error { return runEncrypt(c, env) },
	}
}

func runEncrypt(c *cli.Context, env *console.Environment) error {
	path, err := console.OneArgument(c, "FILE")
	if err != nil {
		return err
	}
	list, err := recipientList(env, c, c.String("passphrase-file"))
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return console.Usagef("say whom to encrypt to: -r RECIPIENT, -R FILE or --passphrase-file FILE")
	}
	in, size := env.Stdin, int64(0)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if info.IsDir() {
			return console.WithHint(console.Failf("%q is a folder", path), "pack it first: tar cz FOLDER | lifeboat archive encrypt - ...")
		}
		in, size = file, info.Size()
	}
	if _, err := crypto.NewWriter(io.Discard, false, list...); err != nil {
		return err
	}
	out, err := console.OpenOutlet(env, c.String("to"), !c.Bool("armor"), path)
	if err != nil {
		return err
	}
	phase := env.Progress.Start("encrypting "+path, size)
	defer phase.Done()
	return out.End(encryptTo(out, phase.Reader(ctxio.Reader(c.Context, in)), c.Bool("armor"), list))
}

func encryptTo(out io.Writer, in io.Reader, armored bool, list []crypto.Recipient) error {
	buffered := bufio.NewWriterSize(out, 1<<20)
	w, err := crypto.NewWriter(buffered, armored, list...)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{in}, make([]byte, 1<<20)); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	if err := w.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

func archiveDecryptCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "decrypt",
		Usage: "any file that age encrypted",
		UsageText: "lifeboat archive decrypt backup.tar.gz.age -i recovery.key --to backup.tar.gz\n" +
			"lifeboat archive decrypt x.age -i recovery.key --to - | tar tz",
		ArgsUsage: "SRC",
		Description: `A file appears when its last byte is authentic. On standard output every byte
is, but what came before an error may be a part: look at the exit code.`,
		Flags: append(console.KeyFlags(), &cli.StringFlag{Name: "to", Usage: "the new `FILE` to write, 0600; - for standard output"}),
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "SRC")
			if err != nil {
				return err
			}
			opts, err := console.KeyOptionsOf(c)
			if err != nil {
				return err
			}
			if to := c.String("to"); to != "" && to != "-" {
				if err := console.RefuseExisting(to); err != nil {
					return err
				}
			}
			in, err := lifeboat.Decrypt(c.Context, path, opts.For(env, path))
			if err != nil {
				return err
			}
			defer in.Close()
			if !in.Info.Encrypted {
				return console.WithHint(fmt.Errorf("decrypting %q: %w", path, crypto.ErrNotEncrypted), "it is plain already: look at it with lifeboat inspect")
			}
			// The first chunk before the output: a wrong file leaves nothing.
			head := bufio.NewReaderSize(in, 64<<10)
			if _, err := head.Peek(1); err != nil && err != io.EOF {
				return fmt.Errorf("decrypting %q: %w", path, err)
			}
			out, err := console.OpenOutlet(env, c.String("to"), true, path)
			if err != nil {
				return err
			}
			return out.End(decryptTo(out, head, path, opts.MaxSize))
		},
	}
}

func decryptTo(out io.Writer, in io.Reader, path string, limit int64) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{io.LimitReader(in, limit)}, make([]byte, 1<<20))
	if err == nil && n == limit {
		if _, end := in.Read(make([]byte, 1)); !errors.Is(end, io.EOF) {
			err = console.Refusef("it is longer than --max-size")
		}
	}
	if err != nil {
		return fmt.Errorf("decrypting %q: %w", path, err)
	}
	return nil
}
