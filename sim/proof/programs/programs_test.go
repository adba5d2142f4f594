package programs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim/proof/programs"
)

type file struct {
	name string
	mode int64
	data string
}

func tarOf(t *testing.T, files ...file) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(f.data))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zipped(t *testing.T, data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// A program is found in images as docker, containerd and rke2 write them; the
// last layer counts.
func TestImages(t *testing.T) {
	t.Parallel()
	base := tarOf(t, file{"etc/passwd", 0o644, "root"}, file{"usr/local/bin/kube-apiserver", 0o755, "older"})
	top := tarOf(t, file{"usr/local/bin/kube-apiserver", 0o755, "the program"}, file{"usr/share/kube-apiserver", 0o644, "no program"})
	docker := tarOf(t, file{"abc/layer.tar", 0o644, string(base)}, file{"def/layer.tar", 0o644, string(top)}, file{"manifest.json", 0o644, "[]"})
	oci := tarOf(t, file{"oci-layout", 0o644, "{}"}, file{"blobs/sha256/aa", 0o644, string(zipped(t, base))}, file{"blobs/sha256/bb", 0o644, string(zipped(t, top))})
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	for name, image := range map[string][]byte{"docker": docker, "oci": oci, "rke2": encoder.EncodeAll(docker, nil), "gzip": zipped(t, oci)} {
		dir := t.TempDir()
		path := filepath.Join(dir, "image.tar")
		require.NoError(t, os.WriteFile(path, image, 0o600))
		p, err := programs.Find(t.Context(), programs.Wanted{Name: "kube-apiserver", Image: path, Dir: dir})
		require.NoError(t, err, name)
		data, err := os.ReadFile(p.Path)
		require.NoError(t, err)
		require.Equal(t, "the program", string(data), name)
		info, err := os.Stat(p.Path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode())

		_, err = programs.Find(t.Context(), programs.Wanted{Name: "etcd", Image: path, Dir: dir})
		require.ErrorIs(t, err, programs.ErrNotFound)
	}
	cut := filepath.Join(t.TempDir(), "cut.tar")
	require.NoError(t, os.WriteFile(cut, docker[:len(docker)/2], 0o600))
	_, err = programs.Find(t.Context(), programs.Wanted{Name: "kube-apiserver", Image: cut, Dir: t.TempDir()})
	require.ErrorContains(t, err, "unexpected EOF")
}

// Of several that a runtime has unpacked the one of the manifest's version is
// taken, else the newest.
func TestLayers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put := func(snapshot, data string, age time.Duration) string {
		path := filepath.Join(root, "var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots", snapshot, "fs/usr/local/bin/kube-apiserver")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(data), 0o700))
		at := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(path, at, at))
		return path
	}
	old, young := put("7", "gitVersion=v1.36.2", time.Hour), put("9", "gitVersion=v1.37.1", 0)
	for version, want := range map[string]string{"v1.36.2": old, "v1.37.1": young, "": young, "v1.30.0": young} {
		p, err := programs.Find(t.Context(), programs.Wanted{Name: "kube-apiserver", Version: version, Root: root, Dir: t.TempDir()})
		require.NoError(t, err)
		require.Equal(t, want, p.Path, version)
	}
	_, err := programs.Find(t.Context(), programs.Wanted{Name: "etcd", Root: root, Dir: t.TempDir()})
	require.ErrorIs(t, err, programs.ErrNotFound)
}

// What runs is copied: its file may stand in a container.
func TestRunning(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("no sleep(1) on this host")
	}
	data, err := os.ReadFile(sleep)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "lifeboat-test-etcd")
	require.NoError(t, os.WriteFile(path, data, 0o700))
	cmd := exec.Command(path, "60")
	cmd.Args[0] = "sleep" // some take their name for what to do
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	require.NoError(t, os.Remove(path)) // an upgrade
	dir := t.TempDir()
	p, err := programs.Find(t.Context(), programs.Wanted{Name: "lifeboat-test-etcd", Dir: dir})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "lifeboat-test-etcd"), p.Path)
	copied, err := os.ReadFile(p.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, copied))
}

// A program that cannot be run is told with the reason.
func TestUnfit(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, programs.Unfit(self))
	image, err := os.ReadFile(self)
	require.NoError(t, err)
	other := bytes.Clone(image)
	other[18], other[19] = 0xb7, 0 // e_machine: arm64
	if runtime.GOARCH == "arm64" {
		other[18] = 0x3e // amd64
	}
	dir := t.TempDir()
	require.ErrorContains(t, programs.Unfit(dir), "it is no file")
	require.ErrorContains(t, programs.Unfit(filepath.Join(dir, "absent")), "no such file")
	for words, data := range map[string][]byte{
		"it is empty": {}, "it is a script": []byte("#!/bin/sh\n"), "it is no program of Linux": []byte("hello"), "it is a program for": other,
	} {
		path := filepath.Join(t.TempDir(), "kube-apiserver")
		require.NoError(t, os.WriteFile(path, data, 0o755))
		require.ErrorContains(t, programs.Unfit(path), words)
	}
}
