package registry

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unsafe"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Event is what happened to an object at a revision.
type Event string

// What can happen. Held is the oldest state that the backup still has of an
// object which is older: what came before was compacted. Attempted is a request in
// a log: whether it was carried out is not known.
const (
	Created   Event = "created"
	Recreated Event = "re-created"
	Updated   Event = "updated"
	Deleted   Event = "deleted"
	Held      Event = "held"
	Attempted Event = "attempted"
)

// Step is one change of one object.
type Step struct {
	Revision int64  // 0 of what was attempted
	Entry    uint64 // of the log, of what it alone tells; else 0
	When     Moment
	Event    Event
	Key      Key

	Before, After *Object // nil where the object was not there, or is not known

	// Gap says that changes between Before and this one may be missing: they
	// were compacted, or lie in a hole between backups.
	Gap bool

	at int64 // where it stands among the revisions
}

// Place names the step: "revision 1367", or "entry 52" of the log.
func (s *Step) Place() string {
	if s.Revision == 0 {
		return fmt.Sprintf("entry %d", s.Entry)
	}
	return fmt.Sprintf("revision %d", s.Revision)
}

// Timeline is the history of the objects asked for, the newest step first.
type Timeline struct {
	registry *Registry
	clock    *Clock
	steps    []stepRecord
}

// stepRecord is a step before it is decoded.
type stepRecord struct {
	snapshot.Record
	before *snapshot.Record
	event  Event
	gap    bool

	at    int64  // Main, or where an attempt stands
	entry uint64 // of the log
	when  Moment // of an entry
}

func newestFirst(a, b stepRecord) int {
	return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.Sub, a.Sub), cmp.Compare(b.entry, a.entry))
}

// History finds the changes of all objects whose key want takes, in one pass
// over the records that are still held. Nothing is decoded before Steps goes
// along; memory grows with the changes found. clock may be nil.
func (r *Registry) History(ctx context.Context, clock *Clock, want func(Key) bool) (*Timeline, error) {
	h, err := r.history()
	if err != nil {
		return nil, err
	}
	byKey := map[string][]snapshot.Record{}
	for record, err := range h.Changes(ctx, r.matcher(want)) {
		if err != nil {
			return nil, err
		}
		name := unsafe.String(unsafe.SliceData(record.Key), len(record.Key))
		if list := byKey[name]; len(list) == 0 || list[len(list)-1].Main != record.Main {
			byKey[name] = append(list, record)
		}
	}
	t := &Timeline{registry: r, clock: clock}
	for _, name := range slices.Sorted(maps.Keys(byKey)) {
		records := byKey[name]
		slices.Reverse(records)
		t.add(records)
	}
	slices.SortStableFunc(t.steps, newestFirst)
	return t, nil
}

// matcher takes the keys of API objects that want takes.
func (r *Registry) matcher(want func(Key) bool) func([]byte) bool {
	return func(path []byte) bool {
		key, err := ParseKey(r.opts.Prefix, unsafe.String(unsafe.SliceData(path), len(path)))
		return err == nil && !key.System && (want == nil || want(key))
	}
}

// add says what each record of one key, the oldest first, did to it.
func (t *Timeline) add(records []snapshot.Record) {
	var before *snapshot.Record
	wasDeleted := false
	for i, r := range records {
		s := stepRecord{Record: r, at: r.Main}
		switch {
		case r.Deleted:
			s.event, s.before = Deleted, before
			s.gap = before == nil
		case r.Version == 1:
			s.event = Created
			if wasDeleted || before != nil {
				s.event, s.gap = Recreated, before != nil
			}
		case before == nil:
			s.event, s.gap = Held, true
		default:
			s.event, s.before = Updated, before
			s.gap = before.CreateRevision != r.CreateRevision || before.Version+1 != r.Version
		}
		t.steps = append(t.steps, s)
		before, wasDeleted = &records[i], r.Deleted
		if r.Deleted {
			before = nil
		}
	}
}

// Len counts the steps.
func (t *Timeline) Len() int { return len(t.steps) }

// Between leaves the steps of some revisions: after since and up to until, 0
// for no bound.
func (t *Timeline) Between(since, until int64) {
	t.steps = slices.DeleteFunc(t.steps, func(s stepRecord) bool { return s.at <= since || until > 0 && s.at > until })
}

// Only leaves the steps of one revision.
func (t *Timeline) Only(rev int64) {
	t.steps = slices.DeleteFunc(t.steps, func(s stepRecord) bool { return s.Main != rev })
}

// Steps decodes the steps, one at a time. What cannot be decrypted or decoded
// has Problems.
func (t *Timeline) Steps(ctx context.Context) iter.Seq2[*Step, error] {
	return func(yield func(*Step, error) bool) {
		for _, s := range t.steps {
			if err := context.Cause(ctx); err != nil {
				yield(nil, err)
				return
			}
			key, err := ParseKey(t.registry.opts.Prefix, string(s.Key))
			if err != nil {
				continue // it parsed before
			}
			step := &Step{Revision: s.Main, Entry: s.entry, When: s.when, Event: s.event, Key: key, Gap: s.gap, at: s.at}
			if t.clock != nil && s.entry == 0 {
				step.When = t.clock.Time(s.Main)
			}
			if s.before != nil {
				step.Before = t.registry.Decode(ctx, Entry{key, s.before.KeyValue})
			}
			if !s.Deleted {
				step.After = t.registry.Decode(ctx, Entry{key, s.KeyValue})
			}
			if !yield(step, nil) {
				return
			}
		}
	}
}

// Author is who changed an object, as managedFields has it.
type Author struct {
	Manager     string `json:"manager"`
	Operation   string `json:"operation"`
	Subresource string `json:"subresource,omitempty"`
}

func (a Author) String() string {
	text := a.Manager + " " + strings.ToLower(a.Operation)
	if a.Subresource != "" {
		text += " (" + a.Subresource + ")"
	}
	return text
}

// By are those whose entries in managedFields this change wrote. An entry
// carries the second of its newest write, so that two writes within one second
// by the same author cannot be told: then nobody is named. A deletion leaves no
// trace: the audit log would tell.
func (s *Step) By() []Author {
	if s.After == nil || s.Event == Held {
		return nil
	}
	was, when := map[string]bool{}, map[Author]string{}
	for _, entry := range managedFields(s.Before) {
		was[fmt.Sprint(entry)] = true
		when[authorOf(entry)] = stringAt(entry, "time")
	}
	var wrote, touched []Author
	for _, entry := range managedFields(s.After) {
		author := authorOf(entry)
		switch {
		case was[fmt.Sprint(entry)]:
		case when[author] != stringAt(entry, "time"):
			wrote = append(wrote, author)
		default: // it also changes when another author takes a field away
			touched = append(touched, author)
		}
	}
	if len(wrote) == 0 {
		wrote = touched
	}
	slices.SortFunc(wrote, func(a, b Author) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(wrote)
}

func authorOf(entry any) Author {
	return Author{stringAt(entry, "manager"), stringAt(entry, "operation"), stringAt(entry, "subresource")}
}

func managedFields(o *Object) []any {
	if o == nil {
		return nil
	}
	content, err := o.Content()
	if err != nil {
		return nil
	}
	return listAt(content, "metadata", "managedFields")
}

// Fields are the fields that the step changed, without what the API server
// counts up by itself. A Secret's values are digests unless showSecrets.
func (s *Step) Fields(showSecrets bool) []FieldChange {
	if s.Event == Held || s.Event == Deleted || s.Event == Attempted && (s.Before == nil || s.After == nil) {
		return nil
	}
	before, after := s.Contents(showSecrets)
	return DiffFields(withoutNoise(before), withoutNoise(after))
}

// Contents are the object before and after the step, nil where it was not there
// or cannot be read. A Secret's values are digests unless showSecrets.
func (s *Step) Contents(showSecrets bool) (before, after map[string]any) {
	return maskPair(contentOrNil(s.Before), contentOrNil(s.After), showSecrets)
}

// maskPair masks two states under one key, so that they can be compared.
func maskPair(before, after map[string]any, showSecrets bool) (maskedBefore, maskedAfter map[string]any) {
	if showSecrets {
		return before, after
	}
	key := cmp.Or(stringAt(before, "metadata", "uid"), stringAt(after, "metadata", "uid"))
	return Masked(before, key), Masked(after, key)
}

func contentOrNil(o *Object) map[string]any {
	if o == nil {
		return nil
	}
	content, err := o.Content()
	if err != nil {
		return nil
	}
	return content
}

// withoutNoise leaves out what changes with every write and says nothing.
func withoutNoise(content map[string]any) map[string]any {
	if content == nil {
		return nil
	}
	clean := copyValue(content).(map[string]any)
	for _, field := range []string{"managedFields", "resourceVersion", "generation"} {
		unstructured.RemoveNestedField(clean, "metadata", field)
	}
	unstructured.RemoveNestedField(clean, "metadata", "annotations", lastApplied)
	if annotations, ok := valueAt(clean, "metadata", "annotations").(map[string]any); ok && len(annotations) == 0 {
		unstructured.RemoveNestedField(clean, "metadata", "annotations")
	}
	return clean
}
