package controlplane

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// maxVisits bounds what following a hostile set of links may cost, maxName how
// long a name may become by it.
const (
	maxVisits = 4096
	maxName   = 1024
)

// AddLink takes in a link of the archive: View follows those that end inside of
// the backup. kubespray keeps the PKI in /etc/kubernetes/ssl, and
// /etc/kubernetes/pki is a link to it.
func (b *Builder) AddLink(link archive.Link) { b.links[link.Name] = link }

// follower gives files the names that links give them.
type follower struct {
	view   *View
	links  map[string]archive.Link
	names  []string // of the links, sorted
	real   []string // names of the files themselves, sorted
	visits int
}

func (v *View) follow(links map[string]archive.Link) {
	f := &follower{view: v, links: links, names: slices.Sorted(maps.Keys(links)), real: v.Files()}
	for _, name := range f.names {
		if strings.HasPrefix(name, archive.FilesFolder+"/") {
			f.put(name, name, nil)
		}
	}
	if f.visits > maxVisits {
		v.problem(archive.FilesFolder, "has more links than are followed")
	}
}

// put gives the name at to what link leads to. within are the folders that it
// came through: a link back into one of them goes round in circles.
func (f *follower) put(at, link string, within []string) {
	if f.visits++; f.visits > maxVisits {
		return
	}
	to, ok := archive.Resolve(f.links, link)
	if !ok {
		return
	}
	if file := f.view.files[to]; file != nil {
		f.add(at, file)
		return
	}
	folder := to + "/"
	if strings.HasPrefix(link, folder) || slices.ContainsFunc(within, func(w string) bool { return strings.HasPrefix(w+"/", folder) }) {
		return
	}
	for _, name := range beginning(f.real, folder) {
		f.add(path.Join(at, strings.TrimPrefix(name, folder)), f.view.files[name])
	}
	for _, name := range beginning(f.names, folder) {
		f.put(path.Join(at, strings.TrimPrefix(name, folder)), name, append(slices.Clip(within), to))
	}
}

func (f *follower) add(name string, to *file) {
	if f.view.files[name] == nil && len(name) <= maxName && len(f.view.files) < 2*MaxFiles {
		f.view.files[name] = &file{name: path.Base(name), data: to.data, link: true}
	}
}

// beginning gives the names with a prefix, out of sorted ones.
func beginning(names []string, prefix string) []string {
	from, _ := slices.BinarySearch(names, prefix)
	to := from
	for to < len(names) && strings.HasPrefix(names[to], prefix) {
		to++
	}
	return names[from:to]
}
