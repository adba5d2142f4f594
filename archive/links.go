package archive

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// hostFolder is the folder that kubernetes/ is a copy of. An absolute link into
// it means the copy: kubespray has /etc/kubernetes/pki -> /etc/kubernetes/ssl.
const hostFolder = "/etc/kubernetes"

// maxFollowed is how many links one name may lead through, as Linux has it.
const maxFollowed = 40

// Resolve follows links, by their names, from name to what it stands for inside
// of the archive, whether or not there is such an entry. ok is false for what
// leads out of the archive or in circles.
func Resolve(links map[string]Link, name string) (to string, ok bool) {
	left := strings.Split(name, "/")
	for followed := 0; len(left) > 0; {
		part := left[0]
		left = left[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if to == "" {
				return "", false
			}
			to, _ = splitLast(to)
			continue
		}
		folder := to
		to = path.Join(folder, part)
		link, isLink := links[to]
		if !isLink {
			continue
		}
		target := link.Target
		if followed++; followed > maxFollowed || len(target) > maxName {
			return "", false
		}
		to = folder
		switch {
		case link.Hard: // is named from the archive's root
			to = ""
		case path.IsAbs(target):
			rest, inside := below(hostFolder, target)
			if !inside || climbs(rest) {
				return "", false
			}
			to, target = FilesFolder, rest
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return to, to != ""
}

// splitLast cuts the last part off a clean relative path.
func splitLast(name string) (dir, last string) {
	dir, last = path.Split(name)
	return strings.TrimSuffix(dir, "/"), last
}

// climbs tells a path with .. in it, whose end depends on what it leads through.
func climbs(name string) bool { return slices.Contains(strings.Split(name, "/"), "..") }

// below gives the rest of a path under a folder.
func below(dir, name string) (rest string, ok bool) {
	if name == dir {
		return "", true
	}
	return strings.CutPrefix(name, dir+"/")
}

// linkInside tells a symbolic link that stays below the archive's root,
// whatever other links of the archive it leads through: a link's folder is
// real, so .. is harmless at the beginning, and nowhere else.
func linkInside(name, target string) bool {
	if target == "" || path.IsAbs(target) {
		return false
	}
	up, down := strings.Count(name, "/"), false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if up--; down || up < 0 {
				return false
			}
		default:
			down = true
		}
	}
	return true
}

// relativeLink is the target of the link name, when it is absolute and leads
// into one of the folders that are packed as prefix, from the link's own
// folder; any other target as it is. Unpacked beside another cluster's
// /etc/kubernetes, the link must not lead there.
func relativeLink(name, target, prefix string, folders []string) string {
	for _, folder := range folders {
		rest, ok := below(folder, path.Clean(target))
		if !ok || climbs(target) {
			continue
		}
		if relative, err := filepath.Rel(path.Dir(name), path.Join(prefix, rest)); err == nil {
			return filepath.ToSlash(relative)
		}
	}
	return target
}
