package controlplane

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
)

// FlagFile is a file that a component's flag names, as the component sees it:
// through the mounts of its container.
type FlagFile struct {
	Flag    string // its value: a path in the container
	Path    string // in the backup, "" when it is not there
	Content []byte
}

// FlagFile finds the file that a flag of a component names. ok is false when
// there is no manifest of it, or no such flag in it; a file that is named and not
// in the backup is an error that says where it would be, and is fs.ErrNotExist.
func (v *View) FlagFile(component, flag string) (file FlagFile, ok bool, err error) {
	m, c := v.component(component)
	flags, _ := v.Flags(component)
	if c == nil || flags[flag] == "" {
		return file, false, nil
	}
	file.Flag = flags[flag]
	host := hostPath(m, c, file.Flag)
	if host == "" { // a parent folder is mounted at the same place, or nothing is
		host = path.Clean(file.Flag)
	}
	name, below := backupPath(host)
	if !below || v.files[name] == nil {
		return file, true, fmt.Errorf("finding %q, which --%s in %s names: %w", host, flag, path.Base(m.path), fs.ErrNotExist)
	}
	file.Path, file.Content = name, bytes.Clone(v.files[name].data)
	return file, true, nil
}
