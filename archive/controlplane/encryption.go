package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// ErrNoEncryptionConfig is wrapped by EncryptionConfig's error when
// kube-apiserver names a configuration that the backup does not hold.
var ErrNoEncryptionConfig = errors.New("the EncryptionConfiguration is not in the backup")

const encryptionFlag = "encryption-provider-config"

// EncryptionConfig is kube-apiserver's EncryptionConfiguration as it stands in
// the backup. Content holds keys.
type EncryptionConfig struct {
	Path     string   // inside the backup
	HostPath string   // on the control-plane host, "" when not told by the flag
	How      string   // how it was found, for people
	Others   []string // further files that hold one, unused
	Content  []byte
}

// EncryptionConfig finds the configuration of encryption at rest: the file
// that kube-apiserver's flag names, seen through its volume mounts, else the
// files that hold one. nil without an error means that there is no sign of
// any.
func (v *View) EncryptionConfig() (*EncryptionConfig, error) {
	candidates := v.encryptionFiles()
	how := "found by its kind, there is no kube-apiserver manifest"
	m, c := v.component(APIServer)
	if c != nil {
		how = "found by its kind, " + path.Base(m.path) + " has no --" + encryptionFlag
		flags, _ := v.Flags(APIServer)
		if inside := flags[encryptionFlag]; inside != "" {
			if config := v.byFlag(m, c, inside); config != nil {
				config.Others = without(candidates, config.Path)
				return config, nil
			}
			if len(candidates) == 0 {
				return nil, fmt.Errorf("finding %q, which %s names: %w", inside, path.Base(m.path), ErrNoEncryptionConfig)
			}
			how = fmt.Sprintf("found by its kind, the file that %s names (%q) is not in the backup", path.Base(m.path), inside)
		}
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	return &EncryptionConfig{
		Path: candidates[0], How: how, Others: candidates[1:],
		Content: bytes.Clone(v.files[candidates[0]].data),
	}, nil
}

// byFlag follows a path inside of kube-apiserver's container to the backup.
func (v *View) byFlag(m *manifest, c *container, inside string) *EncryptionConfig {
	host, how := hostPath(m, c, inside), "through its hostPath mount"
	if host == "" {
		// Not mounted, so either the manifest is not what ran, or a parent
		// folder is mounted at the same place.
		host, how = path.Clean(inside), "at the same path on the host, no mount covers it"
	}
	name, ok := backupPath(host)
	if !ok || v.files[name] == nil {
		return nil
	}
	return &EncryptionConfig{
		Path: name, HostPath: host, Content: bytes.Clone(v.files[name].data),
		How: fmt.Sprintf("named by --%s in %s, %s", encryptionFlag, path.Base(m.path), how),
	}
}

// hostPath maps a path in a container to the host through the deepest mount
// of a hostPath volume, "" when none covers it.
func hostPath(m *manifest, c *container, inside string) string {
	inside = path.Clean(inside)
	best, host := "", ""
	for _, mount := range c.VolumeMounts {
		at := path.Clean(mount.MountPath)
		rest, ok := below(at, inside)
		if !ok || len(at) < len(best) {
			continue
		}
		for _, vol := range m.pod.Spec.Volumes {
			if vol.Name == mount.Name && vol.HostPath != nil {
				best, host = at, path.Join(vol.HostPath.Path, mount.SubPath, rest)
			}
		}
	}
	return host
}

// backupPath maps a path on the host to the backup, which holds
// /etc/kubernetes as kubernetes/.
func backupPath(host string) (string, bool) {
	rest, ok := below("/etc/kubernetes", host)
	return path.Join("kubernetes", rest), ok && rest != ""
}

// below gives the rest of a path under a folder. Both are clean.
func below(dir, name string) (string, bool) {
	if dir == name {
		return "", true
	}
	return strings.CutPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// wellKnown are the places that documentation and installers use, Deckhouse's
// first, then kubernetes.io's and kubespray's.
var wellKnown = []string{
	"kubernetes/deckhouse/extra-files/secret-encryption-config.yaml",
	"kubernetes/enc/enc.yaml",
	"kubernetes/ssl/secrets_encryption.yaml",
}

// encryptionFiles lists the files that hold an EncryptionConfiguration,
// well-known places first.
func (v *View) encryptionFiles() []string {
	var found []string
	for _, name := range v.Files() {
		data := v.files[name].data
		if v.files[name].link || !bytes.Contains(data, []byte("EncryptionConfig")) || path.Dir(name) == FolderManifests {
			continue
		}
		var config struct {
			Kind string `json:"kind"`
		}
		if yaml.Unmarshal(data, &config) == nil &&
			(config.Kind == "EncryptionConfiguration" || config.Kind == "EncryptionConfig") {
			found = append(found, name)
		}
	}
	rank := func(name string) int {
		if i := slices.Index(wellKnown, name); i >= 0 {
			return i
		}
		return len(wellKnown)
	}
	slices.SortStableFunc(found, func(a, b string) int { return rank(a) - rank(b) })
	return found
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
}
