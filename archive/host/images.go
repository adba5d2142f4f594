package host

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
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

// PullFolder is what pulls images, by file name, to be written to the folder to:
// pull.sh, and a file with the credentials of each registry that has some; and the
// same credentials as containerd's configuration has them, so that kubelet pulls by
// itself.
func PullFolder(to string, images []string, creds Credentials) map[string]string {
	files, names := map[string]string{}, map[string]string{}
	for _, image := range images {
		registry := Registry(image)
		if creds[registry] != "" {
			name := strings.ReplaceAll(registry, ":", "_") + ".auth"
			names[registry], files[name] = path.Join(to, name), creds[registry]+"\n"
		}
	}
	files["pull.sh"] = pullScript(images, names)
	if len(names) > 0 {
		files["containerd-1.toml"] = containerdConfig(2, "io.containerd.grpc.v1.cri", names, creds)
		files["containerd-2.toml"] = containerdConfig(3, "io.containerd.cri.v1.images", names, creds)
	}
	return files
}

// pullScript pulls images as the documents do, but hands crictl its credentials
// by the environment, from files that only root reads: crictl knows no file of
// credentials, and everybody sees a flag's value. files says where the
// credentials of a registry stand.
func pullScript(images []string, files map[string]string) string {
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

// containerdConfig is the part of containerd's configuration with the credentials
// (containerd docs/cri/registry.md), in the format of a version.
func containerdConfig(version int, plugin string, registries map[string]string, creds Credentials) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# to go into /etc/containerd/config.toml, and out again when kubelet has pulled\nversion = %d\n", version)
	for _, registry := range slices.Sorted(maps.Keys(registries)) {
		fmt.Fprintf(&b, "\n[plugins.%q.registry.configs.%q.auth]\nauth = %q\n", plugin, registry, creds[registry])
	}
	return b.String()
}
