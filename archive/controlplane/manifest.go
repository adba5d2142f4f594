package controlplane

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// The components whose flags a View reads.
const (
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Etcd              = "etcd"
)

// FolderManifests is where kubelet finds its static Pods, inside of a backup.
const FolderManifests = "kubernetes/manifests"

// pod is what a View needs of a static Pod, and no more: k8s.io/api would
// refuse the whole manifest for one malformed quantity.
type pod struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Containers []container `json:"containers"`
		Volumes    []volume    `json:"volumes"`
	} `json:"spec"`
}

type container struct {
	Name         string   `json:"name"`
	Image        string   `json:"image"`
	Command      []string `json:"command"`
	Args         []string `json:"args"`
	Env          []envVar `json:"env"`
	VolumeMounts []mount  `json:"volumeMounts"`
}

type envVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type mount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
	SubPath   string `json:"subPath"`
}

type volume struct {
	Name     string `json:"name"`
	HostPath *struct {
		Path string `json:"path"`
		Type string `json:"type"`
	} `json:"hostPath"`
}

// manifest is a static Pod and where it stands.
type manifest struct {
	path string
	pod  pod
}

// readManifests decodes what kubelet would run: every file of the folder
// whose name does not begin with a dot (kubernetes pkg/kubelet/config/file.go).
func (v *View) readManifests() {
	for _, name := range v.Files() {
		if path.Dir(name) != FolderManifests || strings.HasPrefix(path.Base(name), ".") {
			continue
		}
		m := manifest{path: name}
		// The decoder's own words may quote the file; an env value may be secret.
		if err := yaml.Unmarshal(v.files[name].data, &m.pod); err != nil {
			v.problem(name, "is no Pod manifest in YAML or JSON")
			continue
		}
		if m.pod.Kind != "Pod" {
			v.problem(name, "is in the folder of static Pods and holds none")
			continue
		}
		v.pods = append(v.pods, m)
	}
	// kubeadm's names first: a backup copy left beside a manifest must not win.
	own := func(m manifest) int {
		if strings.TrimSuffix(path.Base(m.path), path.Ext(m.path)) == m.pod.Metadata.Name {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(v.pods, func(a, b manifest) int { return own(a) - own(b) })
	v.noteRivals()
}

// noteRivals says when two manifests run the same component.
func (v *View) noteRivals() {
	for _, component := range []string{APIServer, ControllerManager, Scheduler, Etcd} {
		first := ""
		for _, m := range v.pods {
			switch {
			case m.container(component) == nil:
			case first == "":
				first = m.path
			default:
				v.problem(m.path, "runs "+component+" as "+path.Base(first)+" does, which was used")
			}
		}
	}
}

func (v *View) problem(name, detail string) {
	v.problems = append(v.problems, Problem{Path: name, Detail: detail})
}

// container finds the component by container name or by program; Deckhouse
// puts side cars into the same Pod.
func (m *manifest) container(component string) *container {
	for i, c := range m.pod.Spec.Containers {
		if c.Name == component {
			return &m.pod.Spec.Containers[i]
		}
	}
	for i, c := range m.pod.Spec.Containers {
		if len(c.Command) > 0 && path.Base(c.Command[0]) == component {
			return &m.pod.Spec.Containers[i]
		}
	}
	return nil
}

// Manifests are the names, inside of the backup, of all manifests that run a
// component: kubelet runs every file of the folder, a copy that was left there,
// too.
func (v *View) Manifests(component string) []string {
	var names []string
	for i := range v.pods {
		if v.pods[i].container(component) != nil {
			names = append(names, v.pods[i].path)
		}
	}
	return names
}

// component finds the manifest that runs a component.
func (v *View) component(name string) (*manifest, *container) {
	for i := range v.pods {
		if c := v.pods[i].container(name); c != nil {
			return &v.pods[i], c
		}
	}
	return nil, nil
}

// Flags are a component's command line flags by name, without dashes. Of a
// flag that was given more than once the last value counts, as for the
// component itself.
type Flags map[string]string

// Flags gives a component's flags; false when no manifest runs it. Variables have
// the values that the manifest gives them, as kubelet does it. For etcd they include what its ETCD_… variables set, which flags override
// (etcd server/etcdmain/config.go).
func (v *View) Flags(component string) (Flags, bool) {
	_, c := v.component(component)
	if c == nil {
		return nil, false
	}
	flags := Flags{}
	if component == Etcd {
		for _, e := range c.Env {
			if name, ok := strings.CutPrefix(e.Name, "ETCD_"); ok && e.Value != "" {
				flags[flagName(name)] = e.Value
			}
		}
	}
	words, _ := c.words()
	flags.parse(words)
	return flags, true
}

// parse takes the last of each name.
func (f Flags) parse(words []string) {
	for _, flag := range flagsIn(words) {
		f[flag.Name] = flag.Value
	}
}

// Flag is one flag of a command line.
type Flag struct{ Name, Value string }

// flagsIn understands --a=b, --a b and -a=b. The components take no arguments
// besides flags, so a word after a flag without = is its value.
func flagsIn(words []string) (all []Flag) {
	for i := 0; i < len(words); i++ {
		name, ok := strings.CutPrefix(words[i], "-")
		if !ok {
			continue
		}
		name = strings.TrimPrefix(name, "-")
		name, value, hasValue := strings.Cut(name, "=")
		switch {
		case hasValue:
		case i+1 < len(words) && !strings.HasPrefix(words[i+1], "-"):
			i++
			value = words[i]
		default:
			value = "true"
		}
		all = append(all, Flag{flagName(name), value})
	}
	return all
}

// flagName is the form with dashes; Kubernetes and ETCD_ variables know the
// one with underscores too (k8s.io/component-base/cli/flag WordSepNormalizeFunc).
func flagName(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

// EtcdPrefix is the prefix of all of kube-apiserver's keys, with one leading
// slash and none at the end: "/registry" unless --etcd-prefix says otherwise.
func (v *View) EtcdPrefix() string {
	flags, _ := v.Flags(APIServer)
	if prefix := flags["etcd-prefix"]; prefix != "" {
		return path.Join("/", prefix) // as k8s.io/apiserver/pkg/storage/etcd3 does
	}
	return "/registry"
}

// EtcdMember is what etcd's manifest says about the member that ran here.
type EtcdMember struct {
	Name           string   `json:"name"`
	PeerURLs       []string `json:"peerURLs"`       // --initial-advertise-peer-urls
	ClientURLs     []string `json:"clientURLs"`     // --advertise-client-urls
	InitialCluster string   `json:"initialCluster"` // as the flag has it: name=url,name=url
	DataDir        string   `json:"dataDir"`
}

// EtcdMember reads etcd's manifest; false when there is none.
func (v *View) EtcdMember() (EtcdMember, bool) {
	flags, ok := v.Flags(Etcd)
	if !ok {
		return EtcdMember{}, false
	}
	return EtcdMember{
		Name:           flags["name"],
		PeerURLs:       list(flags["initial-advertise-peer-urls"]),
		ClientURLs:     list(flags["advertise-client-urls"]),
		InitialCluster: flags["initial-cluster"],
		DataDir:        flags["data-dir"],
	}, true
}

func list(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}
