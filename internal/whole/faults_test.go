package whole

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
)

// faulty counts system calls and has some fail: so many from one on.
type faulty struct {
	scenario
	at, calls int
	fails     int
	failed    []string
}

// onwards is for all that come.
const onwards = 1 << 30

func (f *faulty) before(call string) error {
	f.calls++
	if n := f.calls - 1 - f.at; n >= 0 && n < f.fails {
		f.failed = append(f.failed, call)
		return syscall.EIO
	}
	return f.refuse(call)
}

// An error at each system call of every way of writing, and at the one behind it,
// which may be the way back, or for good:
// the run says so, what stood there stands there, unless the new one does, and
// nothing is left that the next run does not put in order.
func TestErrorAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, fails := range []int{1, 2, onwards} {
				for at, more := 0, true; more; at++ {
					dir := s.prepare(t)
					f := &faulty{scenario: s, at: at, fails: fails}
					err := s.write(dir, "new", Options{Existing: s.existing, before: f.before})
					more = len(f.failed) > 0
					h := history{scenario: s, dir: dir, wrote: []string{"new"}}
					h.gap = h.gap && fails > 1 // the way back fails as well
					h.look(t)
					switch text := s.text(t, s.final(dir)); {
					case err != nil:
						require.ErrorIs(t, err, syscall.EIO)
						if fails == 1 && slices.Contains([]string{"write note", "rename note", "exchange", "rename", "link aside", "move aside", "rename over"}, f.failed[0]) {
							require.NotEqual(t, "new", text, "it failed at %v, and stands there", f.failed)
						}
						if fails == 1 && text != "new" {
							s.requireNothingElse(t, dir)
							require.Empty(t, s.asides(t, dir), "at %v", f.failed)
						}
					default:
						for _, call := range f.failed { // another way is gone then
							require.Contains(t, []string{"create unnamed", "move aside by link", "link aside", "rename by link"}, call, "no error")
						}
						require.Equal(t, "new", text)
					}
					h.next(t)
				}
			}
		})
	}
}

// Runs that fail, die or end, one after the other on one target: the target is
// always whole, and nothing that ever stood there is lost.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	aside := slices.DeleteFunc(scenarios(), func(s scenario) bool { return s.existing != MoveAside || s.mount })
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom(aside).Draw(rt, "scenario")
		dir := s.prepare(t)
		h := history{scenario: s, dir: dir}
		h.gap = true // looked at below
		for i := range rapid.IntRange(1, 6).Draw(rt, "runs") {
			text := strconv.Itoa(i)
			h.wrote = append(h.wrote, text)
			f := &faulty{scenario: s, at: rapid.IntRange(0, 40).Draw(rt, "at"), fails: rapid.SampledFrom([]int{1, 2, onwards}).Draw(rt, "fails")}
			err := s.write(dir, text, Options{Existing: MoveAside, before: f.before})
			if err == nil {
				require.Equal(rt, text, s.text(t, s.final(dir)))
			}
			h.look(t)
			if s.text(t, s.final(dir)) == "" {
				require.True(rt, s.gap, "there is no target after %v", f.failed)
			}
		}
		h.next(t)
	})
}

// A file system without room, at every number of files: what stands there stands
// there, and nothing is left beside it.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		if s.mount || s.without != nil {
			continue
		}
		for inodes, written := 4, 0; written < 2; inodes++ {
			require.Less(t, inodes, 60)
			dir := t.TempDir()
			mounttest.Tmpfs(t, dir, 0, "size=1m,nr_inodes="+strconv.Itoa(inodes))
			if s.prepareIn(dir) != nil {
				continue // not even room for what stands there before
			}
			before := tree(t, dir)
			err := s.write(dir, "new", Options{Existing: s.existing})
			if err == nil {
				require.Equal(t, "new", s.text(t, s.final(dir)))
				written++
				continue
			}
			require.ErrorIs(t, err, syscall.ENOSPC, "%s with %d inodes", s.name, inodes)
			require.Equal(t, before, tree(t, dir), "%s with %d inodes", s.name, inodes)
		}
	}
	dir := t.TempDir()
	mounttest.Tmpfs(t, dir, 0, "size=64k")
	require.ErrorIs(t, WriteFile(filepath.Join(dir, "target"), make([]byte, 1<<20), Options{}), syscall.ENOSPC)
	require.Len(t, tree(t, dir), 1)
}

// All that was built is on the disk before it gets its name, and the name is
// before the build's folder goes.
func TestSyncedBeforeTheRename(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"file":         {"sync file", "link", "sync", "rename", "sync", "remove"},
		"folder":       {"sync", "sync", "sync", "sync", "rename", "sync", "remove"},
		"folder aside": {"chmod", "sync", "sync", "sync", "sync", "write note", "sync", "rename note", "sync", "exchange", "move aside", "sync", "remove"},
	} {
		s, calls := scenarioNamed(name), []string{}
		err := s.write(s.prepare(t), "new", Options{Existing: s.existing, before: func(call string) error {
			calls = append(calls, call)
			return nil
		}})
		require.NoError(t, err)
		first := slices.Index(calls, want[0])
		got := calls[first:min(first+len(want), len(calls))]
		if last := len(got) - 1; strings.HasPrefix(got[last], "remove ") {
			got[last] = "remove"
		}
		require.Equal(t, want, got, name)
	}

	// What was written through before, while something else was checked, is not
	// written through again.
	syncs := 0
	d, err := NewDir(filepath.Join(t.TempDir(), "dir"), Options{before: func(call string) error {
		if call == "sync" {
			syncs++
		}
		return nil
	}})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(d.Data, 0o700))
	require.NoError(t, d.Sync(t.Context()))
	before := syncs
	require.NoError(t, d.Commit())
	require.Equal(t, before+1, syncs, "the folder above alone")
}
