package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// containerd writes a containerd's state as containerd does: its metadata by
// bbolt, in the buckets of core/metadata/buckets.go, and its blobs as files.
type containerd struct {
	t   testing.TB
	dir string // its folder
	db  *bolt.DB
}

func newContainerd(t testing.TB, dir string) *containerd {
	t.Helper()
	meta := filepath.Join(dir, containerdMeta)
	require.NoError(t, os.MkdirAll(filepath.Dir(meta), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, containerdBlobs, "sha256"), 0o700))
	db, err := bolt.Open(meta, 0o644, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return &containerd{t: t, dir: dir, db: db}
}

// blob puts a blob into the content store.
func (c *containerd) blob(content string) blob {
	c.t.Helper()
	b := blob{Digest: "sha256:" + digestOf([]byte(content)), Size: int64(len(content))}
	require.NoError(c.t, os.WriteFile(c.path(b), []byte(content), 0o444))
	return b
}

func (c *containerd) path(b blob) string {
	return filepath.Join(c.dir, containerdBlobs, "sha256", strings.TrimPrefix(b.Digest, "sha256:"))
}

// manifest puts an image's manifest and configuration into the content store.
func (c *containerd) manifest(of string) (manifest, config blob) {
	c.t.Helper()
	config = c.blob(`{"architecture":"amd64","os":"` + of + `"}`)
	return c.blob(fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,"size":%d},"layers":[]}`, config.Digest, config.Size)), config
}

func (c *containerd) index(manifests ...blob) blob {
	c.t.Helper()
	var list []string
	for _, m := range manifests {
		list = append(list, fmt.Sprintf(`{"digest":%q,"size":%d}`, m.Digest, m.Size))
	}
	return c.blob(`{"schemaVersion":2,"manifests":[` + strings.Join(list, ",") + `]}`)
}

// name gives an image a name in a namespace.
func (c *containerd) name(namespace, image string, b blob) {
	c.t.Helper()
	require.NoError(c.t, c.db.Update(func(tx *bolt.Tx) error {
		v1, err := tx.CreateBucketIfNotExists([]byte("v1"))
		require.NoError(c.t, err)
		require.NoError(c.t, v1.Put([]byte("version"), binary.AppendVarint(nil, 4)))
		at := v1
		for _, bucket := range []string{namespace, "images", image} {
			at, err = at.CreateBucketIfNotExists([]byte(bucket))
			require.NoError(c.t, err)
		}
		require.NoError(c.t, at.Put([]byte("createdat"), []byte{1, 0, 0, 0, 14, 220, 0, 0, 0, 0, 0, 0, 0, 255, 255}))
		labels, err := at.CreateBucketIfNotExists([]byte("labels"))
		require.NoError(c.t, err)
		require.NoError(c.t, labels.Put([]byte("io.cri-containerd.image"), []byte("managed")))
		target, err := at.CreateBucketIfNotExists([]byte("target"))
		require.NoError(c.t, err)
		require.NoError(c.t, target.Put([]byte("digest"), []byte(b.Digest)))
		require.NoError(c.t, target.Put([]byte("mediatype"), []byte("application/vnd.oci.image.index.v1+json")))
		return target.Put([]byte("size"), binary.AppendVarint(nil, b.Size))
	}))
}

// What containerd has a name for, and whose blobs lie in its store, is there;
// containerd is at work meanwhile.
func TestContainerdImages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "var/lib"), 0o755))
	require.NoError(t, os.Symlink("/mnt/data/containerd", filepath.Join(dir, "var/lib/containerd")))
	c := newContainerd(t, filepath.Join(dir, "mnt/data/containerd"))

	etcd, _ := c.manifest("etcd")
	c.name("k8s.io", "registry.k8s.io/etcd:3.7.0-0", c.index(blob{"sha256:" + strings.Repeat("0", 64), 7}, etcd))
	server, _ := c.manifest("server")
	c.name("k8s.io", "registry.k8s.io/kube-apiserver:v1.37.1", server)
	c.name("k8s.io", "docker.io/library/busybox:latest", server)
	gone, _ := c.manifest("gone")
	c.name("k8s.io", "registry.k8s.io/gone:1", gone)
	require.NoError(t, os.Remove(c.path(gone)))
	unpacked, config := c.manifest("no config")
	c.name("k8s.io", "registry.k8s.io/config:1", unpacked)
	require.NoError(t, os.Remove(c.path(config)))
	bad, _ := c.manifest("flipped")
	c.name("k8s.io", "registry.k8s.io/bad:1", bad)
	require.NoError(t, os.Chmod(c.path(bad), 0o600))
	text, err := os.ReadFile(c.path(bad))
	require.NoError(t, err)
	text[20] ^= 1
	require.NoError(t, os.WriteFile(c.path(bad), text, 0o600))
	c.name("k8s.io", "registry.k8s.io/elsewhere:1", c.index(blob{"sha256:" + strings.Repeat("1", 64), 7}))
	c.name("k8s.io", "registry.k8s.io/hostile:1", blob{"sha256:../../../../../../../etc/hostname" + strings.Repeat("/", 30), 7})
	c.name("moby", "registry.k8s.io/other-namespace:1", server)

	s, err := openRoot(t, dir).ContainerdImages(context.Background(), ContainerdDir)
	require.NoError(t, err)
	require.Equal(t, 8, s.Names)
	for image, want := range map[string][2]string{
		"registry.k8s.io/etcd:3.7.0-0":            {string(There), ""},
		"registry.k8s.io/etcd:3.7.0-0@" + "x":     {string(NotThere), ""},
		"registry.k8s.io/etcd:3.7.0":              {string(NotThere), ""},
		"registry.k8s.io/kube-apiserver:v1.37.1":  {string(There), ""},
		"busybox":                                 {string(There), ""},
		"registry.k8s.io/gone:1":                  {string(Incomplete), "blob " + gone.Digest + " is not in the content store"},
		"registry.k8s.io/config:1":                {string(Incomplete), "blob " + config.Digest + " is not in the content store"},
		"registry.k8s.io/bad:1":                   {string(Incomplete), "blob " + bad.Digest + " is damaged: its content has another digest"},
		"registry.k8s.io/elsewhere:1":             {string(Incomplete), "none of the 1 manifests of its index is there"},
		"registry.k8s.io/hostile:1":               {string(Incomplete), "is not the digest of a manifest"},
		"registry.k8s.io/other-namespace:1":       {string(NotThere), ""},
		"registry.k8s.io/kube-apiserver:v1.37.10": {string(NotThere), ""},
	} {
		is, why := s.Has(image)
		require.Equal(t, want[0], string(is), image)
		require.Contains(t, why, want[1], image)
	}
	is, _ := (*ImageStore)(nil).Has("busybox")
	require.Equal(t, NotChecked, is)
}

func TestContainerdImagesBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := openRoot(t, dir)
	_, err := root.ContainerdImages(context.Background(), ContainerdDir)
	require.ErrorIs(t, err, ErrNoImageStore)

	meta := filepath.Join(dir, ContainerdDir, containerdMeta)
	require.NoError(t, os.MkdirAll(filepath.Dir(meta), 0o700))
	require.NoError(t, os.WriteFile(meta, []byte(strings.Repeat("no database\n", 1000)), 0o600))
	_, err = root.ContainerdImages(context.Background(), ContainerdDir)
	require.ErrorIs(t, err, snapshot.ErrNotDatabase)

	require.NoError(t, os.Remove(meta))
	c := newContainerd(t, filepath.Join(dir, ContainerdDir))
	server, _ := c.manifest("server")
	c.name("k8s.io", "registry.k8s.io/kube-apiserver:v1.37.1", server)
	require.NoError(t, c.db.Close())
	info, err := os.Stat(meta)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(meta, info.Size()/2))
	_, err = root.ContainerdImages(context.Background(), ContainerdDir)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
}

func TestParseImageList(t *testing.T) {
	t.Parallel()
	const digest = "registry.deckhouse.io/deckhouse/ee@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, text := range map[string]string{
		"crictl's JSON":   `{"images":[{"id":"sha256:1","repoTags":["registry.k8s.io/etcd:3.7.0-0"],"repoDigests":["` + digest + `"]}]}`,
		"ctr's names":     "registry.k8s.io/etcd:3.7.0-0\n" + digest + "\nsha256:0123\n",
		"ctr's table":     "REF TYPE DIGEST SIZE PLATFORMS LABELS\nregistry.k8s.io/etcd:3.7.0-0 application/x sha256:1 21 MiB linux/amd64 -\r\n" + digest + " a b c\n",
		"crictl's table":  "IMAGE                  TAG       IMAGE ID       SIZE\nregistry.k8s.io/etcd   3.7.0-0   2e96e5913fc06   57.7MB\nx <none> 1 2\n",
		"lines, comments": "# of master-0\n\n  registry.k8s.io/etcd:3.7.0-0\n" + digest,
	} {
		s, err := ParseImageList("list", []byte(text))
		require.NoError(t, err, name)
		is, _ := s.Has("registry.k8s.io/etcd:3.7.0-0")
		require.Equal(t, There, is, name)
		is, _ = s.Has("registry.k8s.io/etcd:3.7.0")
		require.Equal(t, NotThere, is, "%s: part of a name is another name", name)
		if name != "crictl's table" {
			is, _ = s.Has(digest)
			require.Equal(t, There, is, name)
		}
	}
	for _, bad := range []string{`{"images": 7}`, `{"pods":[]}`, "<html>\n", "\x00\x01\x02"} {
		_, err := ParseImageList("list", []byte(bad))
		require.ErrorIs(t, err, ErrImageList, bad)
	}
}
