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
		l.moveFiles(c)
	}
	etcd, server := &l.etcd, &l.server
	client, peer := "https://127.0.0.1:"+ports[0], "https://127.0.0.1:"+ports[1]
	if etcd.flags["cert-file"] == "" {
		return &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("etcd's manifest has no certificate: without a sandbox its data would be open to every user of this host")}
	}
	etcd.set("listen-client-urls", client)
	etcd.set("advertise-client-urls", client)
	etcd.set("listen-peer-urls", peer)
	etcd.set("initial-advertise-peer-urls", peer)
	etcd.set("data-dir", l.onHost(l.dataDir))
	server.set("etcd-servers", client)
	server.set("bind-address", "127.0.0.1")
	server.set("secure-port", ports[2])
	for _, flag := range []string{"audit-log-path", "cert-dir", "log-file"} {
		if server.flags[flag] != "" {
			server.set(flag, l.onHost(path.Join("/written", flag)))
		}
	}
	delete(etcd.flags, "listen-metrics-urls")
	delete(etcd.flags, "wal-dir") // the restored log stands in the data dir
	server.Command, etcd.Command = server.command(), etcd.command()
	return nil
}

// moveFiles has the flags name the files where they stand on this host.
func (l *layout) moveFiles(c *component) {
	moved := map[string][]string{} // by flag: the path in the container, the one on this host
	mentions := l.control.Mentions()
	slices.SortStableFunc(mentions, func(a, b controlplane.Mention) int { return len(b.Path) - len(a.Path) }) // none within another
	for _, m := range mentions {
		if m.Component == c.name {
			moved[m.Flag] = append(moved[m.Flag], m.Path, l.onHost(m.Host))
		}
	}
	c.flags, c.Flags = maps.Clone(c.flags), slices.Clone(c.Flags)
	for name, pairs := range moved {
		c.flags[name] = strings.NewReplacer(pairs...).Replace(c.flags[name])
	}
	for i, f := range c.Flags {
		c.Flags[i].Value = strings.NewReplacer(moved[f.Name]...).Replace(f.Value)
	}
}

// set gives a flag one value.
func (c *component) set(name, value string) {
	c.flags[name] = value
	c.Flags = slices.DeleteFunc(c.Flags, func(f controlplane.Flag) bool { return f.Name == name })
}

// command is the command line by the flags: those that are given more than once
// stay so.
func (c *component) command() []string {
	words, given := []string{c.name}, map[string]int{}
	for _, f := range c.Flags {
		given[f.Name]++
	}
	for _, f := range c.Flags {
		if given[f.Name] > 1 {
			words = append(words, "--"+f.Name+"="+f.Value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.flags)) {
		if given[name] <= 1 {
			words = append(words, "--"+name+"="+c.flags[name])
		}
	}
	return words
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
