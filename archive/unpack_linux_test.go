package archive_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
)

// A file that cannot be read is not left out of a backup without a word.
func TestCollectUnreadable(t *testing.T) {
	t.Parallel()
	const folder = "/proc/sys/net/ipv4/route" // flush, in it, is for writing, whoever asks
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Skipf("no %s here", folder)
	}
	defer root.Close()
	_, _, err = archive.Collect(t.Context(), root, "kubernetes", archive.Limits{})
	require.ErrorIs(t, err, fs.ErrPermission)
}

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
