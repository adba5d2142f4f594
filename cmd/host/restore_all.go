package host

import (
	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// allDocument is a restore of all masters in JSON.
type allDocument struct {
	APIVersion string               `json:"apiVersion"`
	Kind       string               `json:"kind"`
	Plan       *datadir.RestorePlan `json:"plan"`
	Explained  []string             `json:"explained"`
	Next       []string             `json:"next"`
}

// restoreAll makes a folder for every master.
func (s *session) restoreAll(op opening) error {
	to := s.c.String("to")
	switch {
	case s.c.String("members") != "all":
		return console.Usagef("--to goes with --members all; without them this host is restored")
	case to == "":
		return console.Usagef("say where to write to: --to FOLDER")
	case op.Restore.Kubernetes || op.Restore.Name != "" || op.Manifest != "":
		return console.Usagef("--members all takes every member that SRC knows: leave --name, --manifest and --with-kubernetes out")
	}
	if err := console.RefuseExisting(to); err != nil {
		return err
	}
	b, rev, err := s.openAt(op)
	if err != nil {
		return err
	}
	defer b.Close()
	all, err := host.PlanAll(s.c.Context, b, host.AllOptions{To: to, DropNodes: op.Restore.DropNodes, Revision: rev, NoBootCheck: op.Restore.NoBootCheck})
	if err != nil {
		return lifeboat.HintTarget(err)
	}
	if !s.c.Bool("dry-run") {
		phase := s.env.Progress.Start("writing and checking "+to, 0)
		_, err := all.Run(s.c.Context)
		phase.Done()
		if err != nil {
			return lifeboat.HintTarget(err)
		}
	}
	return s.printAll(all)
}

func (s *session) printAll(all *host.AllMasters) error {
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(allDocument{"lifeboat/v1", "HostRestoreAll", all.Plan, all.Reasons, all.Next()})
	}
	out := console.NewSection(s.env)
	for _, step := range all.Plan.Steps() {
		out.Line("%s", console.Printable(step))
	}
	printList(out, "Why", all.Reasons)
	printList(out, "Next", all.Next())
	return out.Err
}

// openAt opens SRC and finds the revision that --rev or --at means.
func (s *session) openAt(op opening) (*lifeboat.Backup, int64, error) {
	if s.c.IsSet("rev") && s.c.IsSet("at") {
		return nil, 0, console.Usagef("--rev and --at exclude each other")
	}
	b, err := op.open(s.env)(s.c.Context)
	if err != nil {
		return nil, 0, err
	}
	rev := s.c.Int64("rev")
	if s.c.IsSet("at") {
		rev, err = console.RevisionAt(s.c, s.env, b, s.c.String("at"))
	}
	if err == nil {
		err = host.CheckRevision(s.c.Context, b, rev)
	}
	if err != nil {
		b.Close()
		return nil, 0, err
	}
	sayAwakening(s.c.Context, s.env, b, rev)
	return b, rev, nil
}
