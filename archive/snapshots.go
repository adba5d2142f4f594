package archive

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// databases are the etcd databases met in an archive. Which of them is the
// snapshot is known at the archive's end.
type databases struct {
	beside  []string // anywhere but under kubernetes/: each claims to be the snapshot
	inside  []string // under kubernetes/
	packed  []string // compressed, anywhere but under kubernetes/
	wrapped []Fact   // what another tool has to unwrap, anywhere but under kubernetes/
	text    []string // of wrapped, those with text in them: a log, a note
}

// forget drops a name that comes again, as something else perhaps.
func (d *databases) forget(name string) {
	is := func(known string) bool { return known == name }
	d.beside = slices.DeleteFunc(d.beside, is)
	d.inside = slices.DeleteFunc(d.inside, is)
	d.packed = slices.DeleteFunc(d.packed, is)
	d.text = slices.DeleteFunc(d.text, is)
	d.wrapped = slices.DeleteFunc(d.wrapped, func(f Fact) bool { return f.Entry == name })
}

// PackedSnapshot tells a compressed database beside the control plane's files:
// the snapshot, where no other is there.
func (e *Entry) PackedSnapshot() bool { return e.Inside == Bolt && e.Kind != Kubernetes }

// InKubernetes tells a database that is a file of the control plane's host.
// `kubeadm upgrade` copies the member's data dir to
// /etc/kubernetes/tmp/kubeadm-backup-etcd-DATE/etcd and leaves it there
// (kubernetes cmd/kubeadm/app/phases/upgrade/staticpods.go), so the backup of
// an upgraded host holds one that is as old as the upgrade.
func (e *Entry) InKubernetes() bool { return e.Kind == Kubernetes && e.Format == Bolt }

// Snapshots are the names of the snapshots met so far; a database under
// kubernetes/ is not among them.
func (r *Reader) Snapshots() []string { return r.found.beside }

// CheckSnapshot gives a *SnapshotError unless the archive holds exactly one
// snapshot, or one of the name wanted, "" for none. Ask it after Next gave
// io.EOF.
//
// A database under kubernetes/ counts when no other is there, and nothing that
// was meant to be one: a failed `etcdctl snapshot save` beside it must not
// bring back the state of the last upgrade.
func (r *Reader) CheckSnapshot(wanted string) error {
	e := &SnapshotError{Wanted: wanted, Found: r.found.beside, Inside: r.found.inside}
	if wanted != "" {
		e.Found = slices.Concat(r.found.beside, r.found.packed, r.found.inside)
		if slices.Contains(e.Found, path.Clean(strings.TrimLeft(wanted, "/"))) {
			return nil
		}
		return e
	}
	meant := false
	for _, f := range r.facts {
		if (f.Code == SkippedLink || f.Code == HardLink) && namedLikeSnapshot(f.Entry) && len(r.found.beside) == 0 {
			e.Suspects = append(e.Suspects, f)
			meant = meant || !inFiles(f.Entry)
		}
		if f.Code == NotADatabase {
			e.Suspects = append(e.Suspects, f)
			meant = meant || !inFiles(f.Entry)
		}
	}
	switch {
	case len(e.Found) == 1, len(e.Found) == 0 && len(r.found.packed) == 1:
		return nil
	case len(e.Found) == 0 && len(r.found.packed) > 1:
		e.Found, e.Suspects = r.found.packed, nil
	case len(e.Found) == 0 && !meant && len(e.Inside) == 1 && len(r.found.wrapped) == 0:
		return nil
	case len(e.Found) == 0 && len(r.found.wrapped) > 0:
		e.Wrapped, e.Suspects = r.found.wrapped, nil
	case len(e.Found) == 0 && !meant:
		e.Found, e.Inside = e.Inside, nil
	}
	return e
}

// lookForDatabase notes an entry that is a database, or that should be one.
// inside is what it unpacks to, as far as its first bytes tell.
func (r *Reader) lookForDatabase(e *Entry, inside Format) {
	note := func(code FactCode, detail string) { r.note(code, e.Name, e.Offset, detail) }
	if e.Again {
		r.found.forget(e.Name)
		r.facts = slices.DeleteFunc(r.facts, func(f Fact) bool {
			return f.Entry == e.Name && (f.Code == NotADatabase || f.Code == InnerDatabase)
		})
	}
	switch {
	case e.InKubernetes():
		r.found.inside = append(r.found.inside, e.Name)
		note(InnerDatabase, "is an etcd database under kubernetes/, as kubeadm upgrade leaves one: not the snapshot unless the archive holds no other")
	case e.Format == Bolt:
		e.Kind = Snapshot
		r.found.beside = append(r.found.beside, e.Name)
	case e.PackedSnapshot():
		r.found.packed = append(r.found.packed, e.Name)
	case e.Kind == Other && e.Format.wraps() && len(r.found.wrapped) < 8:
		r.found.wrapped = append(r.found.wrapped, Fact{Code: NotADatabase, Entry: e.Name, Number: e.Number, Offset: e.Offset, Detail: "is " + e.Format.article()})
		if inside == Text || inside == Empty {
			r.found.text = append(r.found.text, e.Name)
		}
	case e.Format == Apple:
	case namedLikeSnapshot(e.Name):
		note(NotADatabase, "is "+e.Format.article()+", no etcd database")
	}
}

// noteUnopened names what stands beside the snapshot and was not looked into: the
// control plane's files as an archive of their own, a second snapshot, the
// events after this one.
func (r *Reader) noteUnopened() {
	d := r.found
	switch {
	case len(d.beside) > 0:
		for _, name := range d.packed {
			r.facts = append(r.facts, Fact{Code: Unopened, Entry: name, Detail: "is a compressed etcd database: not the snapshot, as one that is not compressed stands beside it; --snapshot-name takes it"})
		}
	case len(d.packed) == 0 && len(d.inside) == 0:
		return // CheckSnapshot names them
	}
	for _, f := range d.wrapped {
		if !slices.Contains(d.text, f.Entry) {
			f.Code, f.Detail = Unopened, f.Detail+": what is in it is not looked at"
			r.facts = append(r.facts, f)
		}
	}
}

// raftSnapshot is the name of etcd's own raft snapshots, which stand beside
// the database of a data dir (etcd server/etcdserver/api/snap/snapshotter.go).
var raftSnapshot = regexp.MustCompile(`^[0-9a-f]{16}-[0-9a-f]{16}\.snap$`)

// namedLikeSnapshot tells the names that operators give to snapshots. In
// kubernetes/ only the endings count: snapshot-controller.yaml lives there.
func namedLikeSnapshot(name string) bool {
	base := strings.ToLower(path.Base(name))
	if raftSnapshot.MatchString(base) {
		return false
	}
	switch path.Ext(base) {
	case ".snapshot", ".snap", ".db":
		return true
	}
	return strings.Contains(base, "snapshot") && !inFiles(name)
}

// inFiles tells what stands in the copy of /etc/kubernetes.
func inFiles(name string) bool { return strings.HasPrefix(name, FilesFolder+"/") }
