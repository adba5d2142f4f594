package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// deleted is a view of what was deleted, with what an operator should know of
// it as notes.
func (b *Backup) deleted(ctx context.Context, reg *registry.Registry, what registry.Selection) (*registry.Trash, error) {
	clock, err := b.Clock(ctx)
	if err != nil && !errors.Is(err, registry.ErrNoClock) {
		return nil, err
	}
	trash, err := reg.Trash(ctx, clock, nil)
	if err != nil {
		return nil, err
	}
	lost := 0
	for _, item := range trash.Items {
		asked := what.All || slices.Contains(what.Namespaces, item.Key.Namespace)
		switch {
		case item.Lost() && asked:
			lost++
		case item.Key.Plural == "namespaces" && item.Key.Group == "" && slices.Contains(what.Namespaces, item.Key.Name):
			b.opts.Observer.note("namespace %q was deleted at revision %d (%s); its objects are those of revision %d, before it was being deleted",
				item.Key.Name, item.Revision, item.When, item.Cut)
		}
	}
	if lost > 0 {
		b.opts.Observer.warn("of %d deleted objects no state is left: the history before their deletion was compacted", lost)
	}
	return trash, nil
}

// withoutLiving takes out what is not deleted itself: it is there, and kubectl
// create would refuse it. Rules look at it all the same: what a living ReplicaSet
// had deleted is no loss.
func withoutLiving(s *registry.Selected, what registry.Selection, trash *registry.Trash) error {
	s.Objects = slices.DeleteFunc(s.Objects, func(o *registry.Object) bool {
		_, gone := trash.Gone(o.Key)
		if !gone {
			s.Beside = append(s.Beside, o)
		}
		return !gone
	})
	for _, ref := range what.Refs {
		if !slices.ContainsFunc(s.Objects, func(o *registry.Object) bool { return s.Resources.Names(ref, o.Key) }) {
			return &Error{Class: Failed, Err: fmt.Errorf("%s is in the backup: it was not deleted", ref), Hint: "without --deleted it is extracted as it is"}
		}
	}
	if len(s.Objects) == 0 {
		return &Error{Class: Failed, Err: errors.New("nothing of what was asked for was deleted, as far back as the history in the backup goes: nothing is written")}
	}
	return nil
}

// hintSelection says of what is not there when it was.
func (b *Backup) hintSelection(ctx context.Context, err error, opts ExtractOptions) error {
	if opts.Deleted || opts.Engine == Etcd {
		return err
	}
	namespace, missing := (*registry.NamespaceError)(nil), (*registry.NotFoundError)(nil)
	switch {
	case errors.As(err, &namespace):
		return b.HintDeleted(ctx, err, opts.Revision, func(k registry.Key) bool {
			return k.Plural == "namespaces" && k.Group == "" && k.Name == namespace.Name
		})
	case errors.As(err, &missing):
		return b.HintDeleted(ctx, err, opts.Revision, func(k registry.Key) bool {
			return slices.ContainsFunc(missing.Refs, func(r registry.Ref) bool { return r.Name == k.Name }) &&
				(k.Namespace == "" || slices.Contains(missing.Namespaces, k.Namespace))
		})
	}
	return err
}
