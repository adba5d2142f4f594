package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

func doMove(_ context.Context, r *Run, s Step) error   { return r.move(s.From, s.To, s.ID) }
func undoMove(_ context.Context, r *Run, s Step) error { return r.move(s.To, s.From, s.ID) }

// move renames, unless that was done. id tells what is moved; of what the run
// has built it is not known.
func (r *Run) move(from, to string, id identity) error {
	hasFrom, hasTo := r.root.exists(from), r.root.exists(to)
	known := id != identity{}
	switch {
	case hasFrom && hasTo:
		return fmt.Errorf("moving %q: %q came into being meanwhile: it was %w", from, to, ErrChanged)
	case !hasFrom && !hasTo:
		return fmt.Errorf("moving %q: it is gone, and not at %q either: %w", from, to, ErrChanged)
	case hasTo && known && !r.root.is(to, id):
		return fmt.Errorf("moving %q: what stands at %q is another one: %w", from, to, ErrChanged)
	case hasTo:
		return nil
	case known && !r.root.is(from, id):
		return fmt.Errorf("moving %q: it is another one than before: %w", from, ErrChanged)
	}
	return r.root.rename(from, to, keepOther)
}

// doSwap puts what stands at From in the place of To, whose identity is ID.
func doSwap(_ context.Context, r *Run, s Step) error   { return r.swap(s.From, s.To, s.ID) }
func undoSwap(_ context.Context, r *Run, s Step) error { return r.swap(s.To, s.From, s.ID) }

// swap makes sure that what id names stands at aside and not at place.
func (r *Run) swap(aside, place string, id identity) error {
	switch {
	case r.root.is(aside, id):
		return nil
	case !r.root.is(place, id):
		return fmt.Errorf("exchanging %q: what stood there is gone: %w", place, ErrChanged)
	case !r.root.exists(aside):
		if r.back {
			return r.root.rename(place, aside, keepOther) // the new one is gone, the old one goes home
		}
		return fmt.Errorf("exchanging %q: %q is gone: %w", place, aside, ErrChanged)
	}
	return r.root.rename(aside, place, exchange)
}

func doMake(_ context.Context, r *Run, s Step) error {
	err := r.root.root.Mkdir(rel(s.To), 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return r.root.syncAbove(s.To)
}

// undoMake leaves a folder that something stands in by now.
func undoMake(_ context.Context, r *Run, s Step) error {
	return r.root.removeEmpty(s.To)
}

func doTidy(_ context.Context, r *Run, s Step) error { return r.root.removeEmpty(s.From) }

func undoTidy(_ context.Context, r *Run, s Step) error {
	if err := r.root.root.Mkdir(rel(s.From), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return r.root.syncAbove(s.From)
}

func (r *Root) removeEmpty(dir string) error {
	info, err := r.lstat(dir)
	if err != nil || info == nil || !info.IsDir() {
		return err
	}
	err = r.root.Remove(rel(dir))
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, r.syncAbove(dir))
}

func doBuild(ctx context.Context, r *Run, s Step) error {
	if r.root.exists(s.To) {
		return nil // whole, or it would have another name
	}
	if err := r.Plan.Source.holds(); err != nil {
		return err
	}
	return r.work(ctx, s)
}

// undoBuild keeps what was built, which an etcd may have written to since; of a
// build that was cut off nothing is kept.
func undoBuild(_ context.Context, r *Run, s Step) error {
	return r.root.root.RemoveAll(rel(s.To + ".part"))
}

func doCheck(ctx context.Context, r *Run, s Step) error {
	if s.Work == "" {
		return r.standing()
	}
	return r.work(ctx, s)
}

func (r *Run) work(ctx context.Context, s Step) error {
	work := r.works[s.Work]
	if work == nil {
		return fmt.Errorf("%s: nobody knows how to %s", s, s.Work)
	}
	return work(ctx, r.root.Path(s.To))
}
