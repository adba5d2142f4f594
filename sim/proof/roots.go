package proof

import (
	"cmp"
	"debug/elf"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
)

// roots are what the components see as their file systems: the archived
// /etc/kubernetes and data dir, what their Pods mount elsewhere, and the binary.
func (l *layout) roots() ([]sandbox.Root, error) {
	var all []sandbox.Root
	for _, c := range l.all() {
		root := sandbox.Root{Name: c.name, Mounts: l.mounts(*c)}
		if c.binary.Path != "" {
			root.Mounts = append(root.Mounts, sandbox.Mount{From: c.binary.Path, To: inRoot(c.name), ReadOnly: true})
		}
		root.Mounts = append(root.Mounts, libraries(cmp.Or(c.binary.Path, "/proc/self/exe"))...) // etcd may be linked
		all = append(all, root)
		if err := l.furnish(*c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// inRoot is where a component's binary stands in its root.
func inRoot(name string) string { return "/usr/local/bin/" + name }

// mounts are those of a component's container. /etc/kubernetes is there as a
// whole: a manifest with a mount too few is told by archive verify, and one that
// has it at another place finds it there, too.
func (l *layout) mounts(c component) []sandbox.Mount {
	mounts := []sandbox.Mount{{From: l.onHost("/etc/kubernetes"), To: "/etc/kubernetes"}}
	if c.name == l.etcd.name {
		mounts = append(mounts, sandbox.Mount{From: l.onHost(l.dataDir), To: path.Clean(c.flags["data-dir"])})
	}
	for _, m := range c.Mounts {
		taken := slices.ContainsFunc(mounts, func(have sandbox.Mount) bool { return have.To == m.Inside })
		if m.Inside != m.Host && !taken {
			mounts = append(mounts, sandbox.Mount{From: l.onHost(m.Host), To: m.Inside})
		}
	}
	return mounts
}

// furnish makes the folders that kubelet would make, and the names of the
// archived hosts.
func (l *layout) furnish(c component) error {
	root := filepath.Join(l.dir, "roots", c.name)
	for _, m := range c.Mounts {
		_, missing := os.Stat(l.onHost(m.Host))
		if m.File || missing == nil || m.Inside == "/" {
			continue
		}
		if err := os.MkdirAll(filepath.Join(root, path.Join("/", m.Inside)), 0o700); err != nil {
			return err
		}
	}
	// Whose address a name was is not known: whoever dials it tries them all.
	ips, names := l.addresses()
	hosts := []string{"127.0.0.1 localhost", "::1 localhost"}
	if len(names) > 0 {
		for _, ip := range append([]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, ips...) {
			hosts = append(hosts, ip.String()+" "+strings.Join(names, " "))
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "etc", "hosts"), []byte(strings.Join(hosts, "\n")+"\n"), 0o600)
}

// libraries are the host's, for a program that is not static.
func libraries(binary string) []sandbox.Mount {
	f, err := elf.Open(binary)
	if err != nil {
		return nil // a script, or what the kernel will refuse
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		var mounts []sandbox.Mount
		for _, dir := range []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64"} {
			mounts = append(mounts, sandbox.Mount{From: dir, To: dir, ReadOnly: true})
		}
		return mounts
	}
	return nil
}
