package host

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// verb is a procedure, with all that it needs.
type verb struct {
	name   string
	member string // whose data dir the host has; "a file" for what looks like one to a rename
	plan   func(s *State) (*Plan, error)
	works  func(s *State) map[string]Work
	every  int // at which records it is cut off: at each, or at every so many from one that each run chooses anew
}

func verbs() []verb {
	others := []snapshot.Member{{ID: 1, Name: "master-1", PeerURLs: []string{"https://192.168.199.81:2380"}}}
	quick := RestoreOptions{NoBootCheck: true}
	return []verb{
		{"etcd off", "a file", func(s *State) (*Plan, error) { return s.PlanEtcdOff(noon) }, nil, 1},
		{"the flag on", "a file", func(s *State) (*Plan, error) { return s.PlanForceFlag(true, noon) }, nil, 1},
		{"quota", "a file", func(s *State) (*Plan, error) { return s.PlanQuota(noon, QuotaOptions{Double: true}) }, nil, 1},
		{"audit off", "a file", func(s *State) (*Plan, error) { return s.PlanAuditOff(noon) }, nil, 1},
		{"dismiss", "a file", func(s *State) (*Plan, error) { return s.PlanDismiss(noon, others) }, nil, 5},
		{"restore", "etcd-0", func(s *State) (*Plan, error) { return s.PlanRestore(noon, harbourArchive, quick) }, func(s *State) map[string]Work {
			return s.RestoreWorks(quick, opener(harbourArchive))
		}, 13},
		{"restore on an empty disk", "", func(s *State) (*Plan, error) { return s.PlanRestore(noon, harbourArchive, quick) }, func(s *State) map[string]Work {
			return s.RestoreWorks(quick, opener(harbourArchive))
		}, 19},
		{"rebuild", "etcd-0", func(s *State) (*Plan, error) { return s.PlanRebuild(noon, false) }, func(s *State) map[string]Work {
			return s.RestoreWorks(quick, opener(s.root.Path(s.DataDir.Real)))
		}, 19},
	}
}

// errCut is what a run is cut off with: nothing of it comes after a record that
// was synced, as after a SIGKILL there.
var errCut = errors.New("cut off")

// cutOff runs until a record, and no further; false where the run came to its
// end before.
func cutOff(t testing.TB, run *Run, at int, do func(context.Context, map[string]Work) error, works map[string]Work) (cut bool) {
	t.Helper()
	defer func() {
		if cause := recover(); cause != nil {
			require.Equal(t, errCut, cause)
			cut = true
		}
		run.Observe = nil
		require.NoError(t, run.Close())
	}()
	n := 0
	quick(run).Observe = func(int, string) {
		if n++; n == at {
			panic(errCut)
		}
	}
	require.NoError(t, do(context.Background(), works))
	return false
}

// clearBuilt removes the data dirs that undone runs had built, of 64 MB each.
func clearBuilt(t testing.TB, dir string) {
	t.Helper()
	data := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd")
	info, err := os.Stat(data)
	require.NoError(t, err)
	built, err := filepath.Glob(filepath.Join(data, "lifeboat-*"))
	require.NoError(t, err)
	for _, name := range built {
		require.NoError(t, os.RemoveAll(name))
	}
	require.NoError(t, os.Chtimes(data, info.ModTime(), info.ModTime()))
}

var runIDs = regexp.MustCompile(`20261128T120000Z(-\d+)?`)

// left is what a run leaves, whatever its id is; a data dir that is built is not
// the same to the byte twice.
func left(t testing.TB, dir, id string) []string {
	t.Helper()
	var lines []string
	for _, line := range tree(t, dir, false) {
		if found := runIDs.FindString(line); found != "" && found != id {
			continue // an earlier run's
		}
		line = strings.ReplaceAll(line, id, "ID")
		if strings.Contains(line, "/member/") {
			line, _, _ = strings.Cut(line, " ")
		}
		lines = append(lines, line)
	}
	return lines
}

// Every procedure, cut off at every record: gone on with, it leaves what a run
// that nobody cut off leaves; undone, what was there before. An undo that is cut
// off is gone on with.
func TestCutOffAtEveryRecord(t *testing.T) {
	t.Parallel()
	for _, v := range verbs() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			dir := master(t, strings.TrimPrefix(v.member, "a file"))
			if v.member == "a file" {
				snap := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap")
				require.NoError(t, os.MkdirAll(snap, 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(snap, "old"), []byte("old data"), 0o600))
			}
			policy, err := os.ReadFile("../controlplane/testdata/edit/deckhouse-kube-apiserver.yaml")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/kubernetes/manifests/kube-apiserver.yaml"), policy, 0o640))
			before := tree(t, dir, true)
			root := openRoot(t, dir)

			every := v.every
			if os.Getenv("LIFEBOAT_SOAK") != "" {
				every = 1
			}
			start := func() (*Run, map[string]Work) {
				clearBuilt(t, dir)
				s := look(t, root)
				plan, err := v.plan(s)
				require.NoError(t, err)
				run, err := Begin(root, plan)
				require.NoError(t, err)
				var works map[string]Work
				if v.works != nil {
					works = v.works(s)
				}
				return run, works
			}
			undo := func() {
				back(t, root)
				require.Equal(t, before, tree(t, dir, true))
			}

			run, works := start()
			require.NoError(t, quick(run).Forward(t.Context(), works))
			require.NoError(t, run.Close())
			done := left(t, dir, run.Plan.ID)
			undo()
			steps := len(run.Plan.Steps)

			at := 1 + rand.IntN(every)
			for ; ; at += every {
				run, works := start()
				if !cutOff(t, run, at, run.Forward, works) {
					undo()
					break
				}
				undo()

				run, works = start()
				require.True(t, cutOff(t, run, at, run.Forward, works))
				again, err := Load(root, run.Plan.ID)
				require.NoError(t, err)
				if again.Status() == Begun { // else its last record was written
					require.NoError(t, quick(again).Forward(t.Context(), works), "cut off at %d of %s", at, v.name)
				}
				require.NoError(t, again.Close())
				require.Equal(t, done, left(t, dir, run.Plan.ID), "cut off at %d of %s, gone on with", at, v.name)

				again, err = Load(root, run.Plan.ID)
				require.NoError(t, err)
				if cutOff(t, again, at, again.Back, works) && again.Status() != Undone {
					undo()
				}
				require.Equal(t, before, tree(t, dir, true), "undo cut off at %d of %s", at, v.name)
			}
			require.Greater(t, at, 2*(2*steps+1), "there are two for each record")
		})
	}
}
