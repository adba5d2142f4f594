// Package programs finds a control plane's own binaries on a host that may have
// nothing running: the process, if there is one, the layers that the container
// runtime has unpacked, the tar of an image, PATH.
//
//	p, err := programs.Find(ctx, programs.Wanted{Name: "kube-apiserver", Version: "v1.37.1", Dir: dir})
//
// Nothing is downloaded, no runtime is asked, and nothing is run.
package programs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Wanted says what to find.
type Wanted struct {
	Name    string // "kube-apiserver"
	Version string // the tag of the manifest's image: it is preferred, and "" prefers none
	Image   string // the tar of an image to take it from, "" for none
	Dir     string // an own folder, for what has to be copied out

	Root string // of the host; "" is /
}

// Program is a binary that was found.
type Program struct {
	Path  string
	Found string // where, for people
}

// ErrNotFound is wrapped by the error of a search that found nothing.
var ErrNotFound = errors.New("not found on this host")

// layers are where runtimes keep what they have unpacked of images: containerd's
// own, those of k3s and rke2, CRI-O's and Podman's, Docker's; and rke2's and k3s'
// data.
var layers = []string{
	"/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/usr/local/bin/",
	"/var/lib/rancher/rke2/agent/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/usr/local/bin/",
	"/var/lib/rancher/k3s/agent/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/usr/local/bin/",
	"/var/lib/rancher/rke2/data/*/bin/",
	"/var/lib/rancher/k3s/data/*/bin/",
	"/var/lib/containers/storage/overlay/*/diff/usr/local/bin/",
	"/var/lib/docker/overlay2/*/diff/usr/local/bin/",
}

// Find looks in the image, if there is one, and nowhere else then; or in the
// running processes, in the layers of the host's runtimes, and in PATH.
func Find(ctx context.Context, w Wanted) (Program, error) {
	p, err := find(ctx, w)
	if err != nil {
		return p, fmt.Errorf("finding %s: %w", w.Name, err)
	}
	return p, nil
}

func find(ctx context.Context, w Wanted) (Program, error) {
	if w.Image != "" {
		return fromImage(ctx, w)
	}
	if p, err := running(w); err == nil {
		return p, nil
	}
	var found []string
	for _, pattern := range layers {
		paths, err := filepath.Glob(filepath.Join(cmp.Or(w.Root, "/"), pattern, w.Name))
		if err != nil {
			return Program{}, err
		}
		for _, path := range paths {
			if executable(path) {
				found = append(found, path)
			}
		}
	}
	if len(found) > 0 {
		path := preferred(found, w.Version)
		return Program{path, "unpacked by the container runtime: " + path}, nil
	}
	if path, err := exec.LookPath(w.Name); err == nil && w.Root == "" {
		if path, err = filepath.Abs(path); err == nil {
			return Program{path, "in PATH: " + path}, nil
		}
	}
	return Program{}, ErrNotFound
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && info.Size() > 0
}

// preferred is the one that has the version in its bytes, else the newest.
func preferred(paths []string, version string) string {
	times := map[string]int64{}
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			times[p] = info.ModTime().UnixNano()
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(times[b], times[a]) })
	for _, p := range paths {
		if version != "" && holds(p, version) {
			return p
		}
	}
	return paths[0]
}

// holds tells whether a file has a word in it. Kubernetes' programs have their
// version linked in.
func holds(path, word string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	buffer, kept := make([]byte, 1<<20), 0
	for {
		n, err := f.Read(buffer[kept:])
		if bytes.Contains(buffer[:kept+n], []byte(word)) {
			return true
		}
		if err != nil {
			return false
		}
		end := kept + n
		kept = copy(buffer, buffer[max(0, end-len(word)):end])
	}
}

// running copies the binary of a process of that name: its file stands in the
// mount namespace of its container.
func running(w Wanted) (Program, error) {
	links, err := filepath.Glob(filepath.Join(cmp.Or(w.Root, "/"), "/proc/[0-9]*/exe"))
	if err != nil {
		return Program{}, err
	}
	for _, link := range links {
		name, err := os.Readlink(link)
		if err != nil || filepath.Base(strings.TrimSuffix(name, " (deleted)")) != w.Name {
			continue
		}
		from, err := os.Open(link)
		if err != nil {
			continue
		}
		path := filepath.Join(w.Dir, w.Name)
		err = save(path, from)
		_ = from.Close() // it was only read
		if err != nil {
			return Program{}, err
		}
		return Program{path, "the binary of process " + filepath.Base(filepath.Dir(link))}, nil
	}
	return Program{}, ErrNotFound
}

// maxBinary bounds what is copied: kube-apiserver has 100 MB.
const maxBinary = 1 << 30

func save(path string, from io.Reader) error {
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		return err
	}
	n, err := io.Copy(to, io.LimitReader(from, maxBinary+1))
	if n > maxBinary {
		err = errors.New("it is larger than 1 GiB")
	}
	return errors.Join(err, to.Close())
}
