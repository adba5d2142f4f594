package lifeboat

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// strays are files of an archive outside of kubernetes/: the control plane's
// folder has that name where a documented command packed it, and stands as
// etc/kubernetes, under a dated folder or in the archive's root where tar was
// called in another way.
type strays struct {
	files map[string][]byte
	total int
}

// keep takes a file down, within the bounds that a View has.
func (s *strays) keep(name string, r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, controlplane.MaxFile+1))
	if err != nil || len(data) > controlplane.MaxFile || len(s.files) >= controlplane.MaxFiles || s.total+len(data) > controlplane.MaxTotal {
		return err
	}
	if s.files == nil {
		s.files = map[string][]byte{}
	}
	s.files[name] = data
	s.total += len(data)
	return nil
}

// treeMarks are the files by which a copy of /etc/kubernetes is known.
var treeMarks = []string{"manifests/kube-apiserver.yaml", "manifests/etcd.yaml", "pki/ca.crt"}

// trees are the folders that look like /etc/kubernetes, "." for the root.
func trees(names []string) []string {
	found := map[string]bool{}
	for _, name := range names {
		for _, mark := range treeMarks {
			if name == mark {
				found["."] = true
			} else if root, ok := strings.CutSuffix(name, "/"+mark); ok {
				found[root] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// controlPlane ends the reading of the control plane's files: those of
// kubernetes/, else of the one folder that looks like it.
func (o *opener) controlPlane(control *controlplane.Builder, strays *strays) error {
	roots := trees(append(slices.Collect(maps.Keys(strays.files)), o.files...))
	root, tell := archive.FilesFolder, o.opts.Observer
	switch {
	case slices.Contains(roots, root):
		if len(roots) > 1 {
			tell.note("the control plane's files are those of kubernetes/; of these folders all look like it: %s", quoted(roots))
		}
	case len(roots) > 1:
		tell.warn("several folders look like a copy of /etc/kubernetes, and none is taken: %s; pack the right one as kubernetes/", quoted(roots))
	case len(roots) == 1:
		root = roots[0]
		tell.note("the control plane's files stand in %q", root)
		if err := o.reroot(&control, root, strays); err != nil {
			return err
		}
	}
	for _, link := range o.src.links {
		if root != archive.FilesFolder {
			link = moved(link, root)
		}
		control.AddLink(link)
	}
	if view := control.View(); len(view.Files()) > 0 {
		o.src.control = view
	}
	return nil
}

// reroot gives the files of a folder the names that they would have in
// kubernetes/.
func (o *opener) reroot(control **controlplane.Builder, root string, strays *strays) error {
	add := func(name string, data []byte) error {
		inside, ok := insideOf(root, name)
		if !ok {
			return nil
		}
		return (*control).Add(path.Join(archive.FilesFolder, inside), bytes.NewReader(data))
	}
	view := (*control).View()
	*control = controlplane.New()
	for _, name := range view.Files() {
		data, err := view.ReadFile(name)
		if err == nil {
			err = add(name, data)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(strays.files)) {
		if err := add(name, strays.files[name]); err != nil {
			return err
		}
	}
	return nil
}

// moved is a link of a folder that stands for kubernetes/.
func moved(link archive.Link, root string) archive.Link {
	if inside, ok := insideOf(root, link.Name); ok {
		link.Name = path.Join(archive.FilesFolder, inside)
	}
	if link.Hard { // is named from the archive's root
		if inside, ok := insideOf(root, link.Target); ok {
			link.Target = path.Join(archive.FilesFolder, inside)
		}
	}
	return link
}

func insideOf(root, name string) (inside string, ok bool) {
	if root == "." {
		return name, true
	}
	return strings.CutPrefix(name, root+"/")
}

func quoted(names []string) string {
	var list []string
	for _, name := range names {
		list = append(list, fmt.Sprintf("%q", name))
	}
	return strings.Join(list, ", ")
}
