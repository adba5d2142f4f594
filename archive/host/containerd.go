package host

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// ContainerdDir is where containerd keeps its state unless its configuration
// says otherwise.
const ContainerdDir = "/var/lib/containerd"

const (
	// Below containerd's folder (containerd plugins/types.go and
	// plugins/metadata, plugins/content/local).
	containerdMeta  = "io.containerd.metadata.v1.bolt/meta.db"
	containerdBlobs = "io.containerd.content.v1.content/blobs"

	// kubeletNamespace is the one in which containerd works for kubelet.
	kubeletNamespace = "k8s.io"

	// maxManifest bounds an image's manifest or index (containerd core/images).
	maxManifest = 8 << 20
)

// ErrNoImageStore says that a host has no containerd store.
var ErrNoImageStore = errors.New("no containerd store")

// target is what an image's name stands for: a blob of the content store.
type target struct {
	digest string
	size   int64
}

// ContainerdImages reads which images a host's containerd has for kubelet: the
// names in its metadata (core/metadata/buckets.go: v1/NAMESPACE/images/NAME/target)
// whose manifest and configuration lie in its content store, whole. Nothing is
// changed, and containerd may be running: its metadata is read as a copy.
func (r *Root) ContainerdImages(ctx context.Context, dir string) (*ImageStore, error) {
	fail := func(err error) (*ImageStore, error) {
		return nil, fmt.Errorf("reading the images of containerd in %q: %w", dir, err)
	}
	real, err := r.Resolve(dir, true)
	if err != nil {
		return fail(err)
	}
	meta, err := r.Resolve(path.Join(real, containerdMeta), true)
	if err != nil {
		return fail(err)
	}
	f, err := r.root.Open(rel(meta))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%w in %q", ErrNoImageStore, dir)
	}
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	targets := map[string]target{}
	if err := snapshot.ReadNested(ctx, f, func(buckets []string, key, value []byte) error {
		if len(buckets) == 5 && buckets[0] == "v1" && buckets[1] == kubeletNamespace && buckets[2] == "images" && buckets[4] == "target" {
			t := targets[buckets[3]]
			switch string(key) {
			case "digest":
				t.digest = string(value)
			case "size":
				t.size, _ = binary.Varint(value)
			}
			targets[buckets[3]] = t
		}
		return nil
	}); err != nil {
		return fail(err)
	}
	s := &ImageStore{From: "containerd's store in " + dir, faults: map[string]string{}}
	for name, t := range targets {
		fault := ""
		if err := r.wholeImage(path.Join(real, containerdBlobs), t); err != nil {
			fault = err.Error()
		}
		s.add(name, fault)
	}
	return s, nil
}

// imageManifest is an image's manifest, or an index of the manifests for several
// platforms.
type imageManifest struct {
	Config    blob   `json:"config"`
	Manifests []blob `json:"manifests"`
}

type blob struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// wholeImage looks for what a container is started from besides its unpacked
// layers: the manifest, and the configuration that it names. Of an index the
// manifest of one platform has to be there; containerd pulls no other.
func (r *Root) wholeImage(blobs string, t target) error {
	m, err := r.imageManifest(blobs, blob{t.digest, t.size})
	if err != nil {
		return err
	}
	if len(m.Manifests) == 0 {
		_, err := r.readBlob(blobs, m.Config)
		return err
	}
	missing := fmt.Errorf("none of the %d manifests of its index is there", len(m.Manifests))
	for _, one := range m.Manifests {
		platform, err := r.imageManifest(blobs, one)
		if err != nil {
			continue
		}
		if _, missing = r.readBlob(blobs, platform.Config); missing == nil {
			return nil
		}
	}
	return missing
}

func (r *Root) imageManifest(blobs string, b blob) (m imageManifest, err error) {
	data, err := r.readBlob(blobs, b)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("blob %q is no manifest", b.Digest)
	}
	return m, nil
}

// readBlob reads a blob and holds it against its digest and size.
func (r *Root) readBlob(blobs string, b blob) ([]byte, error) {
	algorithm, hex, _ := strings.Cut(b.Digest, ":")
	if algorithm != "sha256" || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" || b.Size > maxManifest {
		return nil, fmt.Errorf("%q is not the digest of a manifest", b.Digest)
	}
	data, err := r.readFile(path.Join(blobs, algorithm, hex), maxManifest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("blob %s is not in the content store", b.Digest)
	case err != nil:
		return nil, err
	case int64(len(data)) != b.Size:
		return nil, fmt.Errorf("blob %s has %d bytes of %d", b.Digest, len(data), b.Size)
	case digestOf(data) != hex:
		return nil, fmt.Errorf("blob %s is damaged: its content has another digest", b.Digest)
	}
	return data, nil
}

// ImageNeed is one image that the host's static Pods need.
type ImageNeed struct {
	Image       string   `json:"image"`
	Registry    string   `json:"registry"`
	There       Presence `json:"there"`
	Why         string   `json:"why,omitempty"` // it is incomplete
	Credentials bool     `json:"credentials"`   // are known for its registry
}

// ImagesNeeded says of each image of the static Pods whether it is there.
func (s *State) ImagesNeeded(store *ImageStore, creds Credentials) []ImageNeed {
	needs := []ImageNeed{}
	for _, image := range s.Images() {
		n := ImageNeed{Image: image, Registry: Registry(image)}
		n.There, n.Why = store.Has(image)
		n.Credentials = creds[n.Registry] != ""
		needs = append(needs, n)
	}
	return needs
}

// ToPull are the images that are not known to be there.
func ToPull(needs []ImageNeed) []string {
	var images []string
	for _, n := range needs {
		if n.There != There {
			images = append(images, n.Image)
		}
	}
	slices.Sort(images)
	return images
}
