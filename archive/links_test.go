package archive_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	links := map[string]archive.Link{}
	for name, target := range map[string]string{
		"kubernetes/pki": "/etc/kubernetes/ssl", "kubernetes/rel": "ssl/../ssl/./ca.crt", "kubernetes/chain": "pki/ca.crt",
		"kubernetes/self": "self", "kubernetes/a": "b", "kubernetes/b": "a/x", "kubernetes/here": ".",
		"kubernetes/out": "/srv/pki", "kubernetes/near": "/etc/kubernetes2/x", "kubernetes/up": "../../x", "kubernetes/climb": "/etc/kubernetes/../shadow",
		"kubernetes/cm/ca.crt": "..data/ca.crt", "kubernetes/cm/..data": "..2026_11", "kubernetes/long": strings.Repeat("x/", 600),
		"kubernetes/beside": "../etcd-backup.snapshot",
	} {
		links[name] = archive.Link{Name: name, Target: target}
	}
	links["kubernetes/twin"] = archive.Link{Name: "kubernetes/twin", Target: "./kubernetes/ssl/ca.crt", Hard: true}
	for name, want := range map[string]string{
		"kubernetes/ssl/ca.crt": "kubernetes/ssl/ca.crt", "kubernetes/pki": "kubernetes/ssl", "kubernetes/pki/ca.crt": "kubernetes/ssl/ca.crt",
		"kubernetes/rel": "kubernetes/ssl/ca.crt", "kubernetes/chain": "kubernetes/ssl/ca.crt", "kubernetes/here/here/pki/x": "kubernetes/ssl/x",
		"kubernetes/self": "", "kubernetes/a": "", "kubernetes/b": "", "kubernetes/out": "", "kubernetes/near": "", "kubernetes/up": "", "kubernetes/climb": "",
		"kubernetes/cm/ca.crt": "kubernetes/cm/..2026_11/ca.crt", "kubernetes/long": "", "kubernetes/twin": "kubernetes/ssl/ca.crt",
		"kubernetes/beside": "etcd-backup.snapshot",
	} {
		to, ok := archive.Resolve(links, name)
		require.Equal(t, want != "", ok, name)
		if ok {
			require.Equal(t, want, to, name)
		}
	}
}

// A link is packed so that it leads to what was packed, wherever the archive
// is unpacked; what it leads to and was not packed is told from nothing.
func TestCollectLinks(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "ssl", "etcd"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ssl", "ca.crt"), []byte("a CA\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "ca.crt"), []byte("another\n"), 0o600))
	for name, target := range map[string]string{
		"pki": "/etc/kubernetes/ssl", "own": filepath.Join(dir, "ssl", "ca.crt"), "ssl/etcd/ca.crt": "/etc/kubernetes/pki/ca.crt",
		"rel": "ssl/ca.crt", "gone": "ssl/nothing", "out": outside, "through": "out/ca.crt", "shadow": "../../etc/shadow", "beside": "../other",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	items, skipped, err := archive.Collect(t.Context(), root, "kubernetes", archive.Limits{})
	require.NoError(t, err)
	links := map[string]string{}
	for _, item := range items {
		if item.Link != "" {
			links[item.Name] = item.Link
		}
	}
	require.Equal(t, map[string]string{
		"kubernetes/pki": "ssl", "kubernetes/own": "ssl/ca.crt", "kubernetes/ssl/etcd/ca.crt": "../../pki/ca.crt",
		"kubernetes/rel": "ssl/ca.crt", "kubernetes/gone": "ssl/nothing", "kubernetes/out": outside, "kubernetes/through": "out/ca.crt",
		"kubernetes/shadow": "../../etc/shadow", "kubernetes/beside": "../other",
	}, links)
	codes := map[string]archive.SkipReason{}
	for _, s := range skipped {
		codes[s.Name] = s.Code
	}
	require.Equal(t, map[string]archive.SkipReason{
		"kubernetes/gone": archive.DanglingLink, "kubernetes/out": archive.LinkOut, "kubernetes/through": archive.LinkOut,
		"kubernetes/shadow": archive.LinkOut, "kubernetes/beside": archive.LinkOut,
	}, codes)
}
