package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// keyFlags stand where a file is decrypted or an archive read, and no
// database is opened.
func keyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "`FILE` with an age or ssh private key; repeatable"},
		&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` with the passphrase of SRC or of an identity"},
		pluginsFlag(),
		&cli.StringFlag{Name: "pubkey", Usage: "minisign public key `FILE`: refuse SRC unless SRC.minisig is good"},
		&cli.StringFlag{Name: "max-size", Value: defaultMaxSize, Usage: "refuse to unpack more than `SIZE`"},
	}
}

func keyOptionsOf(c *cli.Context) (sourceOptions, error) {
	o := sourceOptions{Identities: c.StringSlice("identity"), PassphraseFile: c.String("passphrase-file"), Plugins: c.Bool("plugins"), PubKey: c.String("pubkey")}
	size, err := parseSize(c.String("max-size"))
	if err != nil {
		return o, usagef("reading --max-size: %w", err)
	}
	o.MaxSize = size
	return o, nil
}

// decrypted is SRC without its age layer, if it has one.
type decrypted struct {
	io.Reader
	info crypto.Info
	done func() error
}

func (d *decrypted) Close() error { return d.done() }

// openDecrypted opens SRC, its signature checked, as a stream of plaintext.
func openDecrypted(ctx context.Context, env *environment, opts sourceOptions, path string) (*decrypted, error) {
	o := &opener{env: env, opts: opts, src: &source{path: path}}
	d, err := o.decrypt(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	return d, nil
}

func (o *opener) decrypt(ctx context.Context) (*decrypted, error) {
	defer o.release()
	if err := o.checkSignature(ctx); err != nil {
		return nil, err
	}
	keys, err := o.keys()
	if err != nil {
		return nil, err
	}
	in, done := o.env.stdin, func() error { return nil }
	if o.src.path != "-" {
		file, err := o.file()
		if err != nil {
			return nil, plainCause(err)
		}
		info, err := file.Stat()
		if err == nil && info.IsDir() {
			err = errors.New("it is a folder")
		}
		if err != nil {
			return nil, errors.Join(plainCause(err), file.Close())
		}
		if info.Mode().IsRegular() {
			o.src.size = info.Size()
		}
		in, done = file, file.Close
	}
	phase := o.env.progress.Start("reading "+o.src.path, o.src.size)
	plain, info, err := crypto.NewReader(phase.Reader(&contextReader{ctx, in}), keys)
	if err != nil {
		phase.Done()
		return nil, errors.Join(err, done())
	}
	if info.Encrypted {
		o.noteUnsigned()
	}
	return &decrypted{plain, info, func() error { phase.Done(); return done() }}, nil
}

// eachEntry reads an archive to the end of every layer.
func eachEntry(ctx context.Context, env *environment, opts sourceOptions, path string, do func(*archive.Entry, io.Reader) error) (*archive.Reader, error) {
	in, err := openDecrypted(ctx, env, opts, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	reader, err := archive.NewReader(in, limitsOf(opts))
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	for {
		entry, err := reader.Next()
		if err == io.EOF {
			return reader, nil
		}
		if err == nil {
			err = do(entry, reader)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", path, err)
		}
	}
}
