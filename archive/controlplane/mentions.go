package controlplane

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// Mention is a file that a static Pod needs to start: a flag names it.
type Mention struct {
	Manifest  string `json:"manifest"`  // inside the backup: kubernetes/manifests/etcd.yaml
	Component string `json:"component"` // kube-apiserver, etcd, …
	Flag      string `json:"flag"`      // without dashes
	Path      string `json:"path"`      // as the flag has it, a path in the container
	Host      string `json:"host"`      // the same on the host, through the Pod's mounts
	Mounted   bool   `json:"mounted"`   // a hostPath mount covers it
	Place     Place  `json:"place"`
}

// Place says where a mentioned file is.
type Place string

// The places of a mentioned file.
const (
	InBackup  Place = "in the backup"
	Missing   Place = "missing"   // its folder is what a backup holds, and it is not there
	Blank     Place = "empty"     // it is there, and nothing is in it
	Elsewhere Place = "elsewhere" // on the host outside of /etc/kubernetes, or in the image
)

// pathFlags are the endings of flags whose value is a file or a folder that the
// component reads. Flags are told by their names: --etcd-prefix and --data-dir
// begin with a slash, too, and the component makes its log files by itself
// (kube-apiserver, kube-controller-manager, kube-scheduler --help; etcd
// server/etcdmain/help.go).
var pathFlags = []string{
	"-file", "-cafile", "-certfile", "-keyfile", "-kubeconfig", "-config", "-client-certificate", "-client-key", "-certificate-authority", "-sni-cert-key",
}

// producedFlags end as those do and name what the component writes.
var producedFlags = []string{"log-file"}

// Mentions lists the files that the flags of all components name, by manifest,
// component and flag.
func (v *View) Mentions() []Mention {
	var found []Mention
	for _, component := range []string{APIServer, ControllerManager, Scheduler, Etcd} {
		m, c := v.component(component)
		if c == nil {
			continue
		}
		flags, _ := v.Flags(component)
		words, _ := c.words()
		all := flagsIn(words) // each of a flag that is given more than once
		for name, value := range flags {
			all = append(all, Flag{name, value}) // and what stands in variables
		}
		for _, f := range all {
			if !namesFile(f.Name) {
				continue
			}
			for _, inside := range filesOf(f.Name, f.Value) {
				found = append(found, v.mention(m, c, component, f.Name, inside))
			}
		}
	}
	slices.SortFunc(found, func(a, b Mention) int {
		return strings.Compare(a.Manifest+"\x00"+a.Component+"\x00"+a.Flag+"\x00"+a.Path, b.Manifest+"\x00"+b.Component+"\x00"+b.Flag+"\x00"+b.Path)
	})
	return slices.Compact(found)
}

func (v *View) mention(m *manifest, c *container, component, flag, inside string) Mention {
	found := Mention{Manifest: m.path, Component: component, Flag: flag, Path: inside, Place: Elsewhere}
	found.Host = hostPath(m, c, inside)
	found.Mounted = found.Host != ""
	if !found.Mounted {
		// No mount covers it. A manifest that was written for other paths is
		// rarer than a backup of a host on which another process ran it.
		found.Host = path.Clean(inside)
	}
	if name, ok := backupPath(found.Host); ok {
		file := v.files[name]
		switch {
		case file != nil && len(bytes.TrimSpace(file.data)) == 0:
			found.Place = Blank
		case file != nil || len(v.list(name)) > 0:
			found.Place = InBackup
		default:
			found.Place = Missing
		}
	}
	return found
}

// KeptApart reports whether the file is one that is taken out of backups for
// good reason, the key of the CA: it goes back in before its component starts.
func (m Mention) KeptApart() bool {
	return m.Component == ControllerManager && strings.HasPrefix(m.Flag, "cluster-signing-") && strings.HasSuffix(m.Flag, "key-file")
}

// namesFile reports whether a flag's value is a file that the component reads.
func namesFile(flag string) bool {
	if slices.Contains(producedFlags, flag) {
		return false
	}
	return slices.ContainsFunc(pathFlags, func(end string) bool { return strings.HasSuffix("-"+flag, end) })
}

// filesOf are the absolute paths in a flag's value: one, or several with commas
// between them; --tls-sni-cert-key has "cert,key:domain,domain".
func filesOf(flag, value string) []string {
	if flag == "tls-sni-cert-key" {
		value, _, _ = strings.Cut(value, ":")
	}
	var files []string
	for _, word := range strings.Split(value, ",") {
		if word = strings.TrimSpace(word); strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	return files
}
