package archive_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
)

// A file for which there is no room is refused before any of it is written: a disk
// that is full to the last block is the next trouble of its host.
func TestUnpackWithoutRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mounttest.Tmpfs(t, dir, 0, "size=2m")
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	data := closed(tarOf(item{name: "etcd.db", content: database(3 << 20)}))
	r, err := archive.NewReader(bytes.NewReader(data), archive.Limits{})
	require.NoError(t, err)
	_, err = archive.Unpack(t.Context(), r, root, archive.UnpackOptions{})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "it takes 3145728 bytes, and ")
	require.NoFileExists(t, filepath.Join(dir, "etcd.db"))
}
