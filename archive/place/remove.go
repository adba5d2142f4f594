package place

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Remove deletes an archive, its signature and the record of its proof, the
// archive first: what is left without it misleads nobody.
func (f *Folder) Remove(_ context.Context, e Entry) error {
	path, err := f.within(e.Name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing %q: %w", e.Name, err)
	}
	for _, suffix := range []string{SignatureSuffix, ProofSuffix} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %q: %w", e.Name+suffix, err)
		}
	}
	return syncFolder(filepath.Dir(path))
}

// within is the path of a name that List gave. A name that leaves the folder is
// refused.
func (f *Folder) within(name string) (string, error) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) || !IsArchive(name) {
		return "", fmt.Errorf("%q: %w", name, fs.ErrInvalid)
	}
	path := filepath.Join(f.root, local)
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%q: %w: it is not a regular file any more", name, fs.ErrInvalid)
	}
	return path, nil
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
