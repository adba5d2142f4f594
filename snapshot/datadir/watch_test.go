package datadir_test

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	mtime time.Time
	ctime time.Time // of the inode, where the system tells
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
		facts := fileFacts{size: info.Size(), mode: info.Mode(), mtime: info.ModTime(), ctime: changeTime(info)}
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
