package proof

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// copyDir copies a member's data dir as it stands: it is to be proven before it
// goes live.
func (l *layout) copyDir(from string) error {
	to := l.onHost(l.dataDir)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error { // CopyFS makes them for everybody
		mode := fs.FileMode(0o600)
		if err == nil && d.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(path, mode))
	})
}

// restore makes the data dir that `lifeboat etcd restore` makes of the backup,
// with the revision bump that a real restore has. It is not booted by itself:
// the proof does.
func (l *layout) restore(ctx context.Context, b *lifeboat.Backup) (*datadir.Restored, error) {
	known, err := b.Known("")
	if err != nil {
		return nil, err
	}
	cluster, err := datadir.PlanCluster(known, datadir.Wanted{Bump: datadir.BumpAuto})
	if err != nil {
		return nil, err
	}
	to := l.onHost(l.dataDir)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return nil, err
	}
	opts := datadir.RestoreOptions{
		InitialCluster: cluster.InitialCluster(), Bump: cluster.Bump, NoBootCheck: true, Proof: b.Prove,
		Spool: snapshot.Spool{Where: snapshot.Anywhere, Dir: l.dir},
	}
	for _, m := range cluster.Write {
		opts.Members = append(opts.Members, datadir.NewMember{Name: m.Name, PeerURLs: m.PeerURLs, Target: datadir.Target{Path: to}})
	}
	plan, err := datadir.PlanRestore(ctx, b.DB(), b.File(), opts)
	if err != nil {
		return nil, err
	}
	return plan.Run(ctx)
}
