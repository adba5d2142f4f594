package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// RefuseExisting fails before any work is done when a target is there.
func RefuseExisting(targets ...string) error {
	for _, target := range targets {
		if _, err := os.Lstat(target); err == nil {
			return targetHint(fmt.Errorf("%q %w", target, whole.ErrExists))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// targetHint says what to do about something that is in the way.
func targetHint(err error) error {
	switch {
	case errors.Is(err, whole.ErrSource):
		return WithHint(err, "choose another name with --to, or move the source away")
	case errors.Is(err, fs.ErrExist):
		return WithHint(err, "choose another name, or move it away")
	}
	return err
}

// made are the options of a new target that is made out of sources.
func (e *Environment) made(sources []string) whole.Options {
	return whole.Options{Sources: sources, Found: e.foundLeftover}
}

// SaveFile writes a small file, 0600, that must not exist.
func SaveFile(env *Environment, target string, content []byte) error {
	return targetHint(whole.WriteFile(target, content, env.made(nil)))
}

// WriteNew writes a report that must not exist, 0600: it names objects.
func WriteNew(env *Environment, path string, encode func(io.Writer) error) error {
	var content bytes.Buffer
	if err := encode(&content); err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	return SaveFile(env, path, content.Bytes())
}

// Outlet is where a command's bytes go: a new file, or standard output for
// "-".
type Outlet struct {
	env    *Environment
	target string
	File   *whole.File // nil for standard output
}

// OpenOutlet begins the output that is made out of sources. Bytes that are no
// text do not go to a terminal: it would obey them.
func OpenOutlet(env *Environment, to string, binary bool, sources ...string) (*Outlet, error) {
	switch {
	case to == "":
		return nil, Usagef("say where to write to: --to FILE, or --to - for standard output")
	case to == "-" && binary && env.stdoutTerminal:
		return nil, WithHint(Refusef("standard output is a terminal, and the result is binary"), "give --to FILE, or a pipe")
	case to == "-":
		return &Outlet{env: env}, nil
	}
	file, err := whole.NewFile(to, env.made(sources))
	if err != nil {
		return nil, targetHint(err)
	}
	return &Outlet{env, to, file}, nil
}

func (d *Outlet) Write(p []byte) (int, error) {
	if d.File == nil {
		return d.env.Stdout.Write(p)
	}
	return d.File.Write(p)
}

// End commits the file when all went well, and removes it otherwise.
func (d *Outlet) End(err error) error {
	switch {
	case d.File == nil:
		return err
	case err != nil:
		return errors.Join(err, d.File.Discard())
	}
	if err := d.File.Commit(); err != nil {
		return fmt.Errorf("writing %q: %w", d.target, targetHint(err))
	}
	return nil
}

// NewFolder is a folder in the making. It is filled by way of Root.
type NewFolder struct {
	Root   *os.Root
	dir    *whole.Dir
	target string
}

// CreateFolder begins a new folder, 0700, out of sources.
func CreateFolder(env *Environment, target string, sources ...string) (*NewFolder, error) {
	dir, err := whole.NewDir(target, env.made(sources))
	if err != nil {
		return nil, targetHint(err)
	}
	root, err := dir.Root()
	if err != nil {
		return nil, errors.Join(err, dir.Discard())
	}
	return &NewFolder{root, dir, target}, nil
}

// Commit gives the folder its name, after all of it is on the disk.
func (f *NewFolder) Commit() error {
	if err := f.dir.Commit(); err != nil {
		return fmt.Errorf("writing %q: %w", f.target, targetHint(err))
	}
	return nil
}

// Discard removes what was written.
func (f *NewFolder) Discard() error { return f.dir.Discard() }
