package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Inspection is what a backup is and holds.
type Inspection struct {
	Source     SourceFacts        `json:"source"`
	Etcd       snapshot.Info      `json:"etcd"`
	Members    []snapshot.Member  `json:"members"`
	Removed    []uint64           `json:"removedMembers,omitempty"`
	Alarms     []snapshot.Alarm   `json:"alarms"`
	Problems   []snapshot.Problem `json:"problems"`
	Kubernetes *registry.Survey   `json:"kubernetes"`
	History    *HistoryFacts      `json:"history,omitempty"`      // nil where nothing tells the time
	Files      *FileFacts         `json:"controlPlane,omitempty"` // nil without a kubernetes/ half
	Needs      []string           `json:"needs,omitempty"`        // what a restore needs and the backup has not, for people
	Next       []string           `json:"next"`                   // commands to type now
}

// HistoryFacts are how far back a backup reaches.
type HistoryFacts struct {
	Windows   []registry.Span        `json:"windows"` // what can be read, the newest first
	WidestGap registry.Moment        `json:"widestGap,omitzero"`
	Clocks    []registry.ClockSource `json:"clocks"`
	Doubt     string                 `json:"doubt,omitempty"`
}

// SourceFacts are what the source is, before anything in it.
type SourceFacts struct {
	Path     string         `json:"path"`
	Kind     Kind           `json:"kind"`
	Size     int64          `json:"size,omitempty"`
	Modified time.Time      `json:"modified,omitzero"`
	Layers   []Layer        `json:"layers"`
	Facts    []archive.Fact `json:"facts,omitempty"`

	WALEntries uint64 `json:"walEntries,omitempty"` // beyond the database
	WALDamage  string `json:"walDamage,omitempty"`

	Evidence *datadir.Evidence `json:"evidence,omitempty"` // of a data dir's acknowledged writes
}

// FileFacts are what the kubernetes/ half of an archive holds.
type FileFacts struct {
	Files            int                        `json:"files"`
	Images           []controlplane.Image       `json:"images"`
	Certificates     []controlplane.Certificate `json:"certificates"` // those that end first, first
	EncryptionConfig string                     `json:"encryptionConfig,omitempty"`
	Problems         []controlplane.Problem     `json:"problems,omitempty"`
}

// Inspect looks at everything once, and decodes no object. Damage that reading
// survives is among the facts, see Inspection.Verdict.
func (b *Backup) Inspect(ctx context.Context) (*Inspection, error) {
	found := &Inspection{Source: SourceFacts{
		Path: b.path, Kind: b.kind, Size: b.size, Modified: b.modTime, Layers: b.layers, Facts: b.facts,
		WALEntries: b.tail.Entries, WALDamage: b.tail.Damage, Evidence: b.Evidence(),
	}}
	phase := b.opts.Observer.start("inspecting "+b.path, 0)
	defer phase.Done()
	beside := b.clockBeside(ctx)
	err := found.readDatabase(ctx, b)
	clock, clockErr := beside()
	if err != nil {
		return found, err
	}
	switch {
	case clockErr == nil:
		found.History = &HistoryFacts{Windows: clock.Range(), WidestGap: clock.WidestGap(), Clocks: clock.Clocks, Doubt: clock.Doubt}
	case !errors.Is(clockErr, registry.ErrNoClock):
		return found, clockErr
	}
	if b.control != nil {
		found.Files = inspectFiles(b.control)
		if v, path := b.control.KubernetesVersion(); v != "" {
			found.Kubernetes.Version = registry.KubernetesVersion{Version: v, From: "image in " + path}
		}
	}
	found.Needs, found.Next = found.needs(), found.next(b.opts)
	return found, nil
}

// readDatabase looks at what is in the database itself, whatever its times.
func (f *Inspection) readDatabase(ctx context.Context, b *Backup) (err error) {
	if f.Etcd, err = b.db.Info(ctx); err != nil {
		return err
	}
	if f.Members, f.Removed, err = b.db.Members(); err != nil {
		return err
	}
	if f.Alarms, err = b.db.Alarms(); err != nil {
		return err
	}
	if f.Problems, err = b.db.Check(ctx); err != nil {
		return err
	}
	reg, err := b.Objects(0)
	if err != nil {
		return err
	}
	f.Kubernetes, err = reg.Survey(ctx)
	return err
}

func inspectFiles(view *controlplane.View) *FileFacts {
	certs, problems := view.Certificates()
	slices.SortStableFunc(certs, func(a, b controlplane.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	f := &FileFacts{
		Files: len(view.Files()), Images: view.Images(), Certificates: certs,
		Problems: append(slices.Clone(view.Problems()), problems...),
	}
	if config, err := view.EncryptionConfig(); err == nil && config != nil {
		f.EncryptionConfig = config.Path
	}
	return f
}

// Verdict is damage that reading survived, nil for none.
func (f *Inspection) Verdict() error {
	if len(f.Problems) == 0 && f.Source.WALDamage == "" {
		return nil
	}
	return &Error{Class: Damaged, Err: fmt.Errorf("%d problems in the database", len(f.Problems)+min(1, len(f.Source.WALDamage)))}
}
