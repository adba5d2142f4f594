package host

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Plan is a procedure on one host, decided and not begun.
type Plan struct {
	Format  int      `json:"format"`  // of the journal, see journalFormat
	Number  int      `json:"number"`  // of the run on this host, from 1: the clock may be set back
	ID      string   `json:"id"`      // of the run to be; part of the names that it makes
	Verb    string   `json:"verb"`    // "host restore"
	Args    []string `json:"args"`    // what the verb was given, to go on in another process
	Host    Machine  `json:"host"`    // where it runs and nowhere else
	Member  string   `json:"member"`  // etcd's name here, "" where it is not known
	Severe  bool     `json:"severe"`  // it changes what the cluster holds, or who is in it
	Facts   []Fact   `json:"facts"`   // what has to be as it was when the plan was made
	Steps   []Step   `json:"steps"`   // in this order
	Notes   []string `json:"notes"`   // what to know before it runs
	Next    []string `json:"next"`    // what the operator does afterwards
	Folders []Folder `json:"folders"` // whose times an undo brings back
	Source  *Source  `json:"source,omitempty"`
}

// Folder is a folder whose names a run changes, and its time before.
type Folder struct {
	Path string `json:"path"`
	Time int64  `json:"time"` // ns since 1970
}

// NeedsSource reports whether a step of it reads a backup or a data dir.
func (p *Plan) NeedsSource() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Work != "" })
}

// planner adds steps to a plan and binds it to what they touch.
type planner struct {
	root *Root
	plan *Plan
}

// newPlan begins a plan whose id no run and no name on the host has.
func (r *Root) newPlan(verb string, now time.Time) (*planner, error) {
	machine, err := r.machine()
	if err != nil {
		return nil, err
	}
	runs, err := History(r)
	if err != nil {
		return nil, err
	}
	number := 1
	for _, e := range runs {
		number = max(number, e.Number+1)
	}
	id := now.UTC().Format("20060102T150405Z")
	for n := 2; r.exists(path.Join(journalDir, id)); n++ {
		id = fmt.Sprintf("%s-%d", now.UTC().Format("20060102T150405Z"), n)
	}
	if err := r.writable(journalDir); err != nil {
		return nil, err
	}
	return &planner{root: r, plan: &Plan{
		Format: journalFormat, Number: number, ID: id, Verb: verb, Host: machine,
		Args: []string{}, Facts: []Fact{}, Steps: []Step{}, Notes: []string{}, Next: []string{}, Folders: []Folder{},
	}}, nil
}

// bind makes the plan hang on a name staying as it is, and gives its identity.
func (p *planner) bind(name string) (Fact, error) {
	for _, f := range p.plan.Facts {
		if f.Path == name {
			return f, nil
		}
	}
	if p.root.immutable(name) || p.root.immutable(path.Dir(name)) {
		return Fact{}, refusef("%q cannot be renamed, since it or its folder is immutable: chattr -ia %s %s", name, quote(p.root.Path(name)), quote(path.Dir(p.root.Path(name))))
	}
	f, err := p.root.fact(name)
	if err == nil {
		p.plan.Facts = append(p.plan.Facts, f)
	}
	return f, err
}

func (p *planner) add(s Step) { p.plan.Steps = append(p.plan.Steps, s) }

// finish ends a plan: every one ends with a check.
func (p *planner) finish() *Plan {
	p.add(Step{Kind: Check, Why: "nothing else has moved or changed what this run did", Undo: "nothing was changed"})
	return p.plan
}

func (p *planner) note(format string, args ...any) {
	p.plan.Notes = append(p.plan.Notes, fmt.Sprintf(format, args...))
}

func (p *planner) next(format string, args ...any) {
	p.plan.Next = append(p.plan.Next, fmt.Sprintf(format, args...))
}

// folder remembers the time of a folder whose names will change.
func (p *planner) folder(dir string) error {
	if err := p.root.writable(dir); err != nil {
		return err
	}
	if slices.ContainsFunc(p.plan.Folders, func(f Folder) bool { return f.Path == dir }) {
		return nil
	}
	info, err := p.root.lstat(dir)
	if err == nil && info != nil {
		p.plan.Folders = append(p.plan.Folders, Folder{Path: dir, Time: info.ModTime().UnixNano()})
	}
	return err
}

// move plans a move of what stands there now.
func (p *planner) move(from, to, why string) error {
	f, err := p.bind(from)
	if err != nil {
		return err
	}
	if f.Kind == "nothing" {
		return fmt.Errorf("moving %q: %w", from, syscall.ENOENT)
	}
	if err := p.both(from, to); err != nil {
		return err
	}
	p.add(Step{Kind: Move, From: from, To: to, ID: f.ID, Why: why, Undo: "it is moved back"})
	return nil
}

// moveBack plans the way back of what an earlier step moves away.
func (p *planner) moveBack(s Step, why string) {
	p.add(Step{Kind: Move, From: s.To, To: s.From, ID: s.ID, Why: why, Undo: "it is moved out again"})
}

// both makes sure that a name can be changed from one to the other.
func (p *planner) both(from, to string) error {
	if p.root.exists(to) {
		return fmt.Errorf("planning for %q: %q: %w", from, to, syscall.EEXIST)
	}
	for _, dir := range []string{path.Dir(from), path.Dir(to)} {
		if err := p.folder(dir); err != nil {
			return err
		}
	}
	return nil
}

// edit plans the change of a file's content.
func (p *planner) edit(name string, content []byte, why string) error {
	f, err := p.bind(name)
	if err != nil {
		return err
	}
	old, err := p.root.readFile(name, maxDigest)
	if err != nil {
		return err
	}
	aside, err := p.aside(name)
	if err != nil {
		return err
	}
	if err := p.both(name, aside); err != nil {
		return err
	}
	p.add(Step{
		Kind: Edit, From: aside, To: name, Content: content, Old: f.Digest, ID: f.ID,
		Diff: diffLines(string(old), string(content)), Why: why, Undo: "the old file, as it was, is put back",
	})
	return nil
}

// aside is where something goes that is taken away: beside its place. What
// stands in the folder of static Pods goes into the folder above, where kubelet
// does not run it; where that is another file system, it gets a name that
// begins with a dot, which kubelet passes over (pkg/kubelet/config/file.go).
func (p *planner) aside(name string) (string, error) {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if path.Base(dir) != "manifests" {
		return p.free(dir, base), nil
	}
	own, err := p.root.device(dir)
	if err != nil {
		return "", err
	}
	above, err := p.root.device(path.Dir(dir))
	if err != nil {
		return "", err
	}
	if own != above || p.root.writable(path.Dir(dir)) != nil {
		return p.free(dir, "."+base), nil //nolint:nilerr // what cannot be written to is not a place for it
	}
	return p.free(path.Dir(dir), base), nil
}

// free is the name of something that is taken away, which no earlier step uses: a
// manifest may be edited, and then moved.
func (p *planner) free(dir, base string) string {
	to := path.Join(dir, base+".old-"+p.plan.ID)
	for n := 2; slices.ContainsFunc(p.plan.Steps, func(s Step) bool { return s.From == to || s.To == to }); n++ {
		to = fmt.Sprintf("%s.%d", path.Join(dir, base+".old-"+p.plan.ID), n)
	}
	return to
}

// diffLines shows the lines that an edit takes out and puts in, with their
// numbers. The edits are of few lines, so what both ends share is cut off and
// the rest held line against line.
func diffLines(old, now string) string {
	a, b := strings.Split(old, "\n"), strings.Split(now, "\n")
	var out strings.Builder
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		if i < len(a) && j < len(b) && a[i] == b[j] {
			i, j = i+1, j+1
			continue
		}
		// The nearest line of the old that the new goes on with, and the other
		// way round.
		gone, come := ahead(a[i:], b, j), ahead(b[j:], a, i)
		switch {
		case gone >= 0 && (come < 0 || gone <= come):
			for ; gone > 0; gone-- {
				fmt.Fprintf(&out, "%d: -%s\n", i+1, a[i])
				i++
			}
		case come >= 0:
			for ; come > 0; come-- {
				fmt.Fprintf(&out, "%d: +%s\n", j+1, b[j])
				j++
			}
		default:
			if i < len(a) {
				fmt.Fprintf(&out, "%d: -%s\n", i+1, a[i])
				i++
			}
			if j < len(b) {
				fmt.Fprintf(&out, "%d: +%s\n", j+1, b[j])
				j++
			}
		}
	}
	return out.String()
}

// ahead is how far the line other[at] is in lines; -1 for nowhere.
func ahead(lines, other []string, at int) int {
	if at >= len(other) {
		return len(lines)
	}
	return slices.Index(lines, other[at])
}
