package archive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ManifestFormat is the newest manifest that this package reads. It grows only
// when an older reader would draw wrong conclusions from a newer archive.
const ManifestFormat = 1

// ErrNewer says that an archive was made by a newer program and cannot be
// judged by this one.
var ErrNewer = errors.New("made by a newer version of lifeboat")

// Manifest is what an archive says of itself, in its last entry.
type Manifest struct {
	Format   int      `json:"format"`
	Requires []string `json:"requires,omitempty"` // what a reader has to know, beyond Format

	Time     time.Time `json:"time"` // when the snapshot was written
	Node     string    `json:"node,omitempty"`
	Previous string    `json:"previous,omitempty"` // sha256 of the archive before this one

	// Cluster is the UID of the namespace kube-system, which is how Kubernetes
	// tells clusters apart.
	Cluster           string       `json:"cluster,omitempty"`
	KubernetesVersion string       `json:"kubernetesVersion,omitempty"`
	Etcd              EtcdManifest `json:"etcd"`

	Entries []ManifestEntry `json:"entries"`
}

// EtcdManifest is etcd's side, under the names of etcdctl.
type EtcdManifest struct {
	Revision        int64    `json:"revision"`
	CompactRevision int64    `json:"compact_revision"` // -1: nothing was compacted
	Hash            uint32   `json:"hash"`             // of `etcdctl endpoint hashkv` at Revision
	ClusterID       string   `json:"cluster_id,omitempty"`
	Version         string   `json:"version,omitempty"`
	StorageVersion  string   `json:"storageVersion,omitempty"`
	Members         []string `json:"members,omitempty"`
	Trailer         bool     `json:"trailer"` // the snapshot carries etcd's sha256
}

// ManifestEntry is one entry of the archive, without MANIFEST.json itself.
type ManifestEntry struct {
	Name   string `json:"name"`
	Type   string `json:"type"` // file, directory, link
	Size   int64  `json:"size,omitempty"`
	Mode   string `json:"mode"`
	Owner  string `json:"owner,omitempty"` // "1000:1000", numbers; "" is root
	SHA256 string `json:"sha256,omitempty"`
	Link   string `json:"link,omitempty"`
}

func (m *Manifest) encode() ([]byte, error) {
	m.Format = ManifestFormat
	m.Time = m.Time.UTC().Truncate(time.Second)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	return append(text, '\n'), nil
}

// isForeign tells another program's MANIFEST.json: it has none, or one, of the
// names that stand in every one of ours. One that is damaged has more of them
// left.
func isForeign(text []byte) bool {
	met := 0
	for _, name := range []string{`"format"`, `"time"`, `"etcd"`, `"entries"`, `"sha256"`} {
		if bytes.Contains(text, []byte(name)) {
			met++
		}
	}
	return met <= 1
}

// maxManifest bounds what is read of one: MaxEntries entries with long names.
const maxManifest = 32 << 20

// ReadManifest reads MANIFEST.json. One that is newer than this package, or
// that requires what it does not know, is ErrNewer; anything else that is
// wrong is a *DamagedError.
func ReadManifest(r io.Reader) (*Manifest, error) {
	damaged := func(err error) error { return &DamagedError{Layer: "manifest", Err: err} }
	text, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxManifest {
		return nil, damaged(errors.New("it is larger than 32 MiB"))
	}
	m := &Manifest{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(m); err != nil {
		return nil, damaged(errors.New("it is not the JSON of a manifest"))
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, damaged(errors.New("something follows its JSON"))
	}
	switch {
	case m.Format < 1:
		return nil, damaged(errors.New("it has no format number"))
	case m.Format > ManifestFormat:
		return nil, fmt.Errorf("%w: manifest format %d, this one knows %d", ErrNewer, m.Format, ManifestFormat)
	case len(m.Requires) > 0:
		return nil, fmt.Errorf("%w: it requires %.100q", ErrNewer, m.Requires[0])
	}
	return m, nil
}

// Inventory takes down what an archive holds while it is read, to be held
// against its manifest.
type Inventory struct {
	Manifest *Manifest // nil until it was met, or when there is none
	found    []*inventoryEntry
	last     string
}

type inventoryEntry struct {
	ManifestEntry
	sum func() string // nil for what has no content
}

// Note takes down a file whose digest the caller has computed itself.
func (v *Inventory) Note(entry *Entry, sha256 string) {
	e := newInventoryEntry(entry)
	e.sum = func() string { return sha256 }
	v.put(e, entry.Again)
}

func newInventoryEntry(entry *Entry) *inventoryEntry {
	return &inventoryEntry{ManifestEntry: ManifestEntry{
		Name: entry.Name, Type: "file", Size: entry.Size, Mode: fmt.Sprintf("%04o", entry.Mode.Perm()), Owner: ownerText(entry.UID, entry.GID),
	}}
}

// ownerText is how a manifest names an owner.
func ownerText(uid, gid int) string {
	if uid == 0 && gid == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", uid, gid)
}

// put takes down an entry, in the place of one of its name that came before.
func (v *Inventory) put(e *inventoryEntry, again bool) {
	if again {
		v.found = slices.DeleteFunc(v.found, func(old *inventoryEntry) bool { return old.Name == e.Name })
	}
	v.found, v.last = append(v.found, e), e.Name
}

// Watch gives entry's content through a digest. The caller reads it to its
// end; the manifest is read by Watch itself.
func (v *Inventory) Watch(entry *Entry, r io.Reader) (io.Reader, error) {
	e := newInventoryEntry(entry)
	switch {
	case entry.Kind == Directory:
		e.Type, e.Size = "directory", 0
	case entry.Name == ManifestName:
		var text bytes.Buffer // whoever unpacks wants it, too
		m, err := ReadManifest(io.TeeReader(r, &text))
		v.Manifest, v.last = m, entry.Name
		if !errors.Is(err, ErrDamaged) || !isForeign(text.Bytes()) {
			return &text, err
		}
		sum := sha256.Sum256(text.Bytes())
		e.sum = func() string { return hex.EncodeToString(sum[:]) }
		v.put(e, entry.Again)
		return &text, nil
	default:
		sum := sha256.New()
		r = io.TeeReader(r, sum)
		e.sum = func() string { return hexSum(sum) }
	}
	v.put(e, entry.Again)
	return r, nil
}

// Check holds the content against the manifest; ask it after the archive was
// read to its end. Every difference is damage or somebody's hand: the list is
// for people, and empty when all is as it should be. links are those that the
// Reader passed over.
func (v *Inventory) Check(links []Link) []string {
	if v.Manifest == nil {
		return nil
	}
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	listed := map[string]ManifestEntry{}
	for _, e := range v.Manifest.Entries {
		if _, twice := listed[e.Name]; twice {
			say("%q is listed twice", e.Name)
		}
		listed[e.Name] = e
	}
	for _, link := range links {
		e := &inventoryEntry{ManifestEntry: ManifestEntry{Name: link.Name, Type: "link", Link: link.Target}}
		v.found = append(v.found, e)
	}
	for _, e := range v.found {
		want, ok := listed[e.Name]
		delete(listed, e.Name)
		switch {
		case !ok:
			say("%q is in the archive and not in the manifest", e.Name)
		case want.Type != e.Type:
			say("%q is a %s, the manifest says a %s", e.Name, e.Type, want.Type)
		case e.Type == "link" && want.Link != e.Link:
			say("%q leads elsewhere than the manifest says", e.Name)
		case e.Type == "file" && want.Size != e.Size:
			say("%q has %d bytes, the manifest says %d", e.Name, e.Size, want.Size)
		case e.sum != nil && want.SHA256 != e.sum():
			say("%q has other content than the manifest says", e.Name)
		case e.Type != "link" && want.Owner != e.Owner:
			say("%q belongs to %s, the manifest says %s", e.Name, cmp.Or(e.Owner, "root"), cmp.Or(want.Owner, "root"))
		case e.Type != "link" && want.Mode != e.Mode:
			say("%q has mode %s, the manifest says %s", e.Name, e.Mode, want.Mode)
		}
	}
	for _, e := range v.Manifest.Entries {
		if _, missing := listed[e.Name]; missing {
			say("%q is in the manifest and not in the archive", e.Name)
			delete(listed, e.Name)
		}
	}
	if v.last != ManifestName {
		say("something follows the manifest: %q", v.last)
	}
	return wrong
}
