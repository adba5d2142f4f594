package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

const (
	kubernetesDir  = "/etc/kubernetes"
	caFile         = kubernetesDir + "/pki/ca.crt"
	defaultDataDir = "/var/lib/etcd"
)

// State is what was found on a host.
type State struct {
	Manifests string // the folder of static Pods, without links
	Etcd      Component
	APIServer Component
	View      *controlplane.View // of /etc/kubernetes, as in a backup of it

	Member  controlplane.EtcdMember
	DataDir DataDir

	odd  []string // names of static Pods that kubelet cannot read
	root *Root
}

// Component is a static Pod on the host.
type Component struct {
	Path string // "" where no manifest in the folder runs it
	Data []byte
	From string // where its manifest was read when it is not in the folder

	Rivals []string // other files of the folder that run it, too

	edited bool // by an earlier step of the plan, so its identity is not known
}

// In reports whether kubelet is told to run it.
func (c Component) In() bool { return c.Path != "" }

// DataDir is where etcd keeps its data.
type DataDir struct {
	Named string // as the manifest has it, seen from the host
	Real  string // without links
	Mount bool   // a file system of its own
	Log   string // where --wal-dir has the log, "" for in the data dir
	Free  int64  // bytes

	HasMember bool
	NoFolder  bool              // something else stands there
	InUse     error             // snapshot.ErrInUse where a process holds it
	Survivor  *datadir.Survivor // nil where it could not be looked at
	Err       error             // why not
	Alarms    []snapshot.Alarm
}

// LookOptions say where to look for what is not in its place.
type LookOptions struct {
	Manifest string // etcd's manifest, a file of this process's file system; with Data, what it is called
	Data     []byte // etcd's manifest itself
	ReadFile func(name string) ([]byte, error)
}

// Look finds out how a host stands. It changes nothing.
func Look(ctx context.Context, root *Root, opts LookOptions) (*State, error) {
	s := &State{root: root}
	for _, look := range []func() error{
		s.readKubernetes,
		func() error { return s.findEtcd(opts) },
		func() error { return s.readDataDir(ctx) },
	} {
		if err := look(); err != nil {
			return nil, fmt.Errorf("looking at host %q: %w", root.dir, err)
		}
	}
	return s, nil
}

// readKubernetes reads /etc/kubernetes as a backup of it would have it.
func (s *State) readKubernetes() error {
	b := controlplane.New()
	real, err := s.root.Resolve(kubernetesDir, true)
	if err != nil {
		return err
	}
	if err := s.addTree(b, real, "kubernetes", 0); err != nil {
		return err
	}
	s.View = b.View()
	if s.Manifests, err = s.root.Resolve(kubernetesDir+"/manifests", true); err != nil {
		return err
	}
	if info, err := s.root.lstat(s.Manifests); err != nil || info != nil && !info.IsDir() {
		s.odd = append(s.odd, s.Manifests)
	}
	for component, to := range map[string]*Component{controlplane.Etcd: &s.Etcd, controlplane.APIServer: &s.APIServer} {
		name, data, ok := s.View.Manifest(component)
		if !ok {
			continue
		}
		to.Path, err = s.root.Resolve(path.Join(s.Manifests, path.Base(name)), false)
		if err != nil {
			return err
		}
		to.Data = data
		for _, other := range s.View.Manifests(component) {
			if other != name {
				to.Rivals = append(to.Rivals, path.Join(s.Manifests, path.Base(other)))
			}
		}
	}
	return nil
}

// maxDepth bounds folders within folders, and links to folders among them.
const maxDepth = 16

// addTree takes in a folder. Links are followed: kubelet and kube-apiserver
// follow them, too.
func (s *State) addTree(b *controlplane.Builder, dir, name string, depth int) error {
	entries, err := s.root.readDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || depth > 0 {
			return nil // a bare host; or a folder that is not for us
		}
		return err
	}
	for _, e := range entries {
		real, err := s.root.Resolve(path.Join(dir, e.Name()), true)
		below := path.Join(name, e.Name())
		if err != nil { // a link that leads in circles
			s.setOdd(below)
			continue
		}
		info, err := s.root.lstat(real)
		if err != nil || info == nil || !info.IsDir() && !info.Mode().IsRegular() {
			s.setOdd(below)
		}
		switch {
		case err != nil || info == nil || !fs.ValidPath(below):
		case info.IsDir() && depth < maxDepth && !strings.HasPrefix(e.Name(), "."):
			if err := s.addTree(b, real, below, depth+1); err != nil {
				return err
			}
		case info.Mode().IsRegular() && info.Size() <= controlplane.MaxFile:
			data, err := s.root.readFile(real, controlplane.MaxFile)
			if err != nil {
				return err
			}
			if err := b.Add(below, bytes.NewReader(data)); err != nil {
				return err
			}
		}
	}
	return nil
}

// setOdd remembers what is neither file nor folder where kubelet looks for Pods.
func (s *State) setOdd(name string) {
	if path.Dir(name) == "kubernetes/manifests" && !strings.HasPrefix(path.Base(name), ".") {
		s.odd = append(s.odd, "/etc/"+name)
	}
}

// findEtcd finds the member's name and data dir: in the manifest in its place,
// in the one that was given, in the one that an earlier run took out, or in
// Deckhouse's own copy.
func (s *State) findEtcd(opts LookOptions) error {
	view := s.View
	switch {
	case opts.Manifest != "":
		data, err := opts.Data, error(nil)
		if data == nil {
			data, err = opts.ReadFile(opts.Manifest)
		}
		if err != nil {
			return err
		}
		if view, err = manifestView(data); err != nil {
			return fmt.Errorf("reading %q: %w", opts.Manifest, err)
		}
		s.Etcd.From = opts.Manifest
		if !s.Etcd.In() {
			s.Etcd.Data = data
		}
	case !s.Etcd.In():
		name, data := s.takenOut()
		if name == "" {
			break
		}
		v, err := manifestView(data)
		if err != nil {
			break
		}
		view, s.Etcd.From, s.Etcd.Data = v, name, data
	}
	s.DataDir.Named = defaultDataDir
	member, ok := view.EtcdMember()
	if !ok {
		return nil
	}
	s.Member = member
	flags, _ := view.Flags(controlplane.Etcd)
	if dir := flags["wal-dir"]; dir != "" {
		s.DataDir.Log = view.OnHost(controlplane.Etcd, dir)
	}
	if member.DataDir != "" {
		s.DataDir.Named = view.OnHost(controlplane.Etcd, member.DataDir)
	}
	return nil
}

// manifestView is a view of one manifest of etcd.
func manifestView(data []byte) (*controlplane.View, error) {
	if _, err := controlplane.Edit(data, controlplane.Etcd); err != nil {
		return nil, err
	}
	b := controlplane.New()
	if err := b.Add("kubernetes/manifests/etcd.yaml", bytes.NewReader(data)); err != nil {
		return nil, err
	}
	return b.View(), nil
}

// takenOut is the newest manifest of etcd that a run moved out and none moved
// back, else Deckhouse's newest copy.
func (s *State) takenOut() (name string, data []byte) {
	runs, err := History(s.root)
	if err != nil {
		return "", nil
	}
	for i := len(runs) - 1; i >= 0; i-- {
		r := &Run{root: s.root, dir: path.Join(journalDir, runs[i].ID)}
		if runs[i].Problem != "" || r.read() != nil {
			continue
		}
		for _, step := range r.Plan.Steps {
			if step.Kind != Move || path.Base(step.From) != "etcd.yaml" {
				continue
			}
			if data, err := s.root.readFile(step.To, maxDigest); err == nil {
				return step.To, data
			}
		}
	}
	return s.deckhouseCopy("etcd.yaml")
}

// deckhouseBackup is where control-plane-manager keeps copies of what it
// replaces.
const deckhouseBackup = "kubernetes/deckhouse/backup/"

// deckhouseCopy is the newest copy of a manifest that Deckhouse keeps: its
// folders are named by the time.
func (s *State) deckhouseCopy(base string) (string, []byte) {
	files := s.View.Files()
	for i := len(files) - 1; i >= 0; i-- {
		if !strings.HasPrefix(files[i], deckhouseBackup) || path.Base(files[i]) != base {
			continue
		}
		if data, err := s.View.ReadFile(files[i]); err == nil {
			return "/etc/" + files[i], data
		}
	}
	return "", nil
}

// Deckhouse reports whether control-plane-manager has been at work here.
func (s *State) Deckhouse() bool {
	for _, f := range s.View.Files() {
		if strings.HasPrefix(f, "kubernetes/deckhouse/") {
			return true
		}
	}
	return false
}

func (s *State) readDataDir(ctx context.Context) error {
	d := &s.DataDir
	var err error
	if d.Real, err = s.root.Resolve(d.Named, true); err != nil {
		return err
	}
	if d.Free, err = s.root.free(d.Real); err != nil {
		return err
	}
	if own, err := s.root.device(d.Real); err == nil {
		above, err := s.root.device(path.Dir(d.Real))
		d.Mount = err == nil && own != above
	}
	d.HasMember = s.root.exists(d.Real + "/member")
	if info, err := s.root.lstat(d.Real); err == nil && info != nil && !info.IsDir() {
		d.NoFolder, d.HasMember = true, false
	}
	dir, err := datadir.Open(s.root.Path(d.Real))
	if err != nil {
		d.Err = err
		return nil //nolint:nilerr // the state holds it
	}
	if d.Log != "" {
		log, err := s.root.Resolve(d.Log, true)
		if err != nil {
			return err
		}
		dir = dir.WithWAL(s.root.Path(log))
	}
	if d.InUse = s.root.inUse(d.Real); d.InUse != nil {
		return nil //nolint:nilerr // the state holds it
	}
	if d.Survivor, d.Err = dir.Survey(ctx); d.Err != nil {
		return ctx.Err()
	}
	if d.Survivor.DatabaseErr == nil {
		db, err := snapshot.Open(ctx, d.Survivor.Database)
		if err != nil {
			d.Err = err
			return nil //nolint:nilerr // the state holds it
		}
		d.Alarms, d.Err = db.Alarms()
		return errors.Join(ctx.Err(), db.Close())
	}
	return nil
}

// defaultQuota is etcd's own (server/storage/quota.go DefaultQuotaBytes).
const defaultQuota = 2 << 30

// etcdFlags are those that etcd runs with: of its manifest and its ETCD_
// variables, nil where there is no manifest that can be read.
func (s *State) etcdFlags() controlplane.Flags {
	view, err := manifestView(s.Etcd.Data)
	if err != nil {
		return nil
	}
	flags, _ := view.Flags(controlplane.Etcd)
	return flags
}

// Quota is --quota-backend-bytes; false where the manifest has none. 0 means
// that the manifest has one that it does not tell.
func (s *State) Quota() (bytes int64, set bool) {
	given := s.etcdFlags()["quota-backend-bytes"]
	if given == "" {
		return defaultQuota, false
	}
	n, err := strconv.ParseInt(given, 10, 64)
	switch {
	case err != nil:
		return 0, true
	case n == 0:
		return defaultQuota, false
	}
	return n, true
}

// Alone reports whether the data dir knows no member but this one; false where
// nothing is known.
func (s *State) Alone() bool {
	sv := s.DataDir.Survivor
	return sv != nil && sv.DatabaseErr == nil && len(sv.Members) == 1
}
