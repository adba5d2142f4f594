package host

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// AllOptions say what a restore of all masters is.
type AllOptions struct {
	To          string // the new folder
	DropNodes   []string
	Revision    int64 // 0 for the newest
	NoBootCheck bool
}

// AllMasters is a restore of every master of a cluster at once: a folder for
// each, with its data dir and a script of what is done on its host.
type AllMasters struct {
	Plan    *datadir.RestorePlan
	Reasons []string // how what nobody said was chosen

	to, dataDir string
	names       []string
}

// PlanAll plans it, with the members that the backup knows. Nothing is written.
func PlanAll(ctx context.Context, b *lifeboat.Backup, opts AllOptions) (*AllMasters, error) {
	known, err := b.Known("")
	if err != nil {
		return nil, err
	}
	cluster, err := datadir.PlanCluster(known, datadir.Wanted{All: true, Bump: "auto", Dropped: len(opts.DropNodes)})
	if err != nil {
		return nil, err
	}
	all := &AllMasters{Reasons: cluster.Reasons, to: opts.To, dataDir: defaultDataDir}
	if view := b.ControlPlane(); view != nil {
		if m, ok := view.EtcdMember(); ok {
			all.dataDir = view.OnHost("etcd", cmp.Or(m.DataDir, defaultDataDir))
		}
	}
	db, file, err := b.Holding(opts.Revision)
	if err != nil {
		return nil, err
	}
	o := datadir.RestoreOptions{
		Bump: cluster.Bump, InitialCluster: cluster.InitialCluster(), NoBootCheck: opts.NoBootCheck, Proof: b.Prove,
		Revision: opts.Revision, NewestKnown: b.History().Revision(),
		Spool: snapshot.Spool{Where: snapshot.Anywhere, Dir: filepath.Dir(opts.To)},
	}
	if o.Drop, err = b.KeysOfNodes(ctx, opts.DropNodes, false); err != nil {
		return nil, err
	}
	for _, m := range cluster.Write {
		if m.Name != filepath.Base(m.Name) || m.Name == "." || m.Name == ".." {
			return nil, fmt.Errorf("member %q: its name is none for a folder", m.Name)
		}
		all.names = append(all.names, m.Name)
		target := datadir.Target{Path: filepath.Join(opts.To, m.Name, "etcd"), Sources: []string{b.Path()}}
		o.Members = append(o.Members, datadir.NewMember{Name: m.Name, PeerURLs: m.PeerURLs, Target: target})
	}
	all.Plan, err = datadir.PlanRestore(ctx, db, file, o)
	return all, err
}

// Run makes the folder and all in it. The scripts come last: a master without
// one is not finished.
func (a *AllMasters) Run(ctx context.Context) (*datadir.Restored, error) {
	if err := os.Mkdir(a.to, 0o700); err != nil {
		return nil, err
	}
	for _, name := range a.names {
		if err := os.Mkdir(filepath.Join(a.to, name), 0o700); err != nil {
			return nil, err
		}
	}
	done, err := a.Plan.Run(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range a.names {
		if err := os.WriteFile(filepath.Join(a.to, name, "restore.sh"), []byte(a.script(name)), 0o700); err != nil {
			return done, err
		}
	}
	return done, nil
}

// script is what is done on one host, in three parts: no master may start before
// every one of them has stopped.
func (a *AllMasters) script(name string) string {
	return fmt.Sprintf(`#!/bin/sh
# Master %[1]s, one of %[2]d that are restored together. Copy this folder to its
# host, and run there, as root, each part on all masters before the next part:
#   ./restore.sh stop     etcd and kube-apiserver are taken out of the manifests
#   ./restore.sh place    the old data is moved aside, the new takes its place
#   ./restore.sh start    the manifests go back
# stop and start are undone by lifeboat host undo; the old data stays.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=%[3]s
case "${1:-}" in
stop)
    lifeboat host etcd off --yes
    ;;
place)
    [ -d "$here/etcd/member" ] || { echo 'the new data is not beside this script' >&2; exit 1; }
    if [ -n "$(crictl ps --name '^etcd$' -q 2>/dev/null)" ]; then echo 'etcd still runs here' >&2; exit 1; fi
    mkdir -p "$data"
    cp -a "$here/etcd/member" "$data/member.new"
    if [ -e "$data/member" ]; then mv "$data/member" "$data/member.old-$(date -u +%%Y%%m%%dT%%H%%M%%SZ)"; fi
    mv "$data/member.new" "$data/member"
    ;;
start)
    lifeboat host etcd on --yes
    ;;
*)
    echo 'usage: restore.sh stop|place|start' >&2
    exit 2
    ;;
esac
`, name, len(a.names), words.ShellQuote(a.dataDir))
}

// Next is what the operator does with the folders.
func (a *AllMasters) Next() []string {
	var next []string
	for _, name := range a.names {
		next = append(next, fmt.Sprintf("scp -rp %s root@%s:/root/", words.ShellQuote(filepath.Join(a.to, name)), name))
	}
	return append(next,
		"on every master: /root/NAME/restore.sh stop; when all have stopped: restore.sh place; then restore.sh start",
		"restart kube-controller-manager, kube-scheduler and the kubelets of all nodes: their caches are newer than the data")
}
