package console

import "github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"

// Scratch makes a folder for plaintext in dir, on the result's own file system:
// the system's temp folder may be shared. What runs that were killed have left
// there is removed first, and named.
func (e *Environment) Scratch(dir string) (*etcdproc.Lab, error) {
	stale, err := etcdproc.Sweep(dir)
	for _, name := range stale {
		e.Warn("removed %q, which a killed run had left", name)
	}
	if err != nil {
		return nil, err
	}
	return etcdproc.NewLab(dir)
}
