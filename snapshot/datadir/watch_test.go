package datadir_test

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree is what a folder was: every file's size, content, mode, mtime and ctime.
type tree struct {
	root  string
	files map[string]fileFacts
}

type fileFacts struct {
	size  int64
	mode  fs.FileMode
	mtime syscall.Timespec
	ctime syscall.Timespec
	sum   [sha256.Size]byte
}

func watchTree(t testing.TB, root string) tree {
	t.Helper()
	w := tree{root: root, files: map[string]fileFacts{}}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		require.NoError(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		facts := fileFacts{size: info.Size(), mode: info.Mode(), mtime: stat.Mtim, ctime: stat.Ctim}
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			facts.sum = sha256.Sum256(data)
		}
		w.files[path] = facts
		return nil
	}))
	return w
}

// unchanged holds the folder against what it was.
func (w tree) unchanged(t testing.TB) {
	t.Helper()
	require.Equal(t, w.files, watchTree(t, w.root).files)
}
