package console

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// RefuseExisting fails before any work is done when a target is there.
func RefuseExisting(targets ...string) error {
	for _, target := range targets {
		if _, err := os.Lstat(target); err == nil {
			return WithHint(Refusef("%q exists already", target), "choose another name, or move it away")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// PartSuffix is of a file in the making. Nobody else gives a file that name, a
// browser's download or another tool's half file among them, and that is the
// proof that a killed run left it: what has it may be removed.
const PartSuffix = ".lifeboat.part"

// newFile is a file in the making: beside its place, 0600, locked, so that
// neither a reader nor another run ever meets half of it.
type newFile struct {
	*os.File // the part, open for reading and writing
	target   string
	part     string
}

// createFile begins a new file out of sources. What a killed run left is
// removed and named; it is told by what this function makes: its name, a
// regular file, 0600, ours, and nobody holds its lock.
func createFile(env *Environment, target string, sources ...string) (*newFile, error) {
	if err := RefuseExisting(target); err != nil {
		return nil, err
	}
	f := &newFile{target: target, part: target + PartSuffix}
	if err := removeLeftover(env, f.part, sources); err != nil {
		return nil, err
	}
	var err error
	if f.File, err = os.OpenFile(f.part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if err := lockFile(f.File); err != nil {
		return nil, errors.Join(err, f.discard())
	}
	return f, nil
}

func removeLeftover(env *Environment, part string, sources []string) error {
	info, err := os.Lstat(part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || !ownedByUs(info) {
		return WithHint(Refusef("%q stands in the way, and no run of lifeboat left it", part), "move it away")
	}
	file, err := os.OpenFile(part, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := lockFile(file); err != nil {
		return err
	}
	if err := refuseSource(part, sources); err != nil {
		return err
	}
	env.Warn("removed %q, which a killed run had left", part)
	return os.Remove(part)
}

// refuseSource keeps the leftover of a killed run that is to be read now, or
// that what is to be read stands in.
func refuseSource(part string, sources []string) error {
	leftover, err := os.Stat(part)
	if err != nil {
		return err
	}
	for _, source := range sources {
		if source == "" {
			continue
		}
		real, err := filepath.EvalSymlinks(source)
		if err == nil {
			real, err = filepath.Abs(real)
		}
		if err != nil {
			continue // standard input, or the error of whoever opens it
		}
		for at := real; ; at = filepath.Dir(at) {
			if info, err := os.Stat(at); err == nil && os.SameFile(info, leftover) {
				return WithHint(Refusef("%q is in the way: a killed run left it, and %q is to be read", part, source), "choose another name with --to, or move the source away")
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	return nil
}

func lockFile(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return Refusef("%q: another run is writing it", file.Name())
	}
	return err
}

func ownedByUs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}

// commit gives the file its name, after all of it is on the disk. It never
// takes the place of another file.
func (f *newFile) commit() error {
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", f.target, err), f.discard())
	}
	named, err := os.Lstat(f.part)
	if err == nil {
		var own fs.FileInfo
		if own, err = f.Stat(); err == nil && !os.SameFile(named, own) {
			return errors.Join(Refusef("%q was taken away while it was written", f.part), f.Close())
		}
	}
	if err == nil {
		err = renameNew(f.part, f.target)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", f.target, err), f.discard())
	}
	return errors.Join(f.Close(), SyncFolder(filepath.Dir(f.target)))
}

// discard removes the part.
func (f *newFile) discard() error {
	return errors.Join(os.Remove(f.part), f.Close())
}

func SyncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // some file systems know no such thing
		return err
	}
	return nil
}

// SaveFile writes a small file that must not exist.
func SaveFile(env *Environment, target string, content []byte) error {
	f, err := createFile(env, target)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", target, err), f.discard())
	}
	return f.commit()
}

// outlet is where a command's bytes go: a new file, or standard output for
// "-".
type outlet struct {
	env  *Environment
	File *newFile // nil for standard output
}

// OpenOutlet begins the output that is made out of sources. Bytes that are no text do not go to a
// terminal: it would obey them.
func OpenOutlet(env *Environment, to string, binary bool, sources ...string) (*outlet, error) {
	switch {
	case to == "":
		return nil, Usagef("say where to write to: --to FILE, or --to - for standard output")
	case to == "-" && binary && env.stdoutTerminal:
		return nil, WithHint(Refusef("standard output is a terminal, and the result is binary"), "give --to FILE, or a pipe")
	case to == "-":
		return &outlet{env: env}, nil
	}
	file, err := createFile(env, to, sources...)
	if err != nil {
		return nil, err
	}
	return &outlet{env, file}, nil
}

func (d *outlet) Write(p []byte) (int, error) {
	if d.File == nil {
		return d.env.Stdout.Write(p)
	}
	return d.File.Write(p)
}

// End commits the file when all went well, and removes it otherwise.
func (d *outlet) End(err error) error {
	switch {
	case d.File == nil:
		return err
	case err != nil:
		return errors.Join(err, d.File.discard())
	}
	return d.File.commit()
}

// NewFolder is a folder in the making: NAME.part with a locked mark in it,
// which proves that it may be removed.
type NewFolder struct {
	Root   *os.Root
	mark   *os.File
	target string
	part   string
}

const FolderMark = ".lifeboat-part"

// CreateFolder begins a new folder, 0700, out of sources.
func CreateFolder(env *Environment, target string, sources ...string) (*NewFolder, error) {
	target = filepath.Clean(target)
	if err := RefuseExisting(target); err != nil {
		return nil, err
	}
	f := &NewFolder{target: target, part: target + ".part"}
	if err := removeLeftoverFolder(env, f.part, sources); err != nil {
		return nil, err
	}
	if err := os.Mkdir(f.part, 0o700); err != nil {
		return nil, err
	}
	var err error
	if f.Root, err = os.OpenRoot(f.part); err != nil {
		return nil, errors.Join(err, os.Remove(f.part))
	}
	if f.mark, err = f.Root.OpenFile(FolderMark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
		err = lockFile(f.mark)
	}
	if err != nil {
		return nil, errors.Join(err, f.Discard())
	}
	return f, nil
}

func removeLeftoverFolder(env *Environment, part string, sources []string) error {
	if _, err := os.Lstat(part); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	mark, err := os.OpenFile(filepath.Join(part, FolderMark), os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return WithHint(Refusef("%q stands in the way, and no run of lifeboat left it", part), "move it away")
	}
	defer mark.Close()
	if err := lockFile(mark); err != nil {
		return err
	}
	if err := refuseSource(part, sources); err != nil {
		return err
	}
	env.Warn("removed %q, which a killed run had left", part)
	return os.RemoveAll(part)
}

func (f *NewFolder) Commit() error {
	err := errors.Join(SyncFolder(f.part), renameNew(f.part, f.target))
	if err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", f.target, err), f.Discard())
	}
	return errors.Join(f.Root.Remove(FolderMark), f.mark.Close(), f.Root.Close(), SyncFolder(filepath.Dir(f.target)))
}

func (f *NewFolder) Discard() error {
	if f.mark != nil {
		_ = f.mark.Close() // only its lock was of use
	}
	return errors.Join(f.Root.Close(), os.RemoveAll(f.part))
}

// WriteNew writes a file that must not exist, 0600: a report names objects.
func WriteNew(path string, encode func(io.Writer) error) error {
	file, err := whole.NewFile(path, whole.Options{})
	if err != nil {
		return err
	}
	if err := encode(file); err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", path, err), file.Discard())
	}
	return file.Commit()
}
