package lifeboat

import (
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// next is the command to type now: the namespace with the most objects is the
// likeliest to be wanted, after the system's own. What SRC was opened with is
// said again, or the command would not find what this one found.
func (f *Inspection) next(opts Options) []string {
	var best registry.Count
	for _, ns := range f.Kubernetes.Namespaces {
		system := ns.Name == "" || ns.Name == "default" || strings.HasPrefix(ns.Name, "kube-") || strings.HasPrefix(ns.Name, "d8-")
		if !system && ns.Objects > best.Objects {
			best = ns
		}
	}
	if best.Name == "" {
		best.Name = "kube-system"
	}
	src, with := words.ShellQuote(f.Source.Path), f.with(opts)
	return []string{
		fmt.Sprintf("lifeboat get %s all -n %s%s", src, best.Name, with),
		fmt.Sprintf("lifeboat extract %s -n %s --to restored/%s", src, best.Name, with),
	}
}

// with are the options of a command on the same source, each behind a blank.
func (f *Inspection) with(opts Options) string {
	var b strings.Builder
	add := func(flag string, values ...string) {
		for _, value := range values {
			if value != "" {
				fmt.Fprintf(&b, " %s %s", flag, words.ShellQuote(value))
			}
		}
	}
	add("-i", opts.Identities...)
	add("--passphrase-file", opts.PassphraseFile)
	add("--pubkey", opts.PubKey)
	add("--snapshot-name", opts.SnapshotName)
	add("--etcd-prefix", opts.EtcdPrefix)
	add("--peer-dir", opts.PeerDirs...)
	add("--src-wal-dir", opts.WALDirs...)
	add("--encryption-config", opts.EncryptionConfig)
	if opts.EncryptionConfig == "" && f.locked() > 0 {
		b.WriteString(" --encryption-config FILE")
	}
	return b.String()
}

// locked counts the values that no key at hand opens.
func (f *Inspection) locked() (n int64) {
	for _, l := range f.Kubernetes.Locks {
		n += l.Locked
	}
	return n
}

// bootstrapPrefix is where k3s and rke2 keep the cluster's certificates and keys
// (k3s-io/k3s pkg/cluster/storage.go).
const bootstrapPrefix = "/bootstrap"

// needs names what a restore of this backup needs and what is not in it.
func (f *Inspection) needs() []string {
	var needs []string
	if n := f.locked(); n > 0 {
		needs = append(needs, fmt.Sprintf("the keys of %d values: the file of kube-apiserver's --encryption-provider-config, for --encryption-config; "+
			"k3s and rke2 keep it as server/cred/encryption-config.json, Talos has the key in its machine configuration", n))
	}
	for _, p := range f.Kubernetes.Keyspace.Elsewhere {
		switch p.Prefix {
		case bootstrapPrefix:
			needs = append(needs, "the server's token of k3s or rke2, /var/lib/rancher/k3s/server/token or /var/lib/rancher/rke2/server/token: "+
				"the cluster's CA and keys stand under \"/bootstrap\" and are encrypted by it; then: k3s server --cluster-reset --cluster-reset-restore-path=FILE --token TOKEN")
		case "/openshift.io", "/kubernetes.io":
			if f.Kubernetes.Keyspace.Prefix != p.Prefix {
				needs = append(needs, fmt.Sprintf("a second look: OpenShift keeps objects under two prefixes, and %d stand under %q: --etcd-prefix %s reads those", p.Objects, p.Prefix, p.Prefix))
			}
		}
	}
	if f.Files == nil && len(f.Kubernetes.Namespaces) > 0 {
		needs = append(needs, "the control plane's files (/etc/kubernetes: certificates, keys, manifests), from another backup of the same cluster")
	}
	return needs
}
