package place

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// PointLatest makes latest.tar.gz.age (the ending is that of the archive) a link
// to an archive beside it, and latest.tar.gz.age.minisig one to its signature.
// Where the file system knows no links, the file latest holds the name. What is
// there and is no link stays, and is fs.ErrExist.
func PointLatest(archive string) (pointer string, err error) {
	folder, base := filepath.Split(archive)
	ending := ""
	for _, s := range suffixes {
		for _, e := range []string{s, s + ".age"} {
			if strings.HasSuffix(base, e) && len(e) > len(ending) {
				ending = e
			}
		}
	}
	if ending == "" {
		return "", fmt.Errorf("%q: %w: it has none of the endings of archives", archive, fs.ErrInvalid)
	}
	pointer = filepath.Join(folder, "latest"+ending)
	if err := point(pointer, base); err != nil {
		if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
		pointer = filepath.Join(folder, "latest")
		return pointer, whole.WriteFile(pointer, []byte(base+"\n"), whole.Options{Existing: whole.Overwrite})
	}
	if _, err := os.Stat(archive + SignatureSuffix); err == nil {
		return pointer, point(pointer+SignatureSuffix, base+SignatureSuffix)
	}
	if err := os.Remove(pointer + SignatureSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err // it would be that of another archive
	}
	return pointer, nil
}

// point replaces a link in one step.
func point(link, to string) error {
	info, err := os.Lstat(link)
	if err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("%q %w, and is no link", link, whole.ErrExists)
	}
	scratch := link + ".part"
	if info, err := os.Lstat(scratch); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if err := os.Remove(scratch); err != nil {
			return err
		}
	}
	if err := os.Symlink(to, scratch); err != nil {
		return err
	}
	return errors.Join(os.Rename(scratch, link), syncFolder(filepath.Dir(link)))
}
