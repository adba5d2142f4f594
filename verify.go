package lifeboat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// verification gathers checks.
type verification struct {
	b      *Backup
	checks []Check
}

func (v *verification) say(c ...Check) { v.checks = append(v.checks, c...) }

// Verify says everything that can be said about whether the backup is whole,
// whether its parts belong together, and whether it is the newest of its
// cluster: the layers, the manifest against the content, every record, etcd's
// hash, certificates, encryption keys, the member, the cluster's CA and token
// key, and the newest signed archive that Options.StateDir remembers. The
// order is the same every time.
//
// A signed archive that is sound takes the remembered one's place. What Verify
// could not look at is "not checked"; an error says that it was cut short, or
// that the manifest cannot be read.
func (b *Backup) Verify(ctx context.Context) ([]Check, error) {
	v, found, err := b.verify(ctx)
	if err != nil {
		return nil, err
	}
	v.remember(found)
	return v.checks, nil
}

// verify is Verify without what other archives say of this one.
func (b *Backup) verify(ctx context.Context) (*verification, *examined, error) {
	if b.unread != nil {
		return nil, nil, fmt.Errorf("opening %q: %w", b.path, b.unread)
	}
	if err := b.Prove(); err != nil {
		return nil, nil, fmt.Errorf("opening %q: %w", b.path, err)
	}
	v := &verification{b: b}
	v.layers()
	if b.kind == Archive {
		v.manifest()
		v.whichSnapshot()
		v.names()
	}
	phase := b.opts.Observer.start("verifying "+b.path, 0)
	defer phase.Done()
	found, err := v.examine(ctx)
	if err != nil {
		return nil, nil, err
	}
	v.records(found.Examination)
	v.acknowledged()
	v.hash(found.hash)
	v.pki(time.Now())
	v.belongs(found.belongings)
	return v, found, nil
}

func (v *verification) layers() {
	for _, l := range v.b.layers {
		if l.State == "missing" {
			v.say(NotChecked(l.Name, "%s", l.Detail))
			continue
		}
		v.say(Good(l.Name, l.Looked, l.Of, "%s", l.Detail))
	}
}

// examined is what the passes over the database found.
type examined struct {
	snapshot.Examination
	hash snapshot.Hash
	*belongings
}

// examine makes the passes over the database, side by side.
func (v *verification) examine(ctx context.Context) (*examined, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e, b := &examined{}, v.b
	passes := []func() error{
		func() (err error) { e.belongings, err = v.gather(ctx); return err },
		func() (err error) { e.Examination, err = b.db.Examine(ctx); return err },
	}
	if b.Manifest() != nil || b.signedBy != "" {
		passes = append(passes, func() (err error) { e.hash, err = b.db.HashKV(ctx, 0); return err })
	}
	ended := make(chan error)
	for _, pass := range passes {
		go func() { ended <- pass() }()
	}
	var first error
	for range passes {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel() // the others give up
		}
	}
	return e, first
}

// acknowledged says whether the dirs at hand prove that a data dir has every
// write that a client was told of.
func (v *verification) acknowledged() {
	const name = "acknowledged writes"
	switch e := v.b.Evidence(); {
	case e == nil: // a snapshot is one moment, and says of none that came after it
	case e.Complete():
		v.say(Good(name, int64(e.Held), "voters", "%s", e))
	default:
		v.say(NotChecked(name, "%s", e))
	}
}

// names tells entries that could not be taken in.
func (v *verification) names() {
	var odd []string
	for _, fact := range v.b.facts {
		if fact.Code == archive.OddName {
			odd = append(odd, fmt.Sprintf("%q", fact.Entry))
		}
	}
	if len(odd) > 0 {
		v.say(Mismatch("names", "%d entries are left out, with names that cannot be shown: %s", len(odd), strings.Join(odd[:min(len(odd), 8)], ", ")))
	}
}

// manifest holds the archive against what it says of itself.
func (v *verification) manifest() {
	m := v.b.Manifest()
	if m == nil {
		v.say(NotChecked("manifest", "there is none: another program made the archive, and no digest covers its files"))
		return
	}
	wrong := v.b.inventory.Check(v.b.links)
	for _, w := range wrong {
		v.say(Bad("manifest", "%s", w))
	}
	if len(wrong) == 0 {
		node := m.Node
		if node == "" {
			node = "-"
		}
		v.say(Good("manifest", int64(len(m.Entries)), "entries", "%d entries, each as it was packed on %s, %s", len(m.Entries), node, m.Time.Format(time.RFC3339)))
	}
}

// whichSnapshot names the databases among the files. A bare one in the place of
// the snapshot is a mismatch: a nightly script whose `etcdctl snapshot save`
// fails packs kubernetes/ alone, with the copy of the last upgrade in it. What
// bears etcd's sum was saved as a snapshot, wherever it was put.
func (v *verification) whichSnapshot() {
	for _, fact := range v.b.facts {
		if fact.Code == archive.InnerDatabase && fact.Entry != v.b.inside {
			v.say(Note("snapshot", "%q is an etcd database too, and not the snapshot", fact.Entry))
		}
	}
	switch {
	case v.b.inside == "":
	case v.b.trailer == snapshot.TrailerGood:
		v.say(Note("snapshot", "it is %q, among the files of the control plane", v.b.inside))
	default:
		v.say(Mismatch("snapshot", "there is none: the only etcd database is %q, which no snapshot save has made", v.b.inside))
	}
}

// records says what every record is.
func (v *verification) records(found snapshot.Examination) {
	for _, p := range found.Problems {
		v.say(Bad("records", "%s", p))
	}
	if len(found.Problems) == 0 {
		v.say(Good("records", found.Records, "records", "every record is what its revision says, to revision %d", v.b.db.Revision()))
	}
}

// hash holds etcd's hash against the manifest's.
func (v *verification) hash(found snapshot.Hash) {
	if v.b.Manifest() == nil {
		return
	}
	revision, etcd := v.b.db.Revision(), v.b.Manifest().Etcd
	if etcd.Revision != revision || etcd.Hash != found.Hash {
		v.say(Bad("etcd hash", "revision %d with hash %d, the manifest says revision %d with hash %d", revision, found.Hash, etcd.Revision, etcd.Hash))
		return
	}
	v.say(Good("etcd hash", 1, "hashes", "%d at revision %d, as in the manifest", found.Hash, etcd.Revision))
}

// pki says what is wrong with certificates, and how long the first of them
// lasts.
func (v *verification) pki(now time.Time) {
	control := v.b.control
	if control == nil {
		v.say(NotChecked("certificates", "there is no kubernetes/ in it"))
		return
	}
	good := int64(0)
	for _, f := range control.CheckPKI(now) {
		switch {
		case f.OK && !f.Note:
			good++
		case f.OK:
			v.say(Note("certificates", "%q: %s", f.Path, f.Detail))
		default:
			v.say(Mismatch("certificates", "%q: %s", f.Path, f.Detail))
		}
	}
	for _, p := range control.Problems() {
		v.say(Note("files", "%q %s", p.Path, p.Detail))
	}
	certs, _ := control.Certificates()
	if len(certs) == 0 {
		v.say(Mismatch("certificates", "there is none in kubernetes/pki"))
		return
	}
	first := slices.MinFunc(certs, func(a, b controlplane.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	v.say(Good("certificates", good, "certificates", "%d checked against key, CA and clock; the first ends %s", good, first.NotAfter.Format(time.DateOnly)))
}
