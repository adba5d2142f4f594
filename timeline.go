package lifeboat

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// TimelineOptions say whose history is wanted. All of it has to be asked for
// with at least Words or a Namespace.
type TimelineOptions struct {
	Words     string // kinds, as kubectl takes them; "" is every kind
	Refs      []registry.Ref
	Namespace string // "" is every namespace

	Since, Until string         // times as registry.ParseMoment reads them; "" for no bound
	Zone         *time.Location // of Since and Until; nil is the host's
}

// Timeline is the history of objects, the newest change first.
func (b *Backup) Timeline(ctx context.Context, opts TimelineOptions) (*registry.Timeline, error) {
	reg, err := b.Objects(0)
	if err != nil {
		return nil, err
	}
	clock, err := b.Clock(ctx)
	if err != nil && !errors.Is(err, registry.ErrNoClock) {
		return nil, err
	}
	want, err := wanted(ctx, reg, opts)
	if err != nil {
		return nil, err
	}
	timeline, err := reg.History(ctx, clock, want)
	if err != nil {
		return nil, err
	}
	if err := b.addAttempts(ctx, reg, timeline, want); err != nil {
		return nil, err
	}
	var bounds [2]int64
	for i, text := range []string{opts.Since, opts.Until} {
		if text == "" {
			continue
		}
		zone := opts.Zone
		if zone == nil {
			zone = time.Local
		}
		if bounds[i], _, err = b.RevisionAt(ctx, text, zone); err != nil {
			return nil, err
		}
	}
	timeline.Between(bounds[0], bounds[1])
	return timeline, nil
}

// addAttempts adds what the log of a data dir asked for before the oldest revision
// that is held.
func (b *Backup) addAttempts(ctx context.Context, reg *registry.Registry, timeline *registry.Timeline, want func(registry.Key) bool) error {
	if b.replay == nil || b.History().Windows()[0].First < b.db.Windows()[0].First {
		return nil // there is no log, or older backups tell what became of it
	}
	attempts, err := b.replay.Attempts(ctx, b.db, reg.Matcher(want))
	if err != nil || len(attempts) == 0 {
		return err
	}
	clock, err := reg.LogClock(ctx, b.replay.Requests(ctx))
	if err != nil && !errors.Is(err, registry.ErrNoClock) {
		return err
	}
	timeline.AddAttempts(attempts, clock)
	return nil
}

// wanted takes the keys that are asked for. What a word means, the definitions
// of the newest revision say.
func wanted(ctx context.Context, reg *registry.Registry, opts TimelineOptions) (func(registry.Key) bool, error) {
	inNamespace := func(k registry.Key) bool {
		return opts.Namespace == "" || k.Namespace == opts.Namespace || k.Namespace == "" && k.Plural == "namespaces" && k.Name == opts.Namespace
	}
	if opts.Words == "" {
		return inNamespace, nil
	}
	listing, err := reg.List(ctx, registry.Query{Words: opts.Words, Namespace: opts.Namespace, Names: []string{}})
	if err != nil {
		return nil, err
	}
	kinds, names := map[schema.GroupResource]bool{}, map[schema.GroupResource]map[string]bool{}
	for _, k := range listing.Kinds {
		kinds[k.GroupResource()] = true
	}
	for _, ref := range opts.Refs {
		found, err := listing.Resources.Find(ref.Kind)
		if err != nil {
			return nil, err
		}
		for _, k := range found {
			if names[k.GroupResource()] == nil {
				names[k.GroupResource()] = map[string]bool{}
			}
			names[k.GroupResource()][ref.Name] = true
		}
	}
	return func(k registry.Key) bool {
		gr := k.GroupResource()
		return kinds[gr] && (opts.Refs == nil || names[gr][k.Name]) && (opts.Namespace == "" || k.Namespace == "" || k.Namespace == opts.Namespace)
	}, nil
}
