package host

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoCredentials says that a Secret holds none for the registries that the
// images come from.
var ErrNoCredentials = errors.New("no registry credentials")

// Images are the images of the host's static Pods, each once, sorted.
func (s *State) Images() []string {
	var images []string
	for _, i := range s.View.Images() {
		images = append(images, i.Image)
	}
	if !s.Etcd.In() && len(s.Etcd.Data) > 0 {
		if v, err := manifestView(s.Etcd.Data); err == nil {
			for _, i := range v.Images() {
				images = append(images, i.Image)
			}
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// Registry is the host that an image comes from, with its port.
func Registry(image string) string {
	first, _, slash := strings.Cut(image, "/")
	if !slash || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return "docker.io"
	}
	return first
}

// Credentials are what a dockerconfigjson says, by registry, as crictl wants
// them: base64 of user:password.
type Credentials map[string]string

// ParseCredentials reads a dockerconfigjson. Its errors quote nothing of it.
func ParseCredentials(config []byte) (Credentials, error) {
	var parsed struct {
		Auths map[string]struct {
			Auth     string `json:"auth"`
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auths"`
	}
	if json.Unmarshal(config, &parsed) != nil {
		return nil, fmt.Errorf("%w: it is not a dockerconfigjson", ErrNoCredentials)
	}
	found := Credentials{}
	for registry, a := range parsed.Auths {
		registry = strings.TrimPrefix(strings.TrimPrefix(registry, "https://"), "http://")
		registry, _, _ = strings.Cut(registry, "/")
		if a.Auth == "" && a.Username != "" {
			a.Auth = base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
		}
		if _, err := base64.StdEncoding.DecodeString(a.Auth); err == nil && a.Auth != "" {
			found[registry] = a.Auth
		}
	}
	if len(found) == 0 {
		return nil, ErrNoCredentials
	}
	return found, nil
}

// PullScript pulls images as the documents do, but hands crictl its credentials
// by the environment, from files that only root reads: crictl knows no file of
// credentials, and everybody sees a flag's value. files says where the
// credentials of a registry stand.
func PullScript(images []string, files map[string]string) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# pulls the images of the control plane; run it as root on the host\nset -eu\n")
	for _, image := range images {
		registry := Registry(image)
		if file := files[registry]; file != "" {
			fmt.Fprintf(&b, "CRICTL_AUTH=$(cat %s) crictl pull %s\n", quote(file), quote(image))
		} else {
			fmt.Fprintf(&b, "crictl pull %s   # no credentials for %s\n", quote(image), registry)
		}
	}
	b.WriteString("systemctl restart kubelet\n")
	return b.String()
}
