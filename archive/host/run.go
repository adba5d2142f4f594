package host

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Forward does the steps that are not done yet. An error leaves the host as it
// is: the run can be gone on with, or undone.
func (r *Run) Forward(ctx context.Context, works map[string]Work) error {
	if s := r.Status(); s != Begun {
		return fmt.Errorf("run %s is %s: %w", r.Plan.ID, s, ErrNothingToDo)
	}
	r.works = works
	for i, step := range r.Plan.Steps {
		if r.last(i) == eventDone {
			continue
		}
		if err := r.step(ctx, i, step); err != nil {
			return fmt.Errorf("step %d of %d: %w", i+1, len(r.Plan.Steps), err)
		}
	}
	return r.note(-1, eventDone)
}

func (r *Run) step(ctx context.Context, i int, s Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.note(i, eventBegin); err != nil {
		return err
	}
	if err := actions()[s.Kind].do(ctx, r, s); err != nil {
		return err
	}
	return r.note(i, eventDone)
}

// Abandon closes a run that was cut off, and that neither goes on nor back: all
// stays as it stands, and other runs may begin.
func (r *Run) Abandon() error {
	if s := r.Status(); s != Begun && s != Going {
		return fmt.Errorf("run %s is %s: %w", r.Plan.ID, s, ErrNothingToDo)
	}
	return r.note(-1, eventClosed)
}

// standing makes sure that what a run that is done has moved, exchanged and
// edited is where the run has left it, as it was.
func (r *Run) standing() error {
	last := map[identity]string{}
	for _, s := range r.Plan.Steps {
		switch s.Kind {
		case Move:
			last[s.ID] = s.To
		case Swap:
			last[s.ID] = s.From
		case Edit:
			if now := r.root.digest(s.To); now != digestOf(s.Content) && !r.movedLater(s) {
				return fmt.Errorf("the content of %q was %w; the old one is in %q", s.To, ErrChanged, s.From)
			}
			last[s.ID] = s.From
		}
	}
	for _, s := range r.Plan.Steps {
		if name := last[s.ID]; name != "" && s.ID != (identity{}) && !r.root.is(name, s.ID) {
			return fmt.Errorf("%q was replaced: it was %w", name, ErrChanged)
		}
	}
	return nil
}

// movedLater reports whether a later step takes away what an Edit has written.
func (r *Run) movedLater(edit Step) bool {
	at := edit.To
	for _, s := range r.Plan.Steps {
		if s.Kind == Move && s.From == at {
			at = s.To
		}
	}
	return at != edit.To
}

// Back undoes what was done, from the last step to the first, and gives the
// folders their times back. A run that is done is not begun to be undone when
// something that it changed was changed since.
func (r *Run) Back(ctx context.Context, works map[string]Work) error {
	if s := r.Status(); s == Undone || s == Closed {
		return fmt.Errorf("run %s is %s: %w", r.Plan.ID, s, ErrNothingToDo)
	}
	r.works, r.back = works, true
	if r.Status() == Done {
		if err := r.standing(); err != nil {
			return err
		}
	}
	if r.Status() != Going {
		if err := r.note(-1, eventUndo); err != nil {
			return err
		}
	}
	for i := len(r.Plan.Steps) - 1; i >= 0; i-- {
		if last := r.last(i); last == "" || last == eventUndone {
			continue
		}
		if err := r.undo(ctx, i, r.Plan.Steps[i]); err != nil {
			return fmt.Errorf("undoing step %d of %d: %w", i+1, len(r.Plan.Steps), err)
		}
	}
	for _, f := range r.Plan.Folders {
		if err := r.root.setTime(f.Path, time.Unix(0, f.Time)); err != nil {
			return err
		}
	}
	return r.note(-1, eventUndone)
}

// BackSteps are what an undo does, a line each, in its order.
func (r *Run) BackSteps() []string {
	steps := []string{}
	for i, s := range slices.Backward(r.Plan.Steps) {
		last := r.last(i)
		switch {
		case last == "" || last == eventUndone || s.Kind == Check:
		case s.Kind == Wait:
			steps = append(steps, s.String())
		default:
			steps = append(steps, "take back: "+s.String()+": "+s.Undo)
		}
	}
	return steps
}

// SevereBack reports whether an undo changes what the cluster holds, or who is in
// it: the run was severe, and came to its end or past an exchange. An undo that was
// begun was asked for already.
func (r *Run) SevereBack() bool {
	switch r.Status() {
	case Done:
		return r.Plan.Severe
	case Begun:
		return r.Plan.Severe && slices.ContainsFunc(r.records, func(one record) bool {
			return one.Step >= 0 && r.Plan.Steps[one.Step].Kind == Swap
		})
	}
	return false
}

func (r *Run) undo(ctx context.Context, i int, s Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.last(i) == eventBegin && s.Kind == Wait {
		// Whatever came after it never began.
		return r.note(i, eventUndone)
	}
	if err := actions()[s.Kind].undo(ctx, r, s); err != nil {
		return err
	}
	return r.note(i, eventUndone)
}
