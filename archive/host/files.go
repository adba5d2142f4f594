package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	built "github.com/lifeboat-dr/lifeboat/internal/whole"
)

// UnpackFiles is the work that puts the kubernetes/ half of an archive below a
// new folder, with owners where this process may give files away, and with
// modes.
func UnpackFiles(src string, opts lifeboat.Options) Work {
	return func(ctx context.Context, to string) error {
		dir, err := built.NewDir(to, built.Options{Sources: []string{src}})
		if err != nil {
			return err
		}
		root, err := dir.Root()
		if err != nil {
			return errors.Join(err, dir.Discard())
		}
		how := archive.UnpackOptions{Paths: []string{archive.FilesFolder}, Links: true, Owners: os.Geteuid() == 0}
		done, err := lifeboat.Unpack(ctx, src, opts, root, how)
		if err == nil && done.Files == 0 {
			err = fmt.Errorf("unpacking %q: there is no %s/ in it", src, archive.FilesFolder)
		}
		if err != nil {
			return errors.Join(err, dir.Discard())
		}
		return dir.Commit()
	}
}

// WriteFolder makes a new folder with these files, whole or not at all: only its
// owner reads it, and scripts can be run.
func WriteFolder(to string, files map[string]string) error {
	dir, err := built.NewDir(to, built.Options{})
	if err != nil {
		return err
	}
	root, err := dir.Root()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := os.FileMode(0o600)
		if filepath.Ext(name) == ".sh" {
			mode = 0o700
		}
		if err == nil {
			err = root.WriteFile(name, []byte(files[name]), mode)
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", to, err), dir.Discard())
	}
	return dir.Commit()
}
