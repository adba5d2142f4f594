package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// The works of a restore.
const (
	WorkRestore = "restore the data dir"
	WorkCheck   = "check the data dir"
	WorkFiles   = "unpack /etc/kubernetes"
)

// RestoreOptions say what a restore of this host's member is.
type RestoreOptions struct {
	Name     string   // of the member; "" is the manifest's
	PeerURLs []string // nil: the manifest's

	// DropNodes are Nodes to delete, with their Leases and Pods: of masters that
	// are gone.
	DropNodes []string

	// Revision is the one to restore to, 0 for the newest.
	Revision int64

	// Kubernetes puts back /etc/kubernetes, too, on a host that has none.
	Kubernetes bool

	// Size is that of the database which is restored, in bytes, 0 where it is not
	// known: a disk that it does not fit on is found out before anything is stopped.
	Size int64

	// Members are the names of those that the backup knows.
	Members []string

	NoBootCheck bool
}

// Of takes from a backup what a plan hangs on; rev is the revision that is wanted.
func (o *RestoreOptions) Of(b *lifeboat.Backup, rev int64) error {
	info, err := b.DB().Status()
	if err != nil {
		return err
	}
	members, _, err := b.DB().Members()
	if err != nil {
		return err
	}
	o.Revision, o.Size, o.Members = rev, info.Size, namesOf(members)
	return nil
}

func namesOf(members []snapshot.Member) []string {
	var names []string
	for _, m := range members {
		if m.Name != "" {
			names = append(names, m.Name)
		}
	}
	return names
}

// room is datadir.ErrNoSpace where a data dir of that size cannot be built.
func (s *State) room(size int64, bootCheck bool) error {
	need := datadir.RestoreBytes(size, bootCheck)
	if s.DataDir.Free < need {
		return fmt.Errorf("building beside %q: %w: %d bytes are needed, %d are free", s.DataDir.Real, datadir.ErrNoSpace, need, s.DataDir.Free)
	}
	return nil
}

// BumpMargin is what is added to the newest revision that is known: etcd's own
// guide to disaster recovery takes the same, a week of 1600 writes a second.
const BumpMargin = 1_000_000_000

// PlanRestore plans the full recovery of a single master from a backup, whose
// path and size the plan is bound to.
func (s *State) PlanRestore(now time.Time, src string, opts RestoreOptions) (*Plan, error) {
	p, err := s.begin("host restore", now)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.identity(opts); err != nil {
		return nil, err
	}
	if err := s.room(opts.Size, !opts.NoBootCheck); err != nil {
		return nil, err
	}
	p.plan.Severe = s.DataDir.HasMember
	if err := p.source(src); err != nil {
		return nil, err
	}
	if err := s.replaceMember(p, "from the backup, under this member's name and URLs, as a cluster of its own; a real etcd is booted on a copy of it"); err != nil {
		return nil, err
	}
	if opts.Revision > 0 {
		p.note("as of revision %d: nothing that was written after it is in the result", opts.Revision)
	}
	if opts.Kubernetes {
		if err := s.putBackFiles(p); err != nil {
			return nil, err
		}
	}
	s.afterRestore(p, opts)
	return p.finish(), nil
}

// putBackFiles plans that /etc/kubernetes comes out of the backup, last of all:
// kubelet starts what it finds there.
func (s *State) putBackFiles(p *planner) error {
	if !s.bare() {
		return refusef("%s is not empty: this host has its control plane's files; leave --with-kubernetes out, or move the folder aside", kubernetesDir)
	}
	dir, err := s.root.Resolve(kubernetesDir, true)
	if err != nil {
		return err
	}
	if err := p.folder(path.Dir(dir)); err != nil {
		return err
	}
	built := dir + ".lifeboat-" + p.plan.ID
	p.add(Step{Kind: Build, To: built, Work: WorkFiles, Why: "the control plane's files, from the backup, with their owners and modes", Undo: "it is kept, under this name, and not used"})
	files := built + "/" + archive.FilesFolder
	if !s.root.exists(dir) {
		p.add(Step{Kind: Move, From: files, To: dir, Why: "kubelet starts what is in it", Undo: "it is moved back"})
		p.add(Step{Kind: Tidy, From: built, Why: "nothing is in it any more", Undo: "it is made again"})
		return nil
	}
	f, err := p.bind(dir)
	if err != nil {
		return err
	}
	p.add(Step{Kind: Swap, From: files, To: dir, ID: f.ID, Why: "kubelet starts what is in it; what stood there is kept in " + built, Undo: "they are exchanged again"})
	return nil
}

// CheckRevision makes sure that the backup holds a revision, 0 for the newest.
func CheckRevision(ctx context.Context, b *lifeboat.Backup, rev int64) error {
	db, _, err := b.Holding(rev)
	if err != nil {
		return err
	}
	for _, err := range db.At(ctx, rev, nil) {
		return err
	}
	return nil
}

// PlanRebuild plans the way of the last survivor: a cluster of one out of this
// host's own data dir, with its whole log. One that is damaged is refused before
// anything is stopped, unless damaged says that it is to be taken all the same:
// others are at hand, or its loss is accepted.
func (s *State) PlanRebuild(now time.Time, damaged bool) (*Plan, error) {
	p, err := s.begin("host force-new-cluster", now)
	if err != nil {
		return nil, err
	}
	if !s.DataDir.HasMember {
		return nil, fmt.Errorf("rebuilding %q: %w", s.DataDir.Real, datadir.ErrNotDataDir)
	}
	if sv := s.DataDir.Survivor; sv != nil {
		if sv.Newborn && !damaged {
			return nil, refusef("rebuilding %q: %v; --peer-dir DIR takes what another member has", s.DataDir.Real, datadir.ErrNotStarted)
		}
		if what := sv.Damage(); what != "" && !damaged {
			return nil, fmt.Errorf("rebuilding %q: %s: %w; --peer-dir DIR takes what another member has, --accept-loss what can be read", s.DataDir.Real, what, snapshot.ErrDamaged)
		}
		if err := s.room(sv.Info.Size, true); err != nil {
			return nil, err
		}
	}
	p.plan.Severe = true
	p.note("etcd must be stopped on every other master first (lifeboat host etcd off, there), or two clusters will serve")
	if err := s.replaceMember(p, "from this host's own data dir with its whole log, as a cluster of this member alone; a real etcd is booted on a copy of it"); err != nil {
		return nil, err
	}
	s.afterRestore(p, RestoreOptions{})
	return p.finish(), nil
}

// replaceMember plans that a data dir is built inside of the one that stands,
// which may be a mount point or behind a link, and takes the place of its member
// folder.
func (s *State) replaceMember(p *planner, from string) error {
	if s.DataDir.Log != "" {
		return refusef("--wal-dir has the log in %s, apart from the data: a new data dir in its place would be read with the old log. Write one with: lifeboat etcd rebuild %s --src-wal-dir %s --to NEW, and take --wal-dir out of the manifest",
			s.DataDir.Log, quote(s.root.Path(s.DataDir.Real)), quote(s.root.Path(s.DataDir.Log)))
	}
	moves, err := s.stop(p)
	if err != nil {
		return err
	}
	dir := s.DataDir.Real
	if !s.root.exists(dir) {
		if err := p.folder(path.Dir(dir)); err != nil {
			return err
		}
		p.add(Step{Kind: Make, To: dir, Why: "there is no data dir yet", Undo: "it is removed if it is empty"})
	} else if err := p.folder(dir); err != nil {
		return err
	}
	built := path.Join(dir, "lifeboat-"+p.plan.ID)
	p.add(Step{Kind: Build, To: built, Work: WorkRestore, Why: from, Undo: "it is kept, under this name, and not used"})
	member := path.Join(dir, "member")
	if !s.DataDir.HasMember {
		p.add(Step{Kind: Move, From: built + "/member", To: member, Why: "it becomes the member's data", Undo: "it is moved back"})
		p.add(Step{Kind: Tidy, From: built, Why: "nothing is in it any more", Undo: "it is made again"})
	} else {
		f, err := s.bindMember(p, member)
		if err != nil {
			return err
		}
		p.add(Step{Kind: Wait, From: dir, Why: "nobody has opened it while that was built: kubelet may have started etcd again", Undo: "nothing was changed"})
		p.add(Step{Kind: Swap, From: built + "/member", To: member, ID: f.ID, Why: "it becomes the member's data, and the old data is kept in " + built, Undo: "they are exchanged again"})
	}
	p.add(Step{Kind: Wait, From: dir, Why: "nobody has opened what stands there now", Undo: "etcd has let go of its data before that is exchanged"})
	p.add(Step{Kind: Check, To: dir, Work: WorkCheck, Why: "the member is this one, alone, and its log and database are whole", Undo: "nothing was changed"})
	s.start(p, moves)
	return nil
}

// bindMember binds the plan to the old member folder: to its identity where
// etcd is still at work in it, to its content where nobody is.
func (s *State) bindMember(p *planner, member string) (Fact, error) {
	if errors.Is(s.DataDir.InUse, snapshot.ErrInUse) || s.Etcd.In() {
		info, err := s.root.lstat(member)
		if err != nil || info == nil {
			return Fact{}, errors.Join(err, fmt.Errorf("%q: %w", member, fs.ErrNotExist))
		}
		return Fact{Path: member, ID: identityOf(info)}, nil
	}
	return p.bind(member)
}

// afterRestore says what is left to the operator.
func (s *State) afterRestore(p *planner, opts RestoreOptions) {
	if !s.Etcd.In() && !opts.Kubernetes {
		p.next("put etcd.yaml into %s: it was not there before the run, so it is not there now", s.Manifests)
	}
	p.next("wait until etcd serves: %s endpoint health", s.Etcdctl())
	p.next("restart what has caches newer than the data: crictl stopp $(crictl pods --name 'kube-(controller-manager|scheduler)' -q); systemctl restart kubelet")
	p.next("restart the kubelets of all other nodes, too: systemctl restart kubelet")
	if others := s.others(opts); len(others) > 0 {
		p.next("other masters join as new members, with empty data dirs; the Node objects of those that are gone: kubectl delete node %s", strings.Join(others, " "))
		if s.Deckhouse() {
			p.next("before that, so that modules keep their replicas with one master: highAvailability: true in ModuleConfig global")
		}
	}
	if s.Deckhouse() {
		p.next("wait for Deckhouse's queue: kubectl -n d8-system exec deploy/deckhouse -- deckhouse-controller queue main")
	}
	p.next("to take all of this back: %s", s.root.Command("undo "+p.plan.ID))
}

// others are the members that the backup and the data dir know besides this one,
// quoted for a shell.
func (s *State) others(opts RestoreOptions) []string {
	names := slices.Clone(opts.Members)
	if sv := s.DataDir.Survivor; sv != nil {
		names = append(names, namesOf(sv.Members)...)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		return name == s.Member.Name || name == opts.Name || slices.Contains(opts.DropNodes, name)
	})
	for i := range names {
		names[i] = quote(names[i])
	}
	return names
}

// identity is the member that will stand here.
func (s *State) identity(opts RestoreOptions) (name string, urls []string, err error) {
	name, urls = opts.Name, opts.PeerURLs
	if name == "" {
		name = s.Member.Name
	}
	if urls == nil {
		urls = s.Member.PeerURLs
	}
	for _, text := range append([]string{name}, urls...) {
		if controlplane.IsVariable(text) {
			return "", nil, refusef("the manifest has %q, which kubelet fills in: give a manifest in which it is written out, with --manifest", text)
		}
	}
	if name == "" || len(urls) == 0 {
		return "", nil, fmt.Errorf("%w: etcd's, which has the member's name and peer URLs: give it with --manifest, or take it out of SRC with --with-kubernetes", ErrNoManifest)
	}
	return name, urls, nil
}

// RestoreWorks are the works of a run that restores or rebuilds: open opens the
// source, once the data dir is free.
func (s *State) RestoreWorks(opts RestoreOptions, open func(ctx context.Context) (*lifeboat.Backup, error)) map[string]Work {
	return map[string]Work{
		WorkRestore: func(ctx context.Context, to string) error {
			b, err := open(ctx)
			if err != nil {
				return err
			}
			return errors.Join(s.restore(ctx, b, to, opts), b.Close())
		},
		WorkCheck: func(ctx context.Context, to string) error { return s.checkMember(ctx, to, opts) },
	}
}

func (s *State) restore(ctx context.Context, b *lifeboat.Backup, to string, opts RestoreOptions) error {
	name, urls, err := s.identity(opts)
	if err != nil {
		return err
	}
	bump, err := s.bump(ctx, b, filepath.Dir(to))
	if err != nil {
		return err
	}
	member := datadir.NewMember{Name: name, PeerURLs: urls, Target: datadir.Target{Path: to}}
	o := datadir.RestoreOptions{
		Members: []datadir.NewMember{member}, Bump: bump, NoBootCheck: opts.NoBootCheck,
		Proof: b.Prove,
		Spool: snapshot.Spool{Where: snapshot.Anywhere, Dir: filepath.Dir(to)},
	}
	for i, u := range urls {
		if i > 0 {
			o.InitialCluster += ","
		}
		o.InitialCluster += name + "=" + u
	}
	db, file, err := b.Holding(opts.Revision)
	if err != nil {
		return err
	}
	o.Revision, o.NewestKnown = opts.Revision, b.History().Revision()
	if o.Drop, err = b.KeysOfNodes(ctx, opts.DropNodes, false); err != nil {
		return err
	}
	if o.Owner, err = ownerOf(filepath.Dir(to)); err != nil {
		return err
	}
	plan, err := datadir.PlanRestore(ctx, db, file, o)
	if err != nil {
		return err
	}
	_, err = plan.Run(ctx)
	return err
}

// bump raises the revision beyond all that is known: the source's, its peers',
// and that of the data dir which is replaced.
func (s *State) bump(ctx context.Context, b *lifeboat.Backup, dir string) (uint64, error) {
	own := b.DB().Revision()
	newest := own
	all := b.Survivors()
	if d, err := datadir.Open(dir); err == nil {
		if sv, err := d.Survey(ctx); err == nil { // else it says nothing of its revision
			all = append(slices.Clip(all), sv)
		}
	}
	for _, sv := range all {
		newest = max(newest, sv.Info.Revision)
	}
	if newest > math.MaxInt64-BumpMargin {
		return 0, fmt.Errorf("raising revision %d: %w", newest, snapshot.ErrDamaged)
	}
	return uint64(newest-own) + BumpMargin, nil
}

// ownerOf is the owner of the data dir, whose files the new ones are like.
func ownerOf(dir string) (*datadir.Owner, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%q has no owner", dir)
	}
	return &datadir.Owner{UID: int(stat.Uid), GID: int(stat.Gid)}, nil
}

// checkMember looks at what stands in the place of the old data.
func (s *State) checkMember(ctx context.Context, dir string, opts RestoreOptions) error {
	name, _, err := s.identity(opts)
	if err != nil {
		return err
	}
	d, err := datadir.Open(dir)
	if err != nil {
		return err
	}
	sv, err := d.Survey(ctx)
	if err != nil {
		return err
	}
	switch {
	case sv.Damage() != "":
		return fmt.Errorf("%q: %s: %w", dir, sv.Damage(), snapshot.ErrDamaged)
	case len(sv.Members) != 1 || sv.Members[0].Name != name:
		return fmt.Errorf("%q knows %d members, and should know %q alone: %w", dir, len(sv.Members), name, snapshot.ErrDamaged)
	}
	return nil
}

// Etcdctl is the command that reaches this host's etcd with the certificates
// and the endpoint of its own manifest: hosts have no etcdctl, its container has.
func (s *State) Etcdctl() string {
	return "crictl exec $(crictl ps --name '^etcd$' -q) " + s.etcdctl()
}

func (s *State) etcdctl() string { return controlplane.Etcdctl(s.Etcd.Data) }
