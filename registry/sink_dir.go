package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
)

// The reasons for which WriteDir refuses to write.
var (
	ErrExists = errors.New("it exists already")
	ErrInUse  = errors.New("another run is writing it")
)

// Written says what WriteDir did.
type Written struct {
	Dir      string
	Files    int
	Bytes    int64
	Leftover string // folder that a killed run had left, removed now; "" when there was none
}

// partMark stands in a folder that WriteDir builds. It proves that the folder
// may be removed, and its lock that nobody is at it.
const partMark = ".lifeboat-part"

// WriteDir writes the manifests below the folder target, each to its File.
//
// The folder is built beside the target as NAME.part, read back, synced and
// then renamed: target is either whole or not there. Files are 0600, folders
// 0700, because Secrets are among them. A target that exists is refused
// (ErrExists), as is one that another run is building (ErrInUse); what a
// killed run left behind is removed and named. At an error, or when ctx ends,
// nothing is left.
func WriteDir(ctx context.Context, target string, plan *Plan) (written Written, err error) {
	target = filepath.Clean(target)
	written.Dir = target
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing manifests to %q: %w", target, err)
		}
	}()
	name := filepath.Base(target)
	if name == "." || name == ".." || name == string(filepath.Separator) {
		return written, ErrExists
	}
	parent, err := os.OpenRoot(filepath.Dir(target))
	if err != nil {
		return written, err
	}
	defer parent.Close()
	part, leftover, err := openPart(parent, name)
	if leftover {
		written.Leftover = filepath.Join(filepath.Dir(target), name+".part")
	}
	if err != nil {
		return written, err
	}
	defer part.close()
	if err := part.fill(ctx, plan, &written); err != nil {
		return written, errors.Join(err, parent.RemoveAll(part.name))
	}
	// The mark goes last: killed before it, the next run knows the folder as
	// its own; killed after it, target has one hidden file too many.
	if err := refuseExisting(parent, name); err != nil {
		return written, errors.Join(err, parent.RemoveAll(part.name))
	}
	if err := parent.Rename(part.name, name); err != nil {
		return written, errors.Join(err, parent.RemoveAll(part.name))
	}
	if err := part.root.Remove(partMark); err != nil {
		return written, err
	}
	return written, errors.Join(syncPath(part.root, "."), syncPath(parent, "."))
}

// part is a folder that is being built.
type part struct {
	name string
	root *os.Root
	mark *os.File
}

func (p *part) close() {
	_ = p.mark.Close() // only its lock was of use
	_ = p.root.Close()
}

// openPart makes NAME.part with its mark. leftover tells that one of a killed
// run stood there and was removed.
func openPart(parent *os.Root, name string) (p *part, leftover bool, err error) {
	if err := refuseExisting(parent, name); err != nil {
		return nil, false, err
	}
	partName := name + ".part"
	if _, err := parent.Lstat(partName); err == nil {
		if err := removeLeftover(parent, partName); err != nil {
			return nil, false, err
		}
		leftover = true
	}
	if err := parent.Mkdir(partName, 0o700); err != nil {
		return nil, leftover, err
	}
	root, err := parent.OpenRoot(partName)
	if err != nil {
		return nil, leftover, err
	}
	mark, err := root.OpenFile(partMark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = lock(mark)
	}
	if err != nil {
		_ = root.Close()
		return nil, leftover, errors.Join(err, parent.RemoveAll(partName))
	}
	return &part{name: partName, root: root, mark: mark}, leftover, nil
}

func refuseExisting(parent *os.Root, name string) error {
	_, err := parent.Lstat(name)
	switch {
	case err == nil:
		return ErrExists
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// removeLeftover removes a NAME.part that bears the mark and that nobody holds,
// and one that is empty: its maker was killed before it could set the mark.
func removeLeftover(parent *os.Root, partName string) error {
	mark, err := parent.Open(path.Join(partName, partMark))
	info, statErr := parent.Lstat(partName)
	if errors.Is(err, fs.ErrNotExist) && statErr == nil && info.IsDir() && parent.Remove(partName) == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%q is in the way and was not made by this tool: %w", partName, ErrExists)
	}
	defer mark.Close()
	if err := lock(mark); err != nil {
		return err
	}
	return parent.RemoveAll(partName)
}

// lock takes the lock of a mark; it is gone with the process that holds it.
func lock(mark *os.File) error {
	err := syscall.Flock(int(mark.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// fill writes, reads back and syncs all manifests. Syncing is a pass of its own:
// the first call lets a journaling file system commit everything, and the rest
// find little to do, where a sync after each write would commit each by itself.
func (p *part) fill(ctx context.Context, plan *Plan, written *Written) error {
	folders := map[string]bool{}
	for _, m := range plan.Manifests {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		text, err := m.bytes()
		if err != nil {
			return fmt.Errorf("%s: %w", m.Object, err)
		}
		if folder := path.Dir(m.File); !folders[folder] {
			if err := p.root.Mkdir(folder, 0o700); err != nil {
				return err
			}
			folders[folder] = true
		}
		if err := p.writeFile(m.File, text); err != nil {
			return fmt.Errorf("file %q: %w", m.File, err)
		}
		written.Files++
		written.Bytes += int64(len(text))
	}
	for _, m := range plan.Manifests {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := syncPath(p.root, m.File); err != nil {
			return fmt.Errorf("file %q: %w", m.File, err)
		}
	}
	for folder := range folders {
		if err := syncPath(p.root, folder); err != nil {
			return err
		}
	}
	return syncPath(p.root, ".")
}

// bytes is what the manifest's file holds.
func (m *Manifest) bytes() ([]byte, error) {
	if m.Raw != nil {
		return m.Raw, nil
	}
	content, err := m.Content()
	if err != nil {
		return nil, err
	}
	return MarshalYAML(content)
}

// writeFile writes a new file and reads it back.
func (p *part) writeFile(name string, text []byte) (err error) {
	f, err := p.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return err
	}
	if [sha256.Size]byte(digest.Sum(nil)) != sha256.Sum256(text) {
		return errors.New("what was read back is not what was written")
	}
	return nil
}

// syncPath brings a file or folder to the disk.
func syncPath(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
