package host

import (
	"context"
	"fmt"
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
	act, known := actions()[s.Kind]
	if !known {
		return fmt.Errorf("a %q is not a step that this lifeboat knows", s.Kind)
	}
	if err := r.note(i, eventBegin); err != nil {
		return err
	}
	if err := act.do(ctx, r, s); err != nil {
		return err
	}
	return r.note(i, eventDone)
}

// Back undoes what was done, from the last step to the first, and gives the
// folders their times back.
func (r *Run) Back(ctx context.Context, works map[string]Work) error {
	if r.Status() == Undone {
		return fmt.Errorf("run %s is undone already: %w", r.Plan.ID, ErrNothingToDo)
	}
	r.works, r.back = works, true
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

func (r *Run) undo(ctx context.Context, i int, s Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	act, known := actions()[s.Kind]
	if !known {
		return fmt.Errorf("a %q is not a step that this lifeboat knows", s.Kind)
	}
	if r.last(i) == eventBegin && s.Kind == Wait {
		// Whatever came after it never began.
		return r.note(i, eventUndone)
	}
	if err := act.undo(ctx, r, s); err != nil {
		return err
	}
	return r.note(i, eventUndone)
}
