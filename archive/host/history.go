package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// ErrNothingToDo says that a run is over.
var ErrNothingToDo = errors.New("there is nothing to do")

// Entry is one run of the journal.
type Entry struct {
	ID      string `json:"id"`
	Number  int    `json:"number"` // in the order in which they were begun
	Verb    string `json:"verb,omitempty"`
	Member  string `json:"member,omitempty"`
	Host    string `json:"host,omitempty"`
	Status  Status `json:"status,omitempty"`
	Steps   int    `json:"steps"`
	Reached int    `json:"stepsDone"`
	Problem string `json:"problem,omitempty"` // why it cannot be read
}

// History lists the runs of the journal, the oldest first; none where there is
// no journal. A journal that is no folder is an error: what was done cannot be
// told then.
func History(root *Root) ([]Entry, error) {
	entries, err := root.readDir(journalDir)
	if errors.Is(err, fs.ErrNotExist) {
		return []Entry{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	runs := []Entry{}
	for _, e := range entries {
		if !e.IsDir() || strings.HasSuffix(e.Name(), ".part") {
			continue
		}
		r := &Run{root: root, dir: path.Join(journalDir, e.Name())}
		if err := r.read(); err != nil {
			runs = append(runs, Entry{ID: e.Name(), Problem: err.Error()})
			continue
		}
		p := r.Plan
		runs = append(runs, Entry{
			ID: p.ID, Number: p.Number, Verb: p.Verb, Member: p.Member, Host: p.Host.Name,
			Status: r.Status(), Steps: len(p.Steps), Reached: r.Reached(),
		})
	}
	slices.SortStableFunc(runs, func(a, b Entry) int { return cmp.Or(a.Number-b.Number, compareIDs(a.ID, b.ID)) })
	return runs, nil
}

// compareIDs puts the second run of a second behind the first, the tenth behind
// the ninth.
func compareIDs(a, b string) int {
	x, nx, _ := strings.Cut(a, "-")
	y, ny, _ := strings.Cut(b, "-")
	if x != y {
		return strings.Compare(x, y)
	}
	if len(nx) != len(ny) {
		return len(nx) - len(ny)
	}
	return strings.Compare(nx, ny)
}

// Unfinished is the id of the run that was cut off, "" for none. One that
// cannot be read is an error: nobody knows what it did.
func Unfinished(root *Root) (string, error) {
	runs, err := History(root)
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(runs) {
		switch {
		case e.Problem != "":
			return "", fmt.Errorf("run %s of the journal: %s: %w, or not known to be; once you know what it did, move %s out of the journal",
				e.ID, e.Problem, ErrUnfinished, root.Path(path.Join(journalDir, e.ID)))
		case e.Status == Begun || e.Status == Going:
			return e.ID, nil
		}
	}
	return "", nil
}

// Newest is the run that an undo without an id means: the newest one that is
// not undone.
func Newest(root *Root) (string, error) {
	runs, err := History(root)
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(runs) {
		if e.Status != Undone && e.Status != Closed {
			return e.ID, nil
		}
	}
	return "", fmt.Errorf("%w: it has none that is not undone", ErrNoRun)
}

// Kept names what the run has left beside its places: what it replaced or, when
// it was undone, what it had built.
func (r *Run) Kept() []string {
	kept := []string{}
	for _, s := range r.Plan.Steps {
		name := ""
		switch s.Kind {
		case Swap, Edit:
			name = s.From
		case Move:
			name = s.To
		case Build:
			name = s.To
		}
		if name != "" && strings.Contains(name, r.Plan.ID) && r.root.exists(name) {
			kept = append(kept, name)
		}
	}
	slices.Sort(kept)
	return topmost(kept)
}

// topmost leaves out what stands below another name of a sorted list.
func topmost(names []string) []string {
	out := []string{}
	for _, name := range names {
		if n := len(out); n == 0 || name != out[n-1] && !strings.HasPrefix(name, out[n-1]+"/") {
			out = append(out, name)
		}
	}
	return out
}

// fewKept is how many names a person reads one by one.
const fewKept = 4

// KeptLines is Kept for people: where there are many, how many in which folder.
func (r *Run) KeptLines() []string {
	kept := r.Kept()
	if len(kept) <= fewKept {
		return kept
	}
	in := map[string]int{}
	for _, name := range kept {
		in[path.Dir(name)]++
	}
	var lines []string
	for _, dir := range slices.Sorted(maps.Keys(in)) {
		lines = append(lines, fmt.Sprintf("%s: %d, with %s in their names", dir, in[dir], r.Plan.ID))
	}
	return lines
}
