package datadir_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// carried is a dir's evidence, written and read again.
func carried(t testing.TB, path string) *datadir.Survivor {
	t.Helper()
	data, _, err := datadir.CollectDir(context.Background(), open(t, path), "m", snapshot.Spool{Where: snapshot.Anywhere})
	require.NoError(t, err)
	require.LessOrEqual(t, len(data), datadir.MaxCollected)
	require.NotContains(t, string(data), "/registry/", "no key is in it")
	file := filepath.Join(t.TempDir(), "m.evidence")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	require.True(t, datadir.IsCollected(file))
	s, err := datadir.ReadCollected(file)
	require.NoError(t, err)
	return s
}

// harm makes a member's dir what a kill, a bad disk or a person may leave of it.
func harm(t testing.TB, r *rand.Rand, dir string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	log := logs[len(logs)-1]
	const written = 500 << 10 // beyond it the log is empty
	switch r.IntN(5) {
	case 0:
		return "nothing"
	case 1:
		size := r.Int64N(written)
		require.NoError(t, os.Truncate(log, size))
		return "log cut"
	case 2:
		f, err := os.OpenFile(log, os.O_RDWR, 0)
		require.NoError(t, err)
		defer f.Close()
		_, err = f.WriteAt(make([]byte, 512), r.Int64N(written))
		require.NoError(t, err)
		return "log zeroed"
	case 3:
		require.NoError(t, os.Truncate(filepath.Join(dir, "member", "snap", "db"), 16384*r.Int64N(4)))
		return "database cut"
	}
	for _, l := range logs {
		require.NoError(t, os.Remove(l))
	}
	return "log gone"
}

// What evidence decides is what the dirs decide: the survivor, the majority, the
// doubts.
func TestEvidenceDecidesAsDirsDo(t *testing.T) {
	t.Parallel()
	runs := 3
	if soak > 1 {
		runs = 10 * soak // 200 in `make soak`
	}
	source := harbour(t)
	for n := range runs {
		r := rand.New(rand.NewPCG(uint64(n), 7))
		var dirs, what []string
		root := t.TempDir()
		for _, name := range []string{"etcd-0", "etcd-1", "etcd-2"} {
			dir := filepath.Join(root, name)
			require.NoError(t, copySparse(dir, source[name]))
			dirs, what = append(dirs, dir), append(what, harm(t, r, dir))
		}
		decideAlike(t, dirs, fmt.Sprintf("run %d: %v", n, what))
		require.NoError(t, os.RemoveAll(root))
	}
}

// Three members that write are killed at a random moment, each time others of
// them may be lost or harmed: one, two or three of the dirs decide as their
// evidence does.
func TestEvidenceOfKilledThree(t *testing.T) {
	t.Parallel()
	rounds := 1
	if soak > 1 {
		rounds = 10 * soak // 200 in `make soak`
	}
	largest, verdicts := 0, map[string]int{}
	for n := range rounds {
		seed := uint64(time.Now().UnixNano()) + uint64(n)
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 2))
		dirs, _ := history(t, r, false)
		for _, some := range [][]string{dirs, dirs[:2], dirs[1:], dirs[n%3 : n%3+1]} {
			size, verdict := decideAlike(t, some, fmt.Sprintf("seed %d, %d dirs", seed, len(some)))
			largest = max(largest, size)
			verdicts[verdict]++
		}
		what := harm(t, r, dirs[r.IntN(3)])
		decideAlike(t, dirs, fmt.Sprintf("seed %d, %s", seed, what))
		require.NoError(t, os.RemoveAll(filepath.Dir(dirs[0])))
	}
	t.Logf("%d kills, the largest evidence has %d bytes, verdicts: %v", rounds, largest, verdicts)
}

// decideAlike holds what data dirs decide against what their evidence does. It
// gives the largest evidence's size, and the verdict.
func decideAlike(t *testing.T, paths []string, what string) (size int, verdict string) {
	t.Helper()
	var dirs, evidence []*datadir.Survivor
	replays := map[*datadir.Survivor]*datadir.Replay{}
	for _, path := range paths {
		s, err := open(t, path).Survey(t.Context())
		require.NoError(t, err)
		if s.DatabaseErr == nil {
			replay, err := s.Replay(t.Context(), datadir.ReplayOptions{AcceptLoss: true})
			if err != nil {
				s.DatabaseErr = err
			} else {
				replays[s] = replay
				defer replay.File.Close()
			}
		}
		one := carried(t, path)
		info, err := os.Stat(one.Dir.Path)
		require.NoError(t, err)
		size = max(size, int(info.Size()))
		dirs, evidence = append(dirs, s), append(evidence, one)
	}
	byDirs, err := datadir.Recommend(dirs, replays)
	require.NoError(t, err, what)
	byEvidence, err := datadir.Recommend(evidence, nil)
	require.NoError(t, err, what)
	verdict = verdictOf(dirs, byDirs)
	require.Equal(t, verdict, verdictOf(evidence, byEvidence), what)
	return size, verdict
}

func verdictOf(all []*datadir.Survivor, r datadir.Recommendation) string {
	var text strings.Builder
	fmt.Fprintf(&text, "voters %d held %d complete %v", r.Evidence.Voters, r.Evidence.Held, r.Evidence.Complete())
	for i, s := range all {
		if s == r.Best {
			fmt.Fprintf(&text, " best %d", i)
		}
		for _, d := range r.Evidence.Doubts {
			if d.Survivor == s {
				fmt.Fprintf(&text, " doubt %d to %d known %v", i, d.Newest, d.Known)
			}
		}
	}
	return text.String()
}

func copySparse(to, from string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(name, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		data := make([]byte, min(info.Size(), 4<<20))
		if _, err := f.ReadAt(data, 0); err != nil {
			return err
		}
		if err := os.WriteFile(target, data, 0o600); err != nil {
			return err
		}
		return os.Truncate(target, info.Size())
	})
}

func TestCollectedBadInput(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-0"]
	data, _, err := datadir.CollectDir(context.Background(), open(t, dir), "m", snapshot.Spool{Where: snapshot.Anywhere})
	require.NoError(t, err)
	for name, bad := range map[string][]byte{
		"empty":         {},
		"cut off":       data[:len(data)/2],
		"a bit flipped": append(append([]byte{}, data[:200]...), append([]byte{data[200] ^ 1}, data[201:]...)...),
		"too large":     append(append([]byte{}, data...), make([]byte, datadir.MaxCollected)...),
	} {
		file := filepath.Join(t.TempDir(), "x")
		require.NoError(t, os.WriteFile(file, bad, 0o600))
		_, err := datadir.ReadCollected(file)
		require.ErrorIs(t, err, datadir.ErrNotCollected, name)
	}
}
