package datadir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// voters are harbour's members with longer logs: those of a and c end at entry
// 1700, that of b at 1650. What stands between was acknowledged by a and c.
func voters(t *testing.T) (a, b, c string) {
	t.Helper()
	dirs := harbour(t)
	for name, last := range map[string]int{"etcd-0": 1700, "etcd-1": 1650, "etcd-2": 1700} {
		var entries []*raftpb.Entry
		for i := 1613; i <= last; i++ {
			entries = append(entries, put(t, fmt.Sprint("/acknowledged/", i)))
		}
		extend(t, dirs[name], 1613, 2, 1612, entries...)
	}
	return dirs["etcd-0"], dirs["etcd-1"], dirs["etcd-2"]
}

// What is damaged proves nothing of what it held behind the damage.
func TestEvidence(t *testing.T) {
	t.Parallel()
	database := func(t *testing.T, dir string) {
		require.NoError(t, os.Truncate(open(t, dir).Database(), 1<<20))
	}
	for name, tc := range map[string]struct {
		damage func(t *testing.T, a string)
		newest uint64 // of a, as compare shows it
		known  bool   // that a goes beyond b
	}{
		"a flipped bit in an entry": {newest: 1620, known: true, damage: func(t *testing.T, a string) {
			end, _ := recordEnd(t, a, 1620)
			overwrite(t, firstSegment(t, a), int(end)+40, []byte{0xff})
		}},
		"a length that is wrong": {newest: 1620, known: true, damage: func(t *testing.T, a string) {
			end, _ := recordEnd(t, a, 1620)
			overwrite(t, firstSegment(t, a), int(end)+5, []byte{0xff})
		}},
		"a hole": {newest: 1620, known: true, damage: func(t *testing.T, a string) {
			end, _ := recordEnd(t, a, 1620)
			overwrite(t, firstSegment(t, a), int(end), make([]byte, 512))
		}},
		"noise to the end": {newest: 1620, damage: func(t *testing.T, a string) {
			end, _ := recordEnd(t, a, 1620)
			last, _ := recordEnd(t, a, 1700)
			noise := make([]byte, last-end)
			for i := range noise {
				noise[i] = byte(i*i>>3 | 1)
			}
			overwrite(t, firstSegment(t, a), int(end), noise)
		}},
		"the database": {newest: 1700, known: true, damage: database},
		"the database, its first segment purged": {newest: 1700, known: true, damage: func(t *testing.T, a string) {
			database(t, a)
			split(t, a, 1500)
			require.NoError(t, os.Remove(firstSegment(t, a)))
		}},
		"no log": {newest: 1611, damage: func(t *testing.T, a string) {
			require.NoError(t, os.RemoveAll(filepath.Join(a, "member", "wal")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dirA, dirB, dirC := voters(t)
			tc.damage(t, dirA)
			a, b, c := survey(t, dirA), survey(t, dirB), survey(t, dirC)
			require.NotEmpty(t, a.Damage())
			newest, _ := a.Newest()
			require.Equal(t, tc.newest, newest)

			best, err := datadir.Best([]*datadir.Survivor{a, b})
			require.NoError(t, err)
			require.Same(t, b, best)
			e := b.Evidence([]*datadir.Survivor{a, b}, b.Voters())
			require.False(t, e.Complete(), "entries 1651 to 1700 are in a alone")
			require.Equal(t, 1, e.Held)
			require.Len(t, e.Doubts, 1)
			require.Same(t, a, e.Doubts[0].Survivor)
			require.Equal(t, tc.known, e.Doubts[0].Known)

			// b and c are a majority: the newest of the two has it all.
			all := []*datadir.Survivor{a, b, c}
			best, err = datadir.Best(all)
			require.NoError(t, err)
			require.Same(t, c, best)
			require.True(t, c.Evidence(all, c.Voters()).Complete())
			require.False(t, b.Evidence(all, b.Voters()).Complete(), "c goes beyond it")

			if a.Log.NodeID == 0 {
				return // without the metadata nobody knows whose dir it is
			}
			// Another copy of a's dir, of before, does not speak for a.
			old := survey(t, harbour(t)["etcd-0"])
			require.False(t, b.Evidence([]*datadir.Survivor{a, old, b}, b.Voters()).Complete())
		})
	}
}

// The torn last record of a member that was killed is no damage.
func TestEvidenceOfTornLog(t *testing.T) {
	t.Parallel()
	dirA, dirB, _ := voters(t)
	extend(t, dirA, 1701, 2, 1700, put(t, strings.Repeat("/torn", 2000)))
	before, _ := recordEnd(t, dirA, 1700)
	overwrite(t, firstSegment(t, dirA), int(before+1024)/512*512, make([]byte, 16<<10))
	a, b := survey(t, dirA), survey(t, dirB)
	require.Empty(t, a.Damage())
	best, err := datadir.Best([]*datadir.Survivor{a, b})
	require.NoError(t, err)
	require.Same(t, a, best)
	require.True(t, a.Evidence([]*datadir.Survivor{a, b}, a.Voters()).Complete())
}
