package host

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// ErrRefused says that a procedure would do harm here.
var ErrRefused = errors.New("refused")

func refusef(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// ErrNothing says that a procedure has nothing to do: the host is as it is to be.
var ErrNothing = errors.New("it is so already")

// ErrNoManifest says that there is no manifest to work on.
var ErrNoManifest = errors.New("no such manifest in the folder of static Pods")

// begin begins a plan for this host.
func (s *State) begin(verb string, now time.Time) (*planner, error) {
	p, err := s.root.newPlan(verb, now)
	if err != nil {
		return nil, fmt.Errorf("planning %s: %w", verb, err)
	}
	if err := s.clear(); err != nil {
		return nil, fmt.Errorf("planning %s: %w", verb, err)
	}
	p.plan.Member = s.Member.Name
	if s.DataDir.Named != s.DataDir.Real {
		p.note("%s is a symbolic link: the data dir is %s", s.DataDir.Named, s.DataDir.Real)
	}
	return p, nil
}

// clear refuses a host on which a plan would not reach what runs: kubelet runs
// every file of the folder, and fills in variables.
func (s *State) clear() error {
	for _, c := range []Component{s.Etcd, s.APIServer} {
		if len(c.Rivals) > 0 {
			return refusef("kubelet runs every file in %s, and %s runs the same as %s: take out the one that is not to run, such as: mv %s /root/",
				s.Manifests, strings.Join(c.Rivals, ", "), c.Path, quote(s.root.Path(c.Rivals[0])))
		}
	}
	if s.DataDir.NoFolder {
		return refusef("the data dir %s is no folder: move what stands there aside", s.DataDir.Real)
	}
	if controlplane.IsVariable(s.DataDir.Named) {
		return refusef("--data-dir is %q, which kubelet fills in: write the path into the manifest, or give one that has it with --manifest", s.DataDir.Named)
	}
	return nil
}

// stop plans that kubelet stops the components, and waits for the data dir. It
// gives the moves, to be taken back.
func (s *State) stop(p *planner) ([]Step, error) {
	if !s.Etcd.In() && errors.Is(s.DataDir.InUse, snapshot.ErrInUse) {
		return nil, fmt.Errorf("%w: its manifest is not in %s, so kubelet will not stop it", s.DataDir.InUse, s.Manifests)
	}
	var moves []Step
	for _, c := range []struct {
		Component
		why string
	}{{s.Etcd, "kubelet stops etcd"}, {s.APIServer, "kubelet stops kube-apiserver, whose caches are of the old data"}} {
		if !c.In() {
			continue
		}
		aside, err := p.aside(c.Path)
		if err != nil {
			return nil, err
		}
		if err := p.move(c.Path, aside, c.why); err != nil {
			return nil, err
		}
		last := &p.plan.Steps[len(p.plan.Steps)-1]
		if c.edited {
			last.ID = identity{}
		}
		moves = append(moves, *last)
	}
	p.add(Step{Kind: Wait, From: s.DataDir.Real, Why: "etcd has let go of its data; one that crashes in a loop holds no lock, so the manifest had to go first", Undo: "nothing was changed"})
	return moves, nil
}

// start plans that kubelet runs the components again.
func (s *State) start(p *planner, moves []Step) {
	for _, m := range moves {
		p.moveBack(m, "kubelet starts "+trimExt(path.Base(m.From)))
	}
}

func trimExt(base string) string { return base[:len(base)-len(path.Ext(base))] }

// PlanEtcdOff stops etcd and kube-apiserver on this host: the documents' first
// step on every other master.
func (s *State) PlanEtcdOff(now time.Time) (*Plan, error) {
	p, err := s.begin("host etcd off", now)
	if err != nil {
		return nil, err
	}
	if !s.Etcd.In() && !s.APIServer.In() {
		return nil, fmt.Errorf("neither etcd.yaml nor kube-apiserver.yaml is in %s: %w", s.Manifests, ErrNothing)
	}
	if _, err := s.stop(p); err != nil {
		return nil, err
	}
	p.next("%s   puts the manifests back", s.root.Command("etcd on"))
	return p.finish(), nil
}

// LastDone is the newest run of a verb that is done and not undone: what takes
// its effect back is an undo of it.
func LastDone(root *Root, verb string) (string, error) {
	runs, err := History(root)
	if err != nil {
		return "", err
	}
	for i := len(runs) - 1; i >= 0; i-- {
		if runs[i].Verb == verb && runs[i].Status != Undone && runs[i].Status != Closed {
			return runs[i].ID, nil
		}
	}
	return "", fmt.Errorf("%w: none of %q that is not undone", ErrNoRun, verb)
}

// PlanForceFlag puts --force-new-cluster into etcd's manifest, or takes it out.
func (s *State) PlanForceFlag(on bool, now time.Time) (*Plan, error) {
	verb := "host force-new-cluster --via-flag off"
	if on {
		verb = "host force-new-cluster --via-flag on"
	}
	p, err := s.begin(verb, now)
	if err != nil {
		return nil, err
	}
	if !s.Etcd.In() {
		return nil, fmt.Errorf("editing etcd's manifest in %s: %w", s.Manifests, ErrNoManifest)
	}
	e, err := controlplane.Edit(s.Etcd.Data, controlplane.Etcd)
	if err != nil {
		return nil, err
	}
	why := "the new cluster stands: with the flag every restart would throw the other members out again"
	if on {
		why = "etcd starts as a cluster of this member alone, from the commit that is recorded"
		err = e.Set("force-new-cluster", "")
	} else {
		err = e.Remove("force-new-cluster")
	}
	if err != nil {
		return nil, err
	}
	if !on && s.etcdFlags()["force-new-cluster"] == "true" && len(e.Given("force-new-cluster")) == 0 && string(e.Data) == string(s.Etcd.Data) {
		return nil, refusef("the variable ETCD_FORCE_NEW_CLUSTER stands in %s: take it out by hand, it is no flag", s.Etcd.Path)
	}
	if string(e.Data) == string(s.Etcd.Data) {
		return nil, fmt.Errorf("--force-new-cluster in %s: %w", s.Etcd.Path, ErrNothing)
	}
	if err := s.edit(p, s.Etcd, e.Data, why); err != nil {
		return nil, err
	}
	p.plan.Severe = on
	if on {
		p.note("acknowledged writes beyond the recorded commit are lost by this; %s, without --via-flag, keeps them", s.root.Command("force-new-cluster"))
		p.note("etcd must be stopped on every other master first: lifeboat host etcd off, there")
		p.next("wait until etcd serves: %s endpoint health", s.Etcdctl())
		p.next("then, at once: %s", s.root.Command("force-new-cluster --via-flag off"))
	} else {
		p.next("other masters join as new members, with empty data dirs")
	}
	return p.finish(), nil
}

// edit plans a new content for a component's manifest; a link is followed.
func (s *State) edit(p *planner, c Component, content []byte, why string) error {
	real, err := s.root.Resolve(c.Path, true)
	if err != nil {
		return err
	}
	if real != c.Path {
		p.note("%s is a symbolic link: %s is edited", c.Path, real)
	}
	return p.edit(real, content, why)
}
