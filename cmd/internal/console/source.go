package console

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// SourceOptions are SourceFlags or KeyFlags, read.
type SourceOptions struct {
	lifeboat.Options
	Plugins bool // age plugins may be run
}

// OpenSource opens SRC. The caller closes it.
func OpenSource(ctx context.Context, env *Environment, opts SourceOptions, path string) (*lifeboat.Backup, error) {
	return lifeboat.Open(ctx, path, opts.For(env, path))
}

// For completes the options for one SRC: its terminal may be asked, unless SRC
// is what comes through it.
func (o SourceOptions) For(env *Environment, path string) lifeboat.Options {
	opts := o.Options
	opts.Stdin, opts.Observer, opts.Plugins = env.Stdin, env.Observer(), env.Plugins(o.Plugins, path == "-")
	if env.stdinTerminal && path != "-" {
		opts.Ask = env.askPassphrase
	}
	return opts
}

// Observer tells the operator what the library says on the way.
func (e *Environment) Observer() lifeboat.Observer {
	return lifeboat.Observer{
		Progress: func(phase string, total int64) lifeboat.Phase { return e.Progress.Start(phase, total) },
		Warn:     func(message string) { e.Warn("%s", message) },
		Note:     func(message string) { e.Note("%s", message) },
	}
}

func (e *Environment) askPassphrase(subject string) ([]byte, error) {
	stdin, ok := e.Stdin.(*os.File)
	if !ok {
		return nil, errors.New("asking for the passphrase: standard input is not a terminal")
	}
	defer e.Progress.Hold()()
	fmt.Fprintf(e.stderr, "Passphrase for %s: ", Printable(subject))
	passphrase, err := e.readPassword(int(stdin.Fd()))
	fmt.Fprintln(e.stderr)
	if err != nil {
		return nil, fmt.Errorf("asking for the passphrase: %w", err)
	}
	return passphrase, nil
}

// readPassword reads a line without echo. An interrupt ends the asking at once
// and leaves the terminal as it was; the read itself ends with the process.
func (e *Environment) readPassword(fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type answer struct {
		line []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		answered <- answer{line, err}
	}()
	select {
	case a := <-answered:
		return a.line, a.err
	case <-e.interrupted:
		return nil, errors.Join(context.Canceled, term.Restore(fd, before))
	}
}

// PassphraseIn is the passphrase in a file's first line, or asked for on the
// terminal; nil where there is neither.
func PassphraseIn(env *Environment, path string) crypto.Passphrase {
	switch {
	case path != "":
		return func() ([]byte, error) { return crypto.ReadPassphrase(path) }
	case env.stdinTerminal:
		return func() ([]byte, error) { return env.askPassphrase("the key") }
	}
	return nil
}
