package lifeboat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// Known is what the backup tells of its cluster, for datadir.PlanCluster.
// manifest is the file of etcd's static Pod manifest, "" for the one in the
// archive, if there is one.
func (b *Backup) Known(manifest string) (datadir.Known, error) {
	k := datadir.Known{DataDir: b.replay != nil, Revision: b.db.Revision(), Newest: b.db.Revision()}
	flags, err := b.etcdManifest(manifest)
	if err != nil {
		return k, err
	}
	k.Manifest = datadir.ManifestMember{Name: flags.Name, PeerURLs: flags.PeerURLs, InitialCluster: flags.InitialCluster}
	if k.Members = b.members; k.Members == nil {
		if k.Members, _, err = b.db.Members(); err != nil {
			return k, err
		}
	}
	if b.replay == nil {
		return k, nil
	}
	k.Zombies, _ = b.replay.Survivor.Differences(k.Members)
	k.Own, k.Became = b.survivors[0].Log.NodeID, b.survivors[0].Membership(b.survivors)
	for _, s := range b.survivors {
		k.Newest = max(k.Newest, s.Info.Revision)
	}
	return k, nil
}

// etcdManifest is what etcd's manifest says; zero where there is none.
func (b *Backup) etcdManifest(path string) (controlplane.EtcdMember, error) {
	if path == "" {
		if b.control == nil {
			return controlplane.EtcdMember{}, nil
		}
		m, _ := b.control.EtcdMember()
		return m, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return controlplane.EtcdMember{}, err
	}
	builder := controlplane.New()
	if err := builder.Add("kubernetes/manifests/etcd.yaml", bytes.NewReader(data)); err != nil {
		return controlplane.EtcdMember{}, err
	}
	m, ok := builder.View().EtcdMember()
	if !ok {
		return m, &Error{Class: Failed, Err: fmt.Errorf("reading %q: it is not a manifest that runs etcd", path)}
	}
	return m, nil
}

// KeysOfNodes finds the keys of what is gone with nodes: their Node objects,
// their Leases and the Pods bound to them; and, with masterLeases, the API
// servers' own leases, by which the Service "kubernetes" would go on pointing at
// dead addresses (kubernetes/kubernetes#86812). They are sorted.
func (b *Backup) KeysOfNodes(ctx context.Context, nodes []string, masterLeases bool) ([][]byte, error) {
	if len(nodes) == 0 && !masterLeases {
		return nil, nil
	}
	reg, err := b.Objects(0)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	found := map[string]bool{}
	for entry, err := range reg.Entries(ctx, func(k registry.Key) bool { return concerns(k, nodes, masterLeases) }) {
		if err != nil {
			return nil, err
		}
		key := entry.Key
		switch {
		case key.System:
		case key.Plural == "pods":
			node, err := podNode(reg.Decode(ctx, entry))
			if err != nil {
				return nil, err
			}
			if !slices.Contains(nodes, node) {
				continue
			}
		case key.Plural == "nodes":
			found[key.Name] = true
		}
		keys = append(keys, []byte(key.Path))
	}
	for _, name := range nodes {
		if !found[name] {
			return nil, &Error{Class: Failed, Err: fmt.Errorf("--drop-node %q: there is no such Node", name)}
		}
	}
	slices.SortFunc(keys, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
	return keys, nil
}

// concerns is what has to be looked at; of the Pods all, because only they know
// their node.
func concerns(k registry.Key, nodes []string, masterLeases bool) bool {
	switch k.Resource() {
	case "nodes":
		return slices.Contains(nodes, k.Name)
	case "leases.coordination.k8s.io":
		return k.Namespace == "kube-node-lease" && slices.Contains(nodes, k.Name)
	case "pods":
		return len(nodes) > 0
	case "masterleases":
		return masterLeases
	}
	return false
}

func podNode(pod *registry.Object) (string, error) {
	content, err := pod.Content()
	if err != nil {
		return "", err
	}
	if content == nil {
		return "", withHint(&Error{Class: Failed, Err: fmt.Errorf("%s cannot be read, so its node is not known", pod)},
			"leave --drop-node out, and delete the Pods when the cluster runs")
	}
	node, _, err := unstructured.NestedString(content, "spec", "nodeName")
	return node, err
}

// ForceNewCluster replaces the database, which a data dir's replay gave, by the
// one that etcd's own --force-new-cluster leaves on a copy, when both hold the
// same: the backup has to be opened with CommittedOnly, where that cuts. It
// gives etcd's HashKV of both. On an error the backup is as it was.
func (b *Backup) ForceNewCluster(ctx context.Context) (snapshot.Hash, error) {
	s := b.replay.Survivor
	if s.Info.StorageVersion == "" {
		return snapshot.Hash{}, withHint(refusef("--via-etcd: %q is of etcd 3.5 or older, whose log ends the linked etcd", b.path),
			"leave --via-etcd out; --committed-only cuts where that etcd's own --force-new-cluster cuts")
	}
	phase := b.opts.Observer.start("running etcd's --force-new-cluster on a copy", 0)
	defer phase.Done()
	if err := b.sweep(b.opts.ScratchDir); err != nil {
		return snapshot.Hash{}, err
	}
	if err := s.Dir.SpaceForCopy(b.opts.ScratchDir); err != nil {
		return snapshot.Hash{}, HintTarget(err)
	}
	own, err := b.db.Info(ctx)
	if err != nil {
		return snapshot.Hash{}, err
	}
	members, _, err := b.db.Members() // the boot gives the member another name
	if err != nil {
		return snapshot.Hash{}, err
	}
	keep := etcdproc.Versions{Cluster: own.ClusterVersion, Storage: own.StorageVersion}
	file, err := etcdproc.ForceNewCluster(ctx, s.Dir.Path, s.Dir.SeparateWAL(), b.opts.ScratchDir, keep)
	if err != nil {
		return snapshot.Hash{}, withHint(err, "without --via-etcd the log is replayed entry by entry, and damage named")
	}
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return snapshot.Hash{}, err
	}
	hash, err := b.sameAs(ctx, db, own)
	if err != nil {
		return hash, errors.Join(err, db.Close())
	}
	err = b.Close()
	b.db, b.file, b.members = db, file, members
	return hash, err
}

// sameAs holds etcd's database against the replay's.
func (b *Backup) sameAs(ctx context.Context, db *snapshot.DB, own snapshot.Info) (snapshot.Hash, error) {
	theirs, err := db.Info(ctx)
	if err != nil {
		return snapshot.Hash{}, err
	}
	hash, err := db.HashKV(ctx, 0)
	if err != nil {
		return hash, err
	}
	want, err := b.db.HashKV(ctx, 0)
	if err == nil && (hash != want || theirs.LiveKeys != own.LiveKeys || theirs.Leases != own.Leases) {
		err = fmt.Errorf("etcd's own --force-new-cluster comes to revision %d, HashKV %d, %d keys, %d leases; the replay to %d, %d, %d, %d: %w",
			hash.HashRevision, hash.Hash, theirs.LiveKeys, theirs.Leases, want.HashRevision, want.Hash, own.LiveKeys, own.Leases, snapshot.ErrDamaged)
	}
	return hash, err
}

// sweep removes what killed runs left in a folder in which etcd is about to be
// run on a copy, and names it.
func (b *Backup) sweep(dir string) error {
	stale, err := etcdproc.Sweep(dir)
	for _, name := range stale {
		b.opts.Observer.warn("removed %q, which a killed run had left", name)
	}
	return err
}

// HintTarget gives an error of writing a data dir its class and the next thing
// to do.
func HintTarget(err error) error {
	const another = "nothing was written; choose another place with --to"
	switch {
	case errors.Is(err, datadir.ErrNoSpace):
		return &Error{Class: Refused, Err: err, Hint: another}
	case errors.Is(err, os.ErrExist):
		return withHint(err, "nothing was written; --replace moves what stands there aside; or choose another place with --to")
	case errors.Is(err, snapshot.ErrInUse):
		return withHint(err, stopEtcd)
	}
	return err
}
