package controlplane

import (
	"fmt"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Unmount takes out the volumes, with their mounts, through which the container
// sees the given paths and no other path that stands in one of its flags, and
// that no other container mounts. It gives the names of the volumes. Those
// without which a list would be empty stay.
func (e *Editor) Unmount(paths []string) ([]string, error) {
	var gone []string
	for {
		name := e.unused(paths, gone)
		if name == "" {
			return gone, nil
		}
		gone = append(gone, name)
		for _, where := range []func() *yaml.Node{e.mounts, e.volumes} { // every edit parses anew
			list := where()
			if list == nil || len(list.Content) < 2 {
				return gone[:len(gone)-1], nil
			}
			i := slices.IndexFunc(list.Content, func(n *yaml.Node) bool { return value(n, "name") == name })
			if i < 0 {
				continue
			}
			if err := e.change(fmt.Sprintf("removing volume %q", name), list, i, 1, nil); err != nil {
				return nil, err
			}
		}
	}
}

func (e *Editor) mounts() *yaml.Node  { return child(e.container, "volumeMounts") }
func (e *Editor) volumes() *yaml.Node { return child(child(e.doc.Content[0], "spec"), "volumes") }

// unused is a volume that is mounted for the given paths alone, "" for none.
func (e *Editor) unused(paths, but []string) string {
	mounts := e.mounts()
	if mounts == nil {
		return ""
	}
	for _, m := range mounts.Content {
		name, at := value(m, "name"), path.Clean(value(m, "mountPath"))
		if slices.Contains(but, name) || !covers(at, paths) || e.usedElsewhere(name, at) {
			continue
		}
		return name
	}
	return ""
}

func covers(at string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		_, below := below(at, path.Clean(p))
		return below
	})
}

// usedElsewhere reports whether a volume is mounted once more, or a flag that is
// left names a path in it.
func (e *Editor) usedElsewhere(name, at string) bool {
	n := 0
	for _, kind := range []string{"initContainers", "containers"} {
		list := child(child(e.doc.Content[0], "spec"), kind)
		if list == nil {
			continue
		}
		for _, c := range list.Content {
			if mounts := child(c, "volumeMounts"); mounts != nil {
				for _, m := range mounts.Content {
					if value(m, "name") == name {
						n++
					}
				}
			}
		}
	}
	return n != 1 || slices.ContainsFunc(e.flags(), func(g given) bool { return covers(at, []string{g.value}) })
}
