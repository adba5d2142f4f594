package controlplane

import "path"

// Manifest is the static Pod that runs a component: its name inside of the
// backup and its bytes; false when there is none.
func (v *View) Manifest(component string) (name string, data []byte, ok bool) {
	m, c := v.component(component)
	if c == nil {
		return "", nil, false
	}
	data, err := v.ReadFile(m.path)
	return m.path, data, err == nil
}

// OnHost maps a path in a component's container to the host, through its
// hostPath mounts; a path that none covers is taken to be the host's own.
func (v *View) OnHost(component, inside string) string {
	if m, c := v.component(component); c != nil {
		if host := hostPath(m, c, inside); host != "" {
			return host
		}
	}
	return path.Clean(inside)
}
