package proof

import (
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// toLoopback changes the archived command lines so that they can run on the
// host's own loopback device, beside whatever else runs there: other ports, and
// paths into the sandbox' folder. Certificates stay, and are checked.
func (l *layout) toLoopback() error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	for _, c := range []*component{&l.server, &l.etcd} {
		c.flags = maps.Clone(c.flags)
		for _, m := range l.control.Mentions() {
			if m.Component == c.name {
				c.flags[m.Flag] = strings.ReplaceAll(c.flags[m.Flag], m.Path, l.onHost(m.Host))
			}
		}
	}
	etcd, server := l.etcd.flags, l.server.flags
	client, peer := "https://127.0.0.1:"+ports[0], "https://127.0.0.1:"+ports[1]
	if etcd["cert-file"] == "" {
		return &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("etcd's manifest has no certificate: without a sandbox its data would be open to every user of this host")}
	}
	etcd["listen-client-urls"], etcd["advertise-client-urls"] = client, client
	etcd["listen-peer-urls"], etcd["initial-advertise-peer-urls"] = peer, peer
	etcd["data-dir"] = l.onHost(l.dataDir)
	server["etcd-servers"], server["bind-address"], server["secure-port"] = client, "127.0.0.1", ports[2]
	for _, flag := range []string{"audit-log-path", "cert-dir", "log-file"} {
		if server[flag] != "" {
			server[flag] = l.onHost(path.Join("/written", flag))
		}
	}
	delete(etcd, "listen-metrics-urls")
	delete(etcd, "wal-dir") // the restored log stands in the data dir
	l.server.Command = append([]string{controlplane.APIServer}, words(server)...)
	l.etcd.Command = append([]string{controlplane.Etcd}, words(etcd)...)
	return nil
}

func words(flags controlplane.Flags) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		all = append(all, "--"+name+"="+flags[name])
	}
	return all
}

// freePorts are ports on which nobody listened a moment ago.
func freePorts(n int) (ports []string, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // all at once, so that they differ
		if address, ok := listener.Addr().(*net.TCPAddr); ok {
			ports = append(ports, strconv.Itoa(address.Port))
		}
	}
	return ports, nil
}
