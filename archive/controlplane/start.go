package controlplane

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Start is how kubelet starts a component: its static Pod, as far as a process
// without a container needs it.
type Start struct {
	Manifest string   // inside the backup
	Image    string   // of the container
	Command  []string // command and args, with the variables that the manifest gives
	Flags    []Flag   // of the command, in its order: some may be given more than once
	Env      []string // NAME=value, of what stands in the manifest
	Mounts   []Mount  // those of the host's files

	// Unset are variables that the command names and the manifest has no value
	// for: what kubelet fills in from the Pod's status, or from a Secret.
	Unset []string
}

// Mount is a file or folder of the host in the container.
type Mount struct {
	Inside string // in the container
	Host   string
	File   bool // the volume is a file or a socket: it is not made when it is missing
}

// variable is kubelet's $(NAME); $$(NAME) is the text itself
// (k8s.io/kubernetes/third_party/forked/golang/expansion).
var variable = regexp.MustCompile(`\$?\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)`)

// Start is how a component is started; false when no manifest runs it.
func (v *View) Start(component string) (Start, bool) {
	m, c := v.component(component)
	if c == nil {
		return Start{}, false
	}
	s := Start{Manifest: m.path, Image: c.Image}
	for _, e := range c.Env {
		if e.Value != "" {
			s.Env = append(s.Env, e.Name+"="+e.Value)
		}
	}
	s.Command, s.Unset = c.words()
	s.Flags = flagsIn(s.Command)
	for _, mount := range c.VolumeMounts {
		for _, vol := range m.pod.Spec.Volumes {
			if vol.Name == mount.Name && vol.HostPath != nil {
				s.Mounts = append(s.Mounts, Mount{
					Inside: path.Clean(mount.MountPath), Host: path.Join(vol.HostPath.Path, mount.SubPath),
					File: vol.HostPath.Type == "File" || vol.HostPath.Type == "Socket",
				})
			}
		}
	}
	return s, true
}

// words are command and args as kubelet hands them on: with the values of the
// variables that the manifest has; unset are those that it names and does not
// have a value for.
func (c *container) words() (words, unset []string) {
	values := map[string]string{}
	for _, e := range c.Env {
		if e.Value != "" {
			values[e.Name] = e.Value
		}
	}
	for _, word := range slices.Concat(c.Command, c.Args) {
		words = append(words, variable.ReplaceAllStringFunc(word, func(found string) string {
			name := variable.FindStringSubmatch(found)[1]
			value, ok := values[name]
			switch {
			case strings.HasPrefix(found, "$$"):
				return found[1:]
			case !ok:
				unset = append(unset, name)
				return found
			}
			return value
		}))
	}
	return words, unset
}

// IsVariable reports whether a flag's value has a variable in it that kubelet
// fills in and the manifest does not tell.
func IsVariable(value string) bool { return variable.MatchString(value) }
