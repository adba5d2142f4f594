package lifeboat

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// foreignFolder is a folder that another backup program keeps.
type foreignFolder struct {
	name  string
	marks []string // all of them stand in it
	hint  string
}

var foreignFolders = []foreignFolder{
	{"a restic repository", []string{"config", "data", "keys", "snapshots"}, "restic -r %s restore latest --target DIR takes the files out of it: give lifeboat the snapshot in DIR"},
	{"a borg repository", []string{"config", "data", "README"}, "borg extract %s::ARCHIVE takes the files out of it: give lifeboat the snapshot"},
	{"a kopia repository", []string{"kopia.repository.f"}, "kopia repository connect filesystem --path %s; kopia snapshot restore ID DIR: give lifeboat the snapshot in DIR"},
	{"a plakar store", []string{"CONFIG", "packfiles", "states"}, "plakar at %s restore -to DIR takes the files out of it: give lifeboat the snapshot in DIR"},
}

// hintFolder says what a folder is that is no data dir: another program's
// repository, or one that holds backups.
func hintFolder(path string, err error) error {
	if !errors.Is(err, datadir.ErrNotDataDir) {
		return err
	}
	if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
		return withHint(err, "it takes a member's data dir, or its evidence (lifeboat etcd collect): a snapshot or an archive says nothing of what a member held last")
	}
	entries, _ := os.ReadDir(path)
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	for _, f := range foreignFolders {
		if !slices.ContainsFunc(f.marks, func(mark string) bool { return !has(mark) }) {
			return withHint(fmt.Errorf("%s: %w", f.name, err), fmt.Sprintf(f.hint, words.ShellQuote(path)))
		}
	}
	found, manifests := backupsIn(path)
	switch {
	case len(found) == 0 && len(manifests) == 0:
		return err
	case len(found) == 0:
		return withHint(fmt.Errorf("a folder with copies of the control plane's files, and no data of etcd: %w", err),
			"beside a backup of the data it gives the member's name and URLs: lifeboat host restore SRC --manifest "+words.ShellQuote(manifests[len(manifests)-1]))
	}
	hint := "give the file: " + words.ShellQuote(found[0])
	if len(found) > 1 {
		hint = fmt.Sprintf("give one of its %d backups; the last by its name: %s", len(found), words.ShellQuote(found[len(found)-1]))
	}
	if has(archive.FilesFolder) || has("manifests") {
		hint += fmt.Sprintf("; with the control plane's files beside it: tar -cC %s . | lifeboat inspect -", words.ShellQuote(path))
	}
	return withHint(fmt.Errorf("a folder that holds backups: %w", err), hint)
}

// The bounds of a look into a folder for backups.
const (
	lookedDepth = 3
	lookedFiles = 2000
)

// backupsIn are the files below a folder that begin as a database does, packed
// or not, or as an archive, by their last names: Gardener's Full-*, kOps'
// TIME/etcd.backup.gz, the folder that an archive was unpacked to. manifests are
// etcd's among them: Deckhouse's control-plane-manager keeps those that it
// replaced in /etc/kubernetes/deckhouse/backup.
func backupsIn(root string) (found, manifests []string) {
	looked := 0
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fs.SkipDir
		case e.IsDir() && strings.Count(strings.TrimPrefix(path, root), string(filepath.Separator)) > lookedDepth:
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		if looked++; looked > lookedFiles {
			return fs.SkipAll
		}
		switch {
		case isBackup(path):
			found = append(found, path)
		case strings.HasPrefix(e.Name(), "etcd") && strings.Contains(e.Name(), ".yaml"):
			manifests = append(manifests, path)
		}
		return nil
	})
	slices.Sort(found)
	slices.Sort(manifests)
	return found, manifests
}

func isBackup(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	head, _ := bufio.NewReaderSize(file, archive.DetectSize).Peek(archive.DetectSize)
	inside := archive.DetectInside(head)
	switch archive.Detect(head) {
	case archive.Bolt:
		return true
	case archive.Gzip, archive.Zstd, archive.Zlib:
		return inside == archive.Bolt || inside == archive.Tar
	}
	return false
}
