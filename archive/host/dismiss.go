package host

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// masterFiles are what makes a node a master: the list of Deckhouse's "How do I
// dismiss the master role while keeping the node?". A star is any rest of a name.
var masterFiles = []string{
	"/etc/kubernetes/manifests/etcd.yaml",
	"/etc/kubernetes/manifests/kube-apiserver.yaml",
	"/etc/kubernetes/manifests/kube-scheduler.yaml",
	"/etc/kubernetes/manifests/kube-controller-manager.yaml",
	"/etc/kubernetes/scheduler.conf",
	"/etc/kubernetes/controller-manager.conf",
	"/etc/kubernetes/authorization-webhook-config.yaml",
	"/etc/kubernetes/admin.conf",
	"/root/.kube/config",
	"/etc/kubernetes/deckhouse",
	"/etc/kubernetes/pki/ca.key",
	"/etc/kubernetes/pki/apiserver*",
	"/etc/kubernetes/pki/etcd",
	"/etc/kubernetes/pki/front-proxy*",
	"/etc/kubernetes/pki/sa.*",
	"/var/lib/etcd/member",
}

// PlanDismiss takes the master role from a node that stays. members are those of
// the cluster as a backup made after this one was removed has it; nil where
// there is none, and the data dir's own list decides.
func (s *State) PlanDismiss(now time.Time, members []snapshot.Member) (*Plan, error) {
	p, err := s.begin("host dismiss", now)
	if err != nil {
		return nil, err
	}
	if err := s.stillMember(p, members); err != nil {
		return nil, err
	}
	p.plan.Severe = true
	var gone []string // the folders in which something stands aside
	for _, pattern := range masterFiles {
		names, err := s.matching(pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if path.Base(name) == "member" {
				p.add(Step{Kind: Wait, From: path.Dir(name), Why: "etcd has let go of its data", Undo: "nothing was changed"})
			}
			aside, err := p.aside(name)
			if err != nil {
				return nil, err
			}
			if path.Base(name) == "member" && s.Etcd.In() {
				err = s.moveLive(p, name, aside)
			} else {
				err = p.move(name, aside, "a node that is not a master has no use for it")
			}
			if err != nil {
				return nil, err
			}
			gone = append(gone, s.root.Path(path.Dir(aside)))
		}
	}
	if len(gone) == 0 {
		return nil, fmt.Errorf("nothing of a master is on this host: %w", ErrNothing)
	}
	p.next("remove the labels, if they are still there: %s", unlabel(cmp.Or(s.Member.Name, p.plan.Host.Name, "NAME")))
	p.next("systemctl restart kubelet")
	p.next("what was moved aside are still the cluster's keys, on a worker. When all is well, destroy them:\n%s", destroy(gone, p.plan.ID))
	return p.finish(), nil
}

func unlabel(node string) string {
	return "kubectl label node " + quote(node) + " node-role.kubernetes.io/control-plane- node-role.kubernetes.io/master- node.deckhouse.io/group-"
}

// destroy is the command that overwrites and removes what a run has put aside in
// folders, and nothing else.
func destroy(folders []string, id string) string {
	slices.Sort(folders)
	folders = topmost(folders)
	for i := range folders {
		folders[i] = quote(folders[i])
	}
	find := fmt.Sprintf("find %s -depth -path '*.old-%s*'", strings.Join(folders, " "), id)
	return find + " -type f -exec shred -u {} +\n" + find + " -delete"
}

// moveLive plans the move of a data dir in which etcd is at work until the step
// comes: its identity is what the plan holds to.
func (s *State) moveLive(p *planner, name, aside string) error {
	f, err := s.bindMember(p, name)
	if err != nil {
		return err
	}
	if err := p.both(name, aside); err != nil {
		return err
	}
	p.add(Step{Kind: Move, From: name, To: aside, ID: f.ID, Why: "a node that is not a master has no use for it", Undo: "it is moved back"})
	return nil
}

// stillMember refuses while the node votes: the cluster would lose a member
// without a word.
func (s *State) stillMember(p *planner, members []snapshot.Member) error {
	list, of := members, "the backup"
	if list == nil {
		sv := s.DataDir.Survivor
		switch {
		case !s.DataDir.HasMember:
			p.note("there is no data dir: whether this node is a member was not checked")
			return nil
		case sv == nil || sv.DatabaseErr != nil:
			return refusef("whether this node is still a member cannot be told: %s cannot be read, and no SRC was given", s.DataDir.Real)
		}
		if slices.Contains(sv.Removed, sv.Log.NodeID) {
			return nil
		}
		list, of = sv.Members, s.DataDir.Real
	}
	i := slices.IndexFunc(list, func(m snapshot.Member) bool {
		return m.Name == s.Member.Name && m.Name != "" || slices.ContainsFunc(m.PeerURLs, func(u string) bool { return slices.Contains(s.Member.PeerURLs, u) })
	})
	if i >= 0 {
		return refusef("%q (%x) is still a member in %s: remove its labels and wait (%s), or on another master: %s member remove %x; a backup made after that, given as SRC, shows it gone",
			list[i].Name, list[i].ID, of, unlabel(list[i].Name), s.Etcdctl(), list[i].ID)
	}
	if s.Member.Name == "" {
		return refusef("there is no etcd manifest, so it is not known which member this node was: give it with --manifest")
	}
	return nil
}

// matching lists what stands at a name of the list; links in the folders are
// followed.
func (s *State) matching(pattern string) ([]string, error) {
	dir, base := path.Split(pattern)
	if base == "member" {
		dir = s.DataDir.Named
	}
	real, err := s.root.Resolve(dir, true)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(base, "*") {
		name := path.Join(real, base)
		if !s.root.exists(name) {
			return nil, nil
		}
		return []string{name}, nil
	}
	if !s.root.exists(real) {
		return nil, nil
	}
	entries, err := s.root.readDir(real)
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), strings.TrimSuffix(base, "*")) && !strings.Contains(e.Name(), ".old-") {
			names = append(names, path.Join(real, e.Name()))
		}
	}
	return names, err
}

// quote makes one word of a name for a shell.
func quote(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%") == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
