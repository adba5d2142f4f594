package whole

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/internal/filelock"
)

// Leftover is what a killed run left.
type Leftover struct {
	Part  string // the folder in which it built; removed
	Aside string // where what that run had replaced is kept, "" for nothing
	Back  string // where what that run was about to replace was put back, "" for nowhere
}

// FindLeftover looks at the folder of a build and changes nothing. false where
// there is none, or none that a killed run left.
func FindLeftover(part string) (l Leftover, ok bool) {
	if info, err := os.Lstat(part); err != nil || !info.IsDir() {
		return l, false
	}
	if _, err := os.Lstat(filepath.Join(part, marker)); err != nil && !isEmpty(part) {
		return l, false
	}
	l.Part = part
	if old, err := readNote(part); err == nil && old.standing == oldInBuild { // an error is the next run's
		l.Aside = old.aside
	}
	return l, true
}

// leftoversOf are the places at which a killed run may have left something of a
// target: beside it and, where it may be a mount point, in it.
func leftoversOf(target string, p Place, opts Options) []string {
	parts := []string{p.Part}
	if path, err := resolve(target, opts); err == nil && opts.Inside != "" {
		parts = append(parts, path+partSuffix, filepath.Join(path, opts.Inside)+partSuffix)
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

// removeLeftover removes what a killed run left, and keeps what that had
// replaced. It takes nothing that has no marker, nothing that another run is
// at, and no source.
func (s steps) removeLeftover(part string, opts Options) error {
	info, err := os.Lstat(part)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok {
		return about(part, ErrForeign)
	}
	if slices.ContainsFunc(opts.Sources, func(source string) bool { return holds(info, source) }) {
		return about(part, ErrSource)
	}
	if isEmpty(part) { // killed before it could set its marker; nobody loses anything
		return s.removeEmpty(part, opts)
	}
	held, err := os.OpenFile(filepath.Join(part, marker), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return about(part, ErrForeign)
	}
	if err != nil {
		return fmt.Errorf("%q %w: %w", part, ErrForeign, err)
	}
	defer filelock.Release(held) //nolint:errcheck // nobody else works in what is gone
	if int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%q was left by a run of another user (%d): %w", part, stat.Uid, ErrExists)
	}
	if err := s.call("lock leftover", func() error { return lock(held) }); err != nil {
		return about(part, err)
	}
	l := Leftover{Part: part}
	if err := s.rescue(&l); err != nil {
		return fmt.Errorf("removing %q, which a killed run left: %w", part, err)
	}
	if err := s.removePart(part); err != nil {
		return err
	}
	opts.found(l)
	return nil
}

func (s steps) removeEmpty(part string, opts Options) error {
	if err := s.call("remove empty", func() error { return os.Remove(part) }); err != nil {
		return fmt.Errorf("%q %w: %w", part, ErrForeign, err)
	}
	opts.found(Leftover{Part: part})
	return nil
}

func (o Options) found(l Leftover) {
	if o.Found != nil {
		o.Found(l)
	}
}

func isEmpty(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(1) // at an error there are none, and removing it fails
	return len(names) == 0
}

// holds reports whether a source is the folder, or stands in it.
func holds(folder fs.FileInfo, source string) bool {
	if source == "" || source == "-" {
		return false
	}
	path, err := filepath.EvalSymlinks(source)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return false // whoever opens it says what is wrong
	}
	for {
		if info, err := os.Stat(path); err == nil && os.SameFile(info, folder) {
			return true
		}
		if path == filepath.Dir(path) {
			return false
		}
		path = filepath.Dir(path)
	}
}
