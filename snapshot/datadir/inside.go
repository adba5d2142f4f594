package datadir

import (
	"os"
	"path/filepath"
	"strings"
)

// Inside reports whether a path to be written, which need not exist, stands in a
// data dir, or in another folder that is read. A path of "" does not.
func Inside(dir, to string) (bool, error) {
	if info, err := os.Stat(dir); to == "" || err != nil || !info.IsDir() {
		return false, nil //nolint:nilerr // whoever opens it says what is wrong
	}
	if d, err := Open(dir); err == nil {
		dir = d.Path // SRC may be the folder member in it
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	target, err := filepath.EvalSymlinks(nearestFolder(to))
	return target == dir || strings.HasPrefix(target, dir+string(filepath.Separator)), err
}

// nearestFolder is the nearest folder above a path that exists.
func nearestFolder(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return "."
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || dir == filepath.Dir(dir) {
			return dir
		}
	}
}
