package lifeboat

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// recoveryText is RECOVERY.txt: how to get everything back when lifeboat is
// lost, with tools that every distribution has.
func (x *Packing) recoveryText() string {
	m := x.manifest
	open, tool := "tar xzf FILE", "tar and gzip"
	switch x.opts.Compression.Format {
	case archive.Zstd:
		open, tool = "zstd -dc FILE | tar x", "tar and zstd"
	case archive.Tar:
		open, tool = "tar xf FILE", "tar"
	default:
	}
	if len(x.opts.Recipients) > 0 {
		rest := strings.Replace(strings.Replace(open, "xzf FILE", "xz", 1), "-dc FILE", "-dc", 1)
		rest = strings.Replace(rest, "xf FILE", "x", 1)
		open = "age -d -i IDENTITY FILE | " + rest
		if x.opts.Recipients[0].Type == "scrypt" {
			open = "age -d FILE | " + rest
		}
		version := "1.0.0"
		if slices.ContainsFunc(x.opts.Recipients, func(r crypto.Recipient) bool { return r.Type == "mlkem768x25519" }) {
			version = "1.3.0"
		}
		tool = "age " + version + " or newer (https://age-encryption.org), " + tool
	}
	skip := ""
	if !m.Etcd.Trailer {
		skip = " \\\n       --skip-hash-check   # it carries no sha256 sum"
	}
	return fmt.Sprintf(`RECOVERY

This archive holds a Kubernetes control plane: an etcd snapshot and the folder
/etc/kubernetes with its certificates and keys. Whoever can read it has the
cluster. It was made by lifeboat and opens without it.

  node         %s
  cluster      %s   (UID of the namespace kube-system)
  Kubernetes   %s
  etcd         %s, revision %d
  time         %s
  clock        %s   (of the newest revision, by the Leases in it)

1. Open it. Needed: %s.

     umask 077
     %s

   MANIFEST.json, the last entry, has the sha256 of every file.

2. On the control-plane node, as root, with etcd and kube-apiserver stopped
   (move their manifests out of /etc/kubernetes/manifests and wait until the
   containers are gone) and the old data dir moved aside:

     etcdutl snapshot status etcd-backup.snapshot -w table
     etcdutl snapshot restore etcd-backup.snapshot --data-dir /var/lib/etcd \
       --name NAME --initial-cluster NAME=https://IP:2380 \
       --initial-advertise-peer-urls https://IP:2380 \
       --bump-revision 1000000000 --mark-compacted%s

   NAME and IP stand in kubernetes/manifests/etcd.yaml. All other members have
   to be removed and joined anew. --bump-revision needs etcdutl 3.6 or newer.

3. Where /etc/kubernetes is lost, too:

     cp -a kubernetes/. /etc/kubernetes/

   Then put the manifests back; kubelet starts the rest.

Delete what you unpacked when you are done: it is all in plain text.
`, orDash(m.Node), orDash(m.Cluster), orDash(m.KubernetesVersion), orDash(m.Etcd.Version), m.Etcd.Revision,
		m.Time.UTC().Format(time.RFC3339), x.clockTime(), tool, open, skip)
}
