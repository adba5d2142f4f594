package objects

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func InspectCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "what SRC is, whether it is whole, what it holds, what to do next",
		UsageText: "lifeboat inspect kube-backup.tar.gz\nlifeboat inspect /var/lib/etcd\nlifeboat inspect -i recovery.key kube-backup.tar.gz.age -o json",
		ArgsUsage: "SRC",
		Flags:     append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "SRC")
			if err != nil {
				return err
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			opts.AcceptLoss = true // what is damaged is what inspect is there to show
			src, err := console.OpenSource(c.Context, env, opts, path)
			if err != nil {
				return err
			}
			defer src.Close()
			found, err := inspect(c.Context, env, src, opts)
			switch {
			case err != nil:
				return err
			case env.Format == console.FormatTable:
				err = found.print(env)
			default:
				err = env.PrintDocument(found)
			}
			if err != nil {
				return err
			}
			return found.verdict()
		},
	}
}

// inspection is what inspect shows; -o json prints it as it stands.
type inspection struct {
	Source     sourceFacts        `json:"source"`
	Etcd       snapshot.Info      `json:"etcd"`
	Members    []snapshot.Member  `json:"members"`
	Removed    []uint64           `json:"removedMembers,omitempty"`
	Alarms     []snapshot.Alarm   `json:"alarms"`
	Problems   []snapshot.Problem `json:"problems"`
	Kubernetes *registry.Survey   `json:"kubernetes"`
	Files      *controlPlaneFacts `json:"controlPlane,omitempty"`
	Next       []string           `json:"next"`
}

type sourceFacts struct {
	Path     string             `json:"path"`
	Kind     console.SourceKind `json:"kind"`
	Size     int64              `json:"size,omitempty"`
	Modified time.Time          `json:"modified,omitzero"`
	Layers   []console.Layer    `json:"layers"`
	Facts    []archive.Fact     `json:"facts,omitempty"`

	WALEntries uint64 `json:"walEntries,omitempty"` // beyond the database
	WALDamage  string `json:"walDamage,omitempty"`
}

type controlPlaneFacts struct {
	Files            int                        `json:"files"`
	Images           []controlplane.Image       `json:"images"`
	Certificates     []controlplane.Certificate `json:"certificates"`
	EncryptionConfig string                     `json:"encryptionConfig,omitempty"`
	Problems         []controlplane.Problem     `json:"problems,omitempty"`
}

func inspect(ctx context.Context, env *console.Environment, src *console.Source, opts console.SourceOptions) (*inspection, error) {
	found := &inspection{Source: sourceFacts{
		Path: src.Path, Kind: src.Kind, Size: src.Size, Modified: src.ModTime, Layers: src.Layers, Facts: src.Facts,
		WALEntries: src.Tail.Entries, WALDamage: src.Tail.Damage,
	}}
	phase := env.Progress.Start("inspecting "+src.Path, 0)
	defer phase.Done()
	var err error
	if found.Etcd, err = src.Db.Info(ctx); err != nil {
		return found, err
	}
	if found.Members, found.Removed, err = src.Db.Members(); err != nil {
		return found, err
	}
	if found.Alarms, err = src.Db.Alarms(); err != nil {
		return found, err
	}
	if found.Problems, err = src.Db.Check(ctx); err != nil {
		return found, err
	}
	regOpts, err := src.RegistryOptions(env, opts)
	if err != nil {
		return found, err
	}
	if found.Kubernetes, err = registry.New(src.Db, regOpts).Survey(ctx); err != nil {
		return found, err
	}
	if src.Control != nil {
		found.Files = inspectFiles(src.Control)
		if v, path := src.Control.KubernetesVersion(); v != "" {
			found.Kubernetes.Version = registry.KubernetesVersion{Version: v, From: "image in " + path}
		}
	}
	found.Next = found.next()
	return found, nil
}

func inspectFiles(view *controlplane.View) *controlPlaneFacts {
	certs, problems := view.Certificates()
	slices.SortStableFunc(certs, func(a, b controlplane.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	f := &controlPlaneFacts{
		Files: len(view.Files()), Images: view.Images(), Certificates: certs,
		Problems: append(slices.Clone(view.Problems()), problems...),
	}
	if config, err := view.EncryptionConfig(); err == nil && config != nil {
		f.EncryptionConfig = config.Path
	}
	return f
}

// verdict is damage that reading survived.
func (f *inspection) verdict() error {
	if len(f.Problems) == 0 && f.Source.WALDamage == "" {
		return nil
	}
	return &console.CodedError{Code: console.ExitDamaged, Err: fmt.Errorf("%d problems in the database", len(f.Problems)+min(1, len(f.Source.WALDamage)))}
}

// next is the command to type now: the namespace with the most objects is the
// likeliest to be wanted, after the system's own.
func (f *inspection) next() []string {
	var best registry.Count
	for _, ns := range f.Kubernetes.Namespaces {
		system := ns.Name == "" || ns.Name == "default" || strings.HasPrefix(ns.Name, "kube-") || strings.HasPrefix(ns.Name, "d8-")
		if !system && ns.Objects > best.Objects {
			best = ns
		}
	}
	if best.Name == "" {
		best.Name = "kube-system"
	}
	src := console.ShellQuote(f.Source.Path)
	return []string{
		fmt.Sprintf("lifeboat get %s all -n %s", src, best.Name),
		fmt.Sprintf("lifeboat extract %s -n %s --to restored/", src, best.Name),
	}
}

func (f *inspection) print(env *console.Environment) error {
	out := console.NewSection(env)
	f.printSource(out)
	f.printEtcd(out)
	f.printKubernetes(out)
	f.printFiles(out)
	out.Heading("Next")
	for _, command := range f.Next {
		out.Line("  %s", command)
	}
	return out.Err
}

func (f *inspection) printSource(out *console.Section) {
	s := f.Source
	out.Line("%s: %s", console.Printable(s.Path), s.Kind)
	if s.Size > 0 {
		out.Line("%s, modified %s", humanize.IBytes(uint64(s.Size)), s.Modified.UTC().Format(time.RFC3339))
	}
	rows := [][]string{}
	for _, l := range s.Layers {
		rows = append(rows, []string{"  " + l.Name, l.State, l.Detail})
	}
	out.Table(rows)
	for _, fact := range s.Facts {
		out.Line("  note: entry %q: %s", fact.Entry, fact.Detail)
	}
	if s.WALEntries > 0 {
		out.Line("  note: %d entries of the write-ahead log stand beyond the database", s.WALEntries)
	}
}

func (f *inspection) printEtcd(out *console.Section) {
	e := f.Etcd
	out.Heading("etcd")
	free := 0.0
	if e.Size > 0 {
		free = 100 * float64(e.Size-e.SizeInUse) / float64(e.Size)
	}
	out.Table([][]string{
		{"  CLUSTER VERSION", "STORAGE VERSION", "DB SIZE", "IN USE", "PERCENTAGE NOT IN USE", "REVISION", "RAFT TERM", "RAFT INDEX", "KEYS"},
		{"  " + console.OrDash(e.ClusterVersion), console.OrDash(e.StorageVersion), humanize.Bytes(uint64(e.Size)), humanize.Bytes(uint64(e.SizeInUse)),
			fmt.Sprintf("%.0f%%", free), strconv.FormatInt(e.Revision, 10), console.OrDash(console.Number(e.RaftTerm)), console.Number(e.RaftIndex), strconv.FormatInt(e.LiveKeys, 10)},
	})
	rows := [][]string{{"  MEMBER", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"}}
	for _, m := range f.Members {
		rows = append(rows, []string{"  " + strconv.FormatUint(m.ID, 16), console.OrDash(m.Name), strings.Join(m.PeerURLs, ","), console.OrDash(strings.Join(m.ClientURLs, ",")), strconv.FormatBool(m.IsLearner)})
	}
	out.Table(rows)
	switch c := e.CompactRevision; {
	case e.ScheduledCompact > e.FinishedCompact:
		out.Line("  compacted to revision %d, and a compaction to %d was under way", c, e.ScheduledCompact)
	case c > 0:
		out.Line("  compacted to revision %d", c)
	default:
		out.Line("  nothing was compacted: the whole history is here")
	}
	for _, a := range f.Alarms {
		out.Line("  ALARM %s of member %x", a.Alarm, a.MemberID)
	}
	for _, p := range f.Problems {
		out.Line("  PROBLEM %s", p)
	}
}

func (f *inspection) printKubernetes(out *console.Section) {
	k := f.Kubernetes
	out.Heading("Kubernetes")
	if v := k.Version; v.Version != "" {
		guess := ""
		if v.Guess {
			guess = ", a guess"
		}
		out.Line("  %s (%s%s)", v.Version, v.From, guess)
	}
	if !k.Newest.IsZero() {
		out.Line("  newest lease renewal %s: about when the backup was made", k.Newest.Format(time.RFC3339))
	}
	rows := [][]string{{"  NAMESPACE", "OBJECTS", "BYTES"}}
	for _, n := range k.Namespaces {
		name := n.Name
		if name == "" {
			name = "(cluster)"
		}
		rows = append(rows, []string{"  " + name, strconv.FormatInt(n.Objects, 10), strconv.FormatInt(n.Bytes, 10)})
	}
	out.Table(rows)
	for _, l := range k.Locks {
		state := "OPEN: a key is at hand"
		switch {
		case l.Locked == l.Objects:
			state = "LOCKED: no key at hand opens them"
		case l.Locked > 0:
			state = fmt.Sprintf("%d LOCKED: no key at hand opens them", l.Locked)
		}
		out.Line("  encrypted at rest with %s: %d objects, %s", l.Lock, l.Objects, state)
	}
	if len(k.Locks) == 0 {
		out.Line("  nothing is encrypted at rest")
	}
}

func (f *inspection) printFiles(out *console.Section) {
	out.Heading("Control plane files")
	if f.Files == nil {
		out.Line("  none: no kubernetes/ folder in SRC")
		return
	}
	for i, c := range f.Files.Certificates {
		mark := ""
		if i == 0 {
			mark = "   EARLIEST"
		}
		if len(f.Files.Certificates) > 5 && i >= 3 {
			out.Line("  ... and %d more certificates that end later (-o json lists them)", len(f.Files.Certificates)-i)
			break
		}
		out.Line("  %s ends %s%s", console.Printable(c.Path), c.NotAfter.UTC().Format(time.DateOnly), mark)
	}
	for _, p := range f.Files.Problems {
		out.Line("  PROBLEM %q: %s", p.Path, p.Detail)
	}
}
