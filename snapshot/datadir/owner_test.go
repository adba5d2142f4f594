package datadir_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func TestParseOwner(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]datadir.Owner{
		"0": {UID: 0, GID: -1}, "1000:2000": {UID: 1000, GID: 2000}, ":7": {UID: -1, GID: 7}, "root": {UID: 0, GID: -1},
	} {
		got, err := datadir.ParseOwner(text)
		require.NoError(t, err, text)
		require.Equal(t, want, *got, text)
	}
	_, err := datadir.ParseOwner("nobody-of-that-name")
	require.ErrorContains(t, err, `reading owner "nobody-of-that-name"`)
}

// etcd may run as a user of its own: every file gets the owner.
func TestOwner(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("giving files away takes root")
	}
	source := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	dir := filepath.Join(t.TempDir(), "etcd")
	opts := one(dir, loopback(t))
	opts.NoBootCheck = true
	owner, err := datadir.ParseOwner("12345:" + strconv.Itoa(54321))
	require.NoError(t, err)
	opts.Owner = owner
	_, err = restore(t, source, opts)
	require.NoError(t, err)
	for path := range watchTree(t, dir).files {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		require.Equal(t, [2]uint32{12345, 54321}, [2]uint32{stat.Uid, stat.Gid}, path)
		require.Zero(t, info.Mode().Perm()&0o077, "%s is for nobody else", path)
	}
}
