package host

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Assessment is what a look at a host came to.
type Assessment struct {
	Member string           `json:"member"`
	Checks []lifeboat.Check `json:"checks"`
	Case   string           `json:"case"` // which of the documents' cases this is
	Next   []string         `json:"next"` // commands, the gentlest first
}

// soon is how near a certificate's end is worth a word.
const soon = 30 * 24 * time.Hour

// Assess says what was found, which case it is, and which command comes next.
// src is a backup at hand, "" for none.
func (s *State) Assess(now time.Time, src string) (*Assessment, error) {
	a := &Assessment{Member: s.Member.Name}
	say := func(c ...lifeboat.Check) { a.Checks = append(a.Checks, c...) }
	say(s.checkManifests()...)
	say(s.checkDir()...)
	say(s.checkData()...)
	say(s.checkCertificates(now), s.checkSpace())
	open, err := Unfinished(s.root)
	if err != nil && !errors.Is(err, ErrUnfinished) {
		return nil, err
	}
	switch {
	case err != nil:
		say(lifeboat.Bad("journal", "%v", err))
	case open != "":
		say(lifeboat.Note("journal", "run %s was cut off", open))
	}
	a.Case, a.Next = s.which(open, src)
	return a, nil
}

func (s *State) checkManifests() []lifeboat.Check {
	var checks []lifeboat.Check
	for _, c := range []struct {
		name string
		Component
	}{{"etcd manifest", s.Etcd}, {"kube-apiserver manifest", s.APIServer}} {
		switch {
		case c.In():
			checks = append(checks, lifeboat.Good(c.name, 1, "manifests", "%s: kubelet is told to run it, whether or not it runs", c.Path))
		case c.From != "":
			checks = append(checks, lifeboat.Note(c.name, "none in %s; it was read from %s", s.Manifests, c.From))
		default:
			checks = append(checks, lifeboat.Note(c.name, "none in %s", s.Manifests))
		}
	}
	for _, c := range []Component{s.Etcd, s.APIServer} {
		for _, other := range c.Rivals {
			checks = append(checks, lifeboat.Bad("manifests", "%q runs the same as %q: kubelet runs every file of the folder", other, c.Path))
		}
	}
	if s.etcdFlags()["force-new-cluster"] == "true" {
		checks = append(checks, lifeboat.Bad("force-new-cluster", "the flag is in the manifest: every start throws the other members out"))
	}
	for _, name := range s.odd {
		checks = append(checks, lifeboat.Bad("manifests", "%q leads nowhere, or is not what has to stand there: kubelet runs nothing of it", name))
	}
	for _, p := range s.View.Problems() {
		if strings.HasPrefix(p.Path, "kubernetes/manifests/") && !s.isRival(p.Path) {
			checks = append(checks, lifeboat.Bad("manifests", "%q %s", "/etc/"+p.Path, p.Detail))
		}
	}
	return checks
}

// isRival reports whether a file was named already as one that runs a component
// for a second time.
func (s *State) isRival(name string) bool {
	return slices.ContainsFunc(slices.Concat(s.Etcd.Rivals, s.APIServer.Rivals), func(r string) bool { return path.Base(r) == path.Base(name) })
}

func (s *State) checkDir() []lifeboat.Check {
	d := s.DataDir
	var where []string
	if d.Named != d.Real {
		where = append(where, "a symbolic link to "+d.Real)
	}
	if d.Mount {
		where = append(where, "a file system of its own")
	}
	if d.Log != "" {
		where = append(where, "the log stands apart, in "+d.Log)
	}
	detail := d.Named
	if len(where) > 0 {
		detail += ": " + strings.Join(where, ", ")
	}
	checks := []lifeboat.Check{lifeboat.Note("data dir", "%s", detail)}
	switch {
	case d.NoFolder:
		return append(checks, lifeboat.Bad("member", "%s is no folder", d.Real))
	case !d.HasMember:
		return append(checks, lifeboat.NotChecked("member", "there is no member folder in %s", d.Real))
	case errors.Is(d.InUse, snapshot.ErrInUse):
		return append(checks, lifeboat.Note("in use", "%v", d.InUse))
	}
	return append(checks, lifeboat.Good("in use", 1, "data dirs", "no process holds the database now; an etcd that crashes in a loop holds none either"))
}

// checkData is what stands in the data dir.
func (s *State) checkData() []lifeboat.Check {
	d, sv := s.DataDir, s.DataDir.Survivor
	switch {
	case !d.HasMember:
		return nil
	case sv == nil && d.InUse != nil:
		return []lifeboat.Check{lifeboat.NotChecked("database and log", "etcd is at work in it")}
	case sv == nil:
		return []lifeboat.Check{lifeboat.Bad("database and log", "%v", d.Err)}
	case sv.Newborn:
		return []lifeboat.Check{lifeboat.NotChecked("database and log", "there is nothing in it: its member has not started yet")}
	}
	var checks []lifeboat.Check
	if what := sv.Damage(); what != "" {
		checks = append(checks, lifeboat.Bad("database and log", "%s", what))
	} else {
		last, term := sv.Newest()
		checks = append(checks, lifeboat.Good("database and log", 1, "members", "revision %d in the database, newest entry %d of term %d", sv.Info.Revision, last, term))
	}
	if sv.DatabaseErr != nil {
		return checks
	}
	var names []string
	for _, m := range sv.Members {
		names = append(names, m.Name)
	}
	checks = append(checks, lifeboat.Good("members", int64(len(sv.Members)), "members", "%s", strings.Join(names, ", ")))
	if voters := len(sv.Voters()); voters > 1 {
		checks = append(checks, lifeboat.Note("majority", "1 of %d voters is at hand: acknowledged writes may be in the logs of the others alone", voters))
	}
	for _, alarm := range d.Alarms {
		checks = append(checks, lifeboat.Note("alarm", "%s of member %x", alarm.Alarm, alarm.MemberID))
	}
	quota, set := s.Quota()
	of := "etcd's own default, the manifest sets none"
	if set {
		of = "the manifest's"
	}
	switch {
	case quota == 0:
		checks = append(checks, lifeboat.NotChecked("quota", "--quota-backend-bytes is a variable that the manifest does not tell"))
	case sv.Info.Size >= quota:
		checks = append(checks, lifeboat.Bad("quota", "the database has %d bytes, the quota is %s (%s)", sv.Info.Size, size(quota), of))
	default:
		checks = append(checks, lifeboat.Good("quota", 1, "databases", "%d bytes of %s (%s)", sv.Info.Size, size(quota), of))
	}
	return append(checks, s.checkVersion()...)
}

func (s *State) checkVersion() []lifeboat.Check {
	info := s.DataDir.Survivor.Info
	for _, i := range s.View.Images() {
		if i.Container == controlplane.Etcd && i.Image != "" {
			return []lifeboat.Check{lifeboat.Note("etcd version", "cluster version %q, storage version %q, image %s", info.ClusterVersion, info.StorageVersion, i.Image)}
		}
	}
	return []lifeboat.Check{lifeboat.Note("etcd version", "cluster version %q, storage version %q", info.ClusterVersion, info.StorageVersion)}
}

func (s *State) checkCertificates(now time.Time) lifeboat.Check {
	certs, problems := s.View.Certificates()
	var near []string
	for _, c := range certs {
		if c.NotAfter.Before(now.Add(soon)) {
			near = append(near, fmt.Sprintf("/etc/%s until %s", c.Path, c.NotAfter.Format(time.DateOnly)))
		}
	}
	switch {
	case len(problems) > 0:
		return lifeboat.Bad("certificates", "/etc/%s %s", problems[0].Path, problems[0].Detail)
	case len(near) > 0:
		slices.Sort(near)
		return lifeboat.Note("certificates", "ended, or end within 30 days: %s (kubeadm certs renew, once the API server runs)", strings.Join(near, "; "))
	}
	if len(certs) == 0 {
		return lifeboat.NotChecked("certificates", "there is none in %s", kubernetesDir)
	}
	return lifeboat.Good("certificates", int64(len(certs)), "certificates", "none ends within 30 days")
}

// checkSpace asks for room for a second data dir, which every restore builds.
func (s *State) checkSpace() lifeboat.Check {
	need := datadir.RestoreBytes(0, true)
	if sv := s.DataDir.Survivor; sv != nil && sv.DatabaseErr == nil {
		need = datadir.RestoreBytes(sv.Info.Size, true)
	}
	if s.DataDir.Free < need {
		return lifeboat.Bad("free space", "%d bytes at %s: a restore builds a second data dir beside the old one, and checks it on a copy; about %d are needed", s.DataDir.Free, s.DataDir.Real, need)
	}
	return lifeboat.Good("free space", s.DataDir.Free, "bytes", "at %s", s.DataDir.Real)
}

// which tells the case. Gentle ways come before those that make a new cluster.
func (s *State) which(unfinished, src string) (string, []string) {
	d, sv, do := s.DataDir, s.DataDir.Survivor, s.root.Command
	restore := "restore SRC"
	if src != "" {
		restore = "restore " + quote(src)
	}
	if s.bare() {
		restore += " --with-kubernetes"
	}
	restore = do(restore)
	dir := quote(s.root.Path(d.Real))
	noSpace := slices.ContainsFunc(d.Alarms, func(a snapshot.Alarm) bool { return a.Alarm == "NOSPACE" })
	quota, _ := s.Quota()
	switch {
	case unfinished != "":
		return "a run was cut off", []string{do("resume"), do("undo " + unfinished)}
	case s.etcdFlags()["force-new-cluster"] == "true":
		return "the flag --force-new-cluster was left in the manifest", []string{do("force-new-cluster --via-flag off") + "   once etcd has served as a cluster of one"}
	case d.InUse != nil:
		return "etcd is running here", []string{do("quota --double") + "   if it has the alarm NOSPACE", do("etcd off") + "   if this master is to stand still"}
	case !d.HasMember && s.dismissed() != "":
		return "this node was dismissed as a master", []string{do("undo "+s.dismissed()) + "   only if it is to be the master again that it was"}
	case !d.HasMember:
		return "complete loss of the data", []string{restore}
	case sv != nil && sv.Newborn:
		return "the member has not started yet: there is nothing in its data dir", []string{
			"start the other masters   if a majority of them can be started: this one joins them as it was about to",
			"lifeboat etcd compare OTHER-DIR...   if they are gone, and their data dirs are left", restore,
		}
	case sv == nil || sv.Damage() != "":
		return "the data dir is damaged", []string{"lifeboat etcd compare " + dir + " OTHER-DIR   if another master's data dir is left", restore}
	case noSpace || quota > 0 && sv.Info.Size >= quota:
		return "the database exceeds its quota", []string{
			do("quota --double") + "   first: the members stay a cluster, the alarm is disarmed online",
			"lifeboat etcd repair " + dir + " --to DIR --compact --defrag   only if etcd does not start: it makes a cluster of one",
		}
	case !s.Alone():
		next := []string{
			"lifeboat etcd compare " + dir + " OTHER-DIR   if other masters' data dirs are left: which one to build from",
			do("force-new-cluster") + "   if the others are gone",
		}
		gentle := "start the other masters   if a majority of them can be started: nothing is lost (lifeboat host etcd on, there, where it was taken out)"
		if !s.Etcd.In() {
			gentle = s.putBack() + "   here, and on others, if a majority of the masters can be started: nothing is lost"
		}
		if src != "" {
			next = append(next, restore+"   if its state is wanted: all that was written since is lost")
		}
		return "a member of a cluster that lost its majority, or is stopped", append([]string{gentle}, next...)
	case !s.Etcd.In():
		return "a whole member that kubelet is not told to run", []string{s.putBack()}
	}
	return "a whole single member that does not run", []string{
		"crictl logs $(crictl ps -a --name '^etcd$' -q | head -1)   what it said last; and the same for kube-apiserver",
		do("audit off") + "   if kube-apiserver ends over its audit policy",
		do("images") + "   if images are missing",
	}
}

// putBack is how etcd's manifest gets to its place again.
func (s *State) putBack() string {
	if _, err := LastDone(s.root, "host etcd off"); err == nil {
		return s.root.Command("etcd on")
	}
	place := quote(s.root.Path(s.Manifests + "/etcd.yaml"))
	if s.Etcd.From != "" && s.root.exists(s.Etcd.From) {
		return "cp -p " + quote(s.root.Path(s.Etcd.From)) + " " + place
	}
	return "put etcd's manifest back to " + place
}

// bare reports whether there is nothing of a control plane in /etc/kubernetes.
func (s *State) bare() bool {
	return !s.Etcd.In() && !s.APIServer.In() && !s.root.exists(caFile)
}

// dismissed is the run that took the master role from this node, "" for none.
func (s *State) dismissed() string {
	id, err := LastDone(s.root, "host dismiss")
	if err != nil || s.Etcd.In() {
		return ""
	}
	return id
}
