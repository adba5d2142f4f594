package proof

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// layout is the control plane of a backup as it will stand in the sandbox.
type layout struct {
	dir     string // the sandbox' folder
	control *controlplane.View
	server  component
	etcd    component
	others  []*component      // kube-controller-manager and kube-scheduler, where they are to run
	dataDir string            // the host's path of etcd's data dir
	renewed map[string][]byte // files of the backup that stand in another form, see reissue
}

// component is a program of the control plane.
type component struct {
	controlplane.Start
	name   string
	binary Binary // etcd's has no path where the linked one serves
	flags  controlplane.Flags
}

// all are the components that run.
func (l *layout) all() []*component { return append([]*component{&l.server, &l.etcd}, l.others...) }

// newLayout reads the manifests. That one of them is missing is not a fault of
// this host, and no proof of anything.
func newLayout(opts Options, control *controlplane.View) (*layout, error) {
	if control == nil {
		return nil, &lifeboat.Error{Class: lifeboat.Failed, Err: errors.New("the backup has no kubernetes/: without manifests and certificates no API server can be started as it was"),
			Hint: "an archive of the snapshot and /etc/kubernetes is what lifeboat archive create makes"}
	}
	l := &layout{dir: opts.Dir, control: control}
	var err error
	if l.server, err = newComponent(control, controlplane.APIServer, opts.APIServer); err != nil {
		return nil, err
	}
	if l.etcd, err = newComponent(control, controlplane.Etcd, opts.Etcd); err != nil {
		return nil, err
	}
	inside := l.etcd.flags["data-dir"]
	if inside == "" {
		return nil, &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("%q has no --data-dir", l.etcd.Manifest)}
	}
	l.dataDir = control.OnHost(controlplane.Etcd, inside)
	return l, nil
}

// newComponent reads how a component is started.
func newComponent(control *controlplane.View, name string, binary Binary) (component, error) {
	c := component{name: name, binary: binary}
	var ok bool
	if c.Start, ok = control.Start(name); !ok {
		return c, &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("no manifest of %s is in kubernetes/manifests", name)}
	}
	c.flags, _ = control.Flags(name)
	if len(c.Command) == 0 || path.Base(c.Command[0]) != name {
		return c, &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("%q does not start %s by its own name, so its command line cannot be run as it stands", c.Manifest, name)}
	}
	return c, nil
}

// onHost is where a path of the archived host stands in the sandbox' folder.
func (l *layout) onHost(p string) string { return filepath.Join(l.dir, "host", path.Join("/", p)) }

// write puts /etc/kubernetes where the archived host had it.
func (l *layout) write() error {
	for _, name := range l.control.Files() {
		data, err := l.control.ReadFile(name)
		if err != nil {
			return err
		}
		if own, ok := l.renewed[name]; ok {
			data = own
		}
		rest, ok := strings.CutPrefix(name, "kubernetes/")
		if !ok {
			continue
		}
		at := l.onHost("/etc/kubernetes/" + rest)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(at, data, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// addressFlags have the addresses on which the components listen, and under
// which they look for each other.
var addressFlags = []string{
	"advertise-address", "bind-address", "etcd-servers",
	"listen-client-urls", "listen-peer-urls", "listen-metrics-urls", "advertise-client-urls", "initial-advertise-peer-urls",
}

// addresses are the archived ones, for the loopback device, and the host names
// that lead to them, for /etc/hosts.
func (l *layout) addresses() (ips []netip.Addr, names []string) {
	for _, c := range l.all() {
		words := l.control.Servers(c.name)
		for _, flag := range addressFlags {
			words = append(words, strings.Split(c.flags[flag], ",")...)
		}
		for _, word := range words {
			host := strings.TrimSpace(word)
			if u, err := url.Parse(host); err == nil && u.Scheme != "" {
				host = u.Hostname()
			}
			ip, err := netip.ParseAddr(host)
			switch {
			case host == "" || err == nil && (ip.IsUnspecified() || ip.IsLoopback()):
			case err != nil && !slices.Contains(names, host):
				names = append(names, host)
			case err == nil && !slices.Contains(ips, ip):
				ips = append(ips, ip)
			}
		}
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	slices.Sort(names)
	return ips, names
}

// serverAddress is where the API server answers, and the name by which its
// clients know it.
func (l *layout) serverAddress() (address, name string) {
	host, port := l.server.flags["advertise-address"], l.server.flags["secure-port"]
	if bind := l.server.flags["bind-address"]; host == "" || bind != "" && !unspecified(bind) {
		host = bind
	}
	if host == "" || unspecified(host) {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "6443"
	}
	if name = l.server.flags["advertise-address"]; name == "" {
		name = host
	}
	return net.JoinHostPort(host, port), name
}

func unspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// etcdAddress is where etcd answers.
func (l *layout) etcdAddress() (string, error) {
	for _, word := range strings.Split(l.etcd.flags["listen-client-urls"], ",") {
		u, err := url.Parse(strings.TrimSpace(word))
		if err == nil && (u.Scheme == "https" || u.Scheme == "http") {
			host := u.Hostname()
			if unspecified(host) {
				host = "127.0.0.1"
			}
			return net.JoinHostPort(host, u.Port()), nil
		}
	}
	return "", fmt.Errorf("%q has no --listen-client-urls", l.etcd.Manifest)
}
