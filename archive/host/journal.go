package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/filelock"
)

// journalDir holds a folder per run: plan.json, and records, a JSON object to a
// line, each synced before the next step begins.
const journalDir = "/var/lib/lifeboat/journal"

const (
	planFile    = "plan.json"
	recordsFile = "records"

	// journalFormat is what this program writes, and the newest that it reads. A
	// journal without one is of format 1.
	journalFormat = 1

	// maxPlan bounds a plan that is read back.
	maxPlan = 64 << 20

	// reserved is the room of the records file, taken when a run begins: a disk
	// that fills up meanwhile does not keep a run from being noted or undone.
	reserved = 64 << 10
)

// ErrUnfinished says that a run was cut off: it has to be gone on with, or
// undone, before another one.
var ErrUnfinished = errors.New("an earlier run is not finished")

// ErrRunning says that another process is at work on the host.
var ErrRunning = errors.New("another run is at work on this host")

// ErrNewer says that a journal was written by a newer lifeboat.
var ErrNewer = errors.New("written by a newer lifeboat, which has to go on with it")

// ErrNoRun says that the journal has no such run.
var ErrNoRun = errors.New("no such run in the journal")

// Status is how far a run is.
type Status string

// The states of a run.
const (
	Begun  Status = "not finished"
	Done   Status = "done"
	Going  Status = "undo not finished"
	Undone Status = "undone"
	Closed Status = "closed as it stands"
)

// record is one line of a run's records.
type record struct {
	Step  int    `json:"step"` // from 0; -1 for the run itself
	Event string `json:"event"`
}

// The events of records.
const (
	eventBegin  = "begin"  // the step is about to be done
	eventDone   = "done"   // it was; of the run: all were
	eventUndo   = "undo"   // the run is about to be undone
	eventUndone = "undone" // the step was; of the run: all were
	eventClosed = "closed" // of the run: nobody goes on with it
)

// Run is a plan that was begun.
type Run struct {
	Plan     *Plan
	Patience Patience
	Observe  func(step int, event string) // told of every record, before and after it is written; may be nil

	root    *Root
	dir     string
	lock    *os.File
	records []record
	size    int64 // of the records that are whole
	works   map[string]Work
	back    bool
}

// Begin starts a run: it checks that the host is as the plan found it, and that
// no other run is under way, and writes the plan down. Nothing else is changed.
//
// Errors: ErrChanged, ErrUnfinished, ErrRunning, ErrOtherHost.
func Begin(root *Root, plan *Plan) (*Run, error) {
	r, err := begin(root, plan)
	if err != nil {
		return nil, fmt.Errorf("beginning %s: %w", plan.Verb, err)
	}
	return r, nil
}

func begin(root *Root, plan *Plan) (*Run, error) {
	if err := root.root.MkdirAll(rel(journalDir), 0o700); err != nil {
		return nil, err
	}
	r := &Run{Plan: plan, root: root, dir: path.Join(journalDir, plan.ID)}
	if err := r.take(); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Run) begin() error {
	machine, err := r.root.machine()
	if err != nil {
		return err
	}
	if err := r.Plan.Host.check(machine); err != nil {
		return err
	}
	if other, err := Unfinished(r.root); err != nil || other != "" {
		return errors.Join(err, fmt.Errorf("%w: %s", ErrUnfinished, other))
	}
	for _, f := range r.Plan.Facts {
		if err := r.root.holds(f); err != nil {
			return err
		}
	}
	if err := r.Plan.Source.holds(); err != nil {
		return err
	}
	return r.writePlan()
}

// writePlan makes the run's folder, whole or not at all.
func (r *Run) writePlan() error {
	data, err := json.Marshal(r.Plan)
	if err != nil {
		return err
	}
	part := r.dir + ".part"
	if err := r.root.root.RemoveAll(rel(part)); err != nil { // what a killed beginning left
		return err
	}
	err = r.root.root.Mkdir(rel(part), 0o700)
	if err == nil {
		err = r.root.writeNew(path.Join(part, planFile), data)
	}
	if err == nil {
		err = r.root.writeNew(path.Join(part, recordsFile), make([]byte, reserved))
	}
	if err == nil {
		err = r.root.rename(part, r.dir, keepOther)
	}
	if err != nil {
		return errors.Join(err, r.root.root.RemoveAll(rel(part)))
	}
	return nil
}

// writeNew writes a file that nobody else reads, through to the disk.
func (r *Root) writeNew(name string, data []byte) error {
	f, err := r.root.OpenFile(rel(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close(), r.syncAbove(name))
}

// take makes this the only run at work on the host.
func (r *Run) take() error {
	var err error
	if r.lock, err = r.root.root.Open(rel(journalDir)); err != nil {
		return err
	}
	err = filelock.Take(r.lock)
	if errors.Is(err, filelock.ErrHeld) {
		err = ErrRunning
	}
	if err != nil {
		return errors.Join(err, r.lock.Close())
	}
	return nil
}

// Close lets others run. What was begun stays as it is.
func (r *Run) Close() error { return filelock.Release(r.lock) }

// Load opens a run of the journal, to go on with it or to undo it.
//
// Errors: ErrNoRun, ErrOtherHost, ErrRunning.
func Load(root *Root, id string) (*Run, error) {
	if id == "" || strings.ContainsAny(id, "/\x00") || strings.HasPrefix(id, ".") || !root.exists(path.Join(journalDir, id, planFile)) {
		return nil, fmt.Errorf("%w: %q", ErrNoRun, id)
	}
	r := &Run{root: root, dir: path.Join(journalDir, id)}
	if err := r.take(); err != nil {
		return nil, err
	}
	machine, err := root.machine()
	if err == nil {
		err = r.read()
	}
	if err == nil {
		err = r.Plan.Host.check(machine)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening run %s: %w", id, err), r.Close())
	}
	return r, nil
}

// read takes in the plan and the records, up to one that a kill cut off.
func (r *Run) read() error {
	data, err := r.root.readFile(path.Join(r.dir, planFile), maxPlan)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &r.Plan); err != nil {
		return fmt.Errorf("reading %s: %w", planFile, err)
	}
	if r.Plan == nil || r.Plan.ID != path.Base(r.dir) {
		return fmt.Errorf("reading %s: %w: it is not this run's", planFile, fs.ErrInvalid)
	}
	if r.Plan.Format > journalFormat {
		return fmt.Errorf("reading %s: format %d: %w", planFile, r.Plan.Format, ErrNewer)
	}
	for _, s := range r.Plan.Steps {
		if _, known := actions()[s.Kind]; !known {
			return fmt.Errorf("reading %s: %w: %q is no step", planFile, fs.ErrInvalid, s.Kind)
		}
	}
	f, err := r.root.root.Open(rel(path.Join(r.dir, recordsFile)))
	if err != nil {
		return err
	}
	defer f.Close()
	if data, err = io.ReadAll(io.LimitReader(f, maxPlan)); err != nil {
		return err
	}
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		var one record
		if !whole || json.Unmarshal(line, &one) != nil || one.Step < -1 || one.Step >= len(r.Plan.Steps) {
			return nil
		}
		r.records = append(r.records, one)
		r.size += int64(len(line)) + 1
		data = rest
	}
}

// note writes a record through to the disk.
func (r *Run) note(step int, event string) error {
	r.observe(step, event)
	line, err := json.Marshal(record{Step: step, Event: event})
	if err != nil {
		return err
	}
	f, err := r.root.root.OpenFile(rel(path.Join(r.dir, recordsFile)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(line, '\n'), r.size)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	r.size += int64(len(line)) + 1
	r.records = append(r.records, record{Step: step, Event: event})
	r.observe(step, event)
	return nil
}

func (r *Run) observe(step int, event string) {
	if r.Observe != nil {
		r.Observe(step, event)
	}
}

// Status is how far the run is.
func (r *Run) Status() Status {
	status := Begun
	for _, one := range r.records {
		switch {
		case one.Event == eventUndo:
			status = Going
		case one.Step == -1 && one.Event == eventDone:
			status = Done
		case one.Step == -1 && one.Event == eventUndone:
			status = Undone
		case one.Event == eventClosed:
			status = Closed
		}
	}
	return status
}

// Reached is how many steps are done by now.
func (r *Run) Reached() int {
	n := 0
	for i := range r.Plan.Steps {
		if r.last(i) == eventDone {
			n++
		}
	}
	return n
}

// last is the newest record of a step, "" for none.
func (r *Run) last(step int) string {
	for _, one := range slices.Backward(r.records) {
		if one.Step == step {
			return one.Event
		}
	}
	return ""
}
