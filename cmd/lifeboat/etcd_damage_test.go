package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// Whatever is broken in a member's database, rebuild says that it is damaged
// and what to do next, and writes nothing; where all can be read it works. A
// freelist that is wrong counts as damage: what etcd writes next would land on
// pages in use.
func TestDamagedMember(t *testing.T) {
	t.Parallel()
	for i, fault := range snapshottest.Faults() {
		if soak == 1 && fault.Effect == snapshottest.Damaged && i%6 > 0 {
			continue // package datadir has them all
		}
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			dir := memberDir(t)
			db := filepath.Join(dir, "member", "snap", "db")
			require.NoError(t, fault.Apply(db))
			watch := watch{}
			require.NoError(t, watch.add(dir))
			to := filepath.Join(t.TempDir(), "rebuilt")
			r := lifeboat("etcd", "rebuild", dir, "--to", to, "--no-boot-check")
			if r.code == console.ExitDone {
				require.Equal(t, snapshottest.Readable, fault.Effect)
			} else {
				require.Equal(t, console.ExitDamaged, r.code, r.stderr)
				require.Contains(t, r.stderr, "hint: with --peer-dir DIR another member's database is taken")
				require.NoDirExists(t, to)
			}
			require.Empty(t, watch.changed())
		})
	}
}
