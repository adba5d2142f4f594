package controlplane

import (
	"regexp"
	"strings"
)

// Image is one container's image.
type Image struct {
	Path      string `json:"path"` // of the manifest, inside the backup
	Container string `json:"container"`
	Image     string `json:"image"`
}

// Images lists the images of all static Pods.
func (v *View) Images() []Image {
	var images []Image
	for _, m := range v.pods {
		for _, c := range m.pod.Spec.Containers {
			images = append(images, Image{Path: m.path, Container: c.Name, Image: c.Image})
		}
	}
	return images
}

var kubernetesTag = regexp.MustCompile(`^v1\.[0-9]+\.[0-9]+[-+._0-9A-Za-z]*$`)

// KubernetesVersion is the version that the manifests' images are tagged with
// ("v1.37.1"), and the manifest that says so. It is "" when no image has such
// a tag: Deckhouse names images by digest.
func (v *View) KubernetesVersion() (version, path string) {
	for _, component := range []string{APIServer, ControllerManager, Scheduler} {
		m, c := v.component(component)
		if c == nil {
			continue
		}
		if tag := imageTag(c.Image); kubernetesTag.MatchString(tag) {
			return tag, m.path
		}
	}
	return "", ""
}

// imageTag is the tag of an image reference: host:port/name:tag@digest.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	colon := strings.LastIndexByte(image, ':')
	if colon <= strings.LastIndexByte(image, '/') {
		return ""
	}
	return image[colon+1:]
}
