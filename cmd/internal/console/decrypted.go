package console

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// KeyFlags stand where a file is decrypted or an archive read, and no
// database is opened.
func KeyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "`FILE` with an age or ssh private key; repeatable"},
		&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` with the passphrase of SRC or of an identity"},
		PluginsFlag(),
		&cli.StringFlag{Name: "pubkey", Usage: "minisign public key `FILE`: refuse SRC unless SRC.minisig is good"},
		&cli.StringFlag{Name: "max-size", Value: defaultMaxSize, Usage: "refuse to unpack more than `SIZE`"},
	}
}

func KeyOptionsOf(c *cli.Context) (SourceOptions, error) {
	o := SourceOptions{Identities: c.StringSlice("identity"), PassphraseFile: c.String("passphrase-file"), Plugins: c.Bool("plugins"), PubKey: c.String("pubkey")}
	size, err := parseSize(c.String("max-size"))
	if err != nil {
		return o, Usagef("reading --max-size: %w", err)
	}
	o.MaxSize = size
	return o, nil
}

// decrypted is SRC without its age layer, if it has one.
type decrypted struct {
	io.Reader
	Info crypto.Info
	done func() error
}

func (d *decrypted) Close() error { return d.done() }

// OpenDecrypted opens SRC, its signature checked, as a stream of plaintext.
func OpenDecrypted(ctx context.Context, env *Environment, opts SourceOptions, path string) (*decrypted, error) {
	o := &Opener{Env: env, Opts: opts, Src: &Source{Path: path}}
	d, err := o.decrypt(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	return d, nil
}

func (o *Opener) decrypt(ctx context.Context) (*decrypted, error) {
	defer o.Release()
	if err := o.CheckSignature(ctx); err != nil {
		return nil, err
	}
	keys, err := o.Keys()
	if err != nil {
		return nil, err
	}
	in, done := o.Env.Stdin, func() error { return nil }
	if o.Src.Path != "-" {
		file, err := o.File()
		if err != nil {
			return nil, PlainCause(err)
		}
		info, err := file.Stat()
		if err == nil && info.IsDir() {
			err = errors.New("it is a folder")
		}
		if err != nil {
			return nil, errors.Join(PlainCause(err), file.Close())
		}
		if info.Mode().IsRegular() {
			o.Src.Size = info.Size()
		}
		in, done = file, file.Close
	}
	phase := o.Env.Progress.Start("reading "+o.Src.Path, o.Src.Size)
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

// EachEntry reads an archive to the end of every layer.
func EachEntry(ctx context.Context, env *Environment, opts SourceOptions, path string, do func(*archive.Entry, io.Reader) error) (*archive.Reader, error) {
	in, err := OpenDecrypted(ctx, env, opts, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	reader, err := archive.NewReader(in, LimitsOf(opts))
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

// OpenStream opens SRC as it stands.
func OpenStream(env *Environment, path string) (io.ReadCloser, int64, error) {
	o := &Opener{Env: env, Src: &Source{Path: path}}
	return o.Raw()
}

// Raw opens SRC without a look at what it is.
func (o *Opener) Raw() (io.ReadCloser, int64, error) {
	if o.Src.Path == "-" {
		return io.NopCloser(o.Env.Stdin), 0, nil
	}
	file, err := o.File()
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = Failf("%q is a folder", o.Src.Path)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}
