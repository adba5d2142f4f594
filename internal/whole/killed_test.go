package whole

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// kill runs one write in a child and kills it before a system call; false where
// it ended before it came so far.
func (k killedRun) kill(t testing.TB) bool {
	t.Helper()
	spec, err := json.Marshal(k)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killedEnv+"="+string(spec))
	out, err := cmd.CombinedOutput()
	if err == nil {
		require.Equal(t, "<nil>\n", string(out))
		return false
	}
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), err)
	require.True(t, exit.Sys().(syscall.WaitStatus).Signaled(), string(out))
	return true
}

// A kill before a system call of every way of writing, and then one at any moment
// of the run after it: there is the old target or the new one, whole; the next run
// names and removes what is left, keeps what was replaced, and touches nothing
// else. To the file system a kill is what TestErrorAtEveryStep does at each call,
// in one process: nothing works any more. So some of them do here, all in make soak.
func TestKilled(t *testing.T) {
	t.Parallel()
	stride := 10
	if soak > 1 {
		stride = 1
	}
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			steps, twice := 0, 0
			for killed := true; killed; steps += 1 + rand.IntN(stride) {
				dir := s.prepare(t)
				run := killedRun{Scenario: s.name, Dir: dir, Existing: s.existing, Text: "new", Kill: steps}
				killed = run.kill(t)
				h := history{scenario: s, dir: dir, wrote: []string{"new"}}
				h.look(t)
				if killed && rand.IntN(3) == 0 && !h.filled(t) {
					again := killedRun{Scenario: s.name, Dir: dir, Existing: h.existing(t), Text: "again", Kill: rand.IntN(40)}
					if again.kill(t) {
						twice++
					}
					h.wrote = append(h.wrote, "again")
					h.look(t)
				}
				h.next(t)
			}
			require.Greater(t, steps, 8)
			t.Logf("killed twice %d times", twice)
		})
	}
}

// history is what was tried on a target, and what was seen there.
type history struct {
	scenario
	dir   string
	wrote []string // texts of runs that may have come to an end
	seen  []string // texts that stood in the place
}

// look makes sure that what stands there is whole, and one of what was written.
func (h *history) look(t testing.TB) {
	t.Helper()
	if h.seen == nil && h.old {
		h.seen = []string{"old"}
	}
	text := h.text(t, h.final(h.dir))
	switch {
	case text == "" && h.old && !h.gap:
		require.Fail(t, "there is no target")
	case text == "":
	case text != "old" || !h.old:
		require.Contains(t, h.wrote, text)
	}
	if text != "" && !slices.Contains(h.seen, text) {
		h.seen = append(h.seen, text)
	}
}

// existing is how the next run is to write.
func (h *history) existing(t testing.TB) Existing {
	t.Helper()
	if len(h.seen) > 0 && h.scenario.existing == Refuse {
		return MoveAside
	}
	return h.scenario.existing
}

// filled says that a folder that was empty is not any more: it would be replaced
// as a whole, which is another scenario.
func (h *history) filled(t testing.TB) bool {
	t.Helper()
	return h.inside != "" && !h.mount && h.text(t, h.final(h.dir)) != ""
}

// next is a run without faults.
func (h *history) next(t testing.TB) {
	t.Helper()
	if h.filled(t) {
		return
	}
	existing := h.existing(t)
	before := h.text(t, h.final(h.dir))
	_, left := FindLeftover(h.final(h.dir) + partSuffix)
	var found []Leftover
	err := h.write(h.dir, "next", Options{Existing: existing, Found: func(l Leftover) { found = append(found, l) }, before: h.refuse})
	require.NoError(t, err)
	require.Equal(t, left, len(found) == 1, "what is left is named")
	require.Equal(t, "next", h.text(t, h.final(h.dir)))
	h.requireNothingElse(t, h.dir)
	if h.old && before == "" {
		require.Equal(t, h.final(h.dir), found[0].Back, "it was put back first")
	}
	if existing == MoveAside {
		kept := h.asides(t, h.dir)
		for _, text := range h.seen {
			require.Contains(t, kept, text)
		}
		if before != "" {
			require.Contains(t, kept, before)
		}
		require.NotContains(t, kept, "next")
	}
	for _, l := range found {
		if l.Aside != "" {
			require.NotEmpty(t, h.text(t, l.Aside))
		}
	}
}
