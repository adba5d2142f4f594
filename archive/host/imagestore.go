package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// ErrImageList says that a file does not list images.
var ErrImageList = errors.New("not a list of images")

// Presence says whether an image is on a host.
type Presence string

// The answers of an ImageStore.
const (
	There      Presence = "yes"
	NotThere   Presence = "no"
	Incomplete Presence = "incomplete" // it has a name, and not all that the name stands for
	NotChecked Presence = "not checked"
)

// ImageStore knows which images are on a host.
type ImageStore struct {
	From  string // where it was read
	Names int    // images that it has a name for

	faults map[string]string // by full name: what is missing of it, "" for nothing
}

// Has says whether an image is there, and why it is not. A nil store has
// checked nothing.
func (s *ImageStore) Has(image string) (is Presence, why string) {
	if s == nil {
		return NotChecked, ""
	}
	why, found := s.faults[fullName(image)]
	switch {
	case !found:
		return NotThere, ""
	case why != "":
		return Incomplete, why
	}
	return There, ""
}

// fullName is the name under which containerd keeps an image: with its registry,
// and with the tag "latest" where there is neither tag nor digest.
func fullName(image string) string {
	if named, err := reference.ParseDockerRef(image); err == nil {
		return named.String()
	}
	return image
}

func (s *ImageStore) add(name, fault string) {
	s.faults[fullName(name)] = fault
	s.Names++
}

// ParseImageList reads what lists the images of a host: `crictl images -o json`,
// `ctr -n k8s.io images ls`, with -q or without, `crictl images`, or names line
// by line.
func ParseImageList(from string, data []byte) (*ImageStore, error) {
	s := &ImageStore{From: from, faults: map[string]string{}}
	if text := bytes.TrimSpace(data); bytes.HasPrefix(text, []byte("{")) {
		var list struct {
			Images []struct {
				Tags    []string `json:"repoTags"`
				Digests []string `json:"repoDigests"`
			} `json:"images"`
		}
		if json.Unmarshal(text, &list) != nil || list.Images == nil {
			return nil, fmt.Errorf("%w: it is not what crictl images -o json prints", ErrImageList)
		}
		for _, image := range list.Images {
			for _, name := range slices.Concat(image.Tags, image.Digests) {
				s.add(name, "")
			}
		}
		return s, nil
	}
	tags := false
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "IMAGE" && len(words) > 1 && words[1] == "TAG":
			tags = true // crictl's columns: IMAGE, TAG, IMAGE ID, SIZE
		case words[0] == "REF" || strings.HasPrefix(words[0], "#"):
		case tags && len(words) > 1:
			s.add(words[0]+":"+words[1], "")
		default:
			if _, err := reference.ParseDockerRef(words[0]); err != nil && !strings.HasPrefix(words[0], "sha256:") {
				return nil, fmt.Errorf("%w: %q is not the name of an image", ErrImageList, words[0])
			}
			s.add(words[0], "")
		}
	}
	return s, nil
}
