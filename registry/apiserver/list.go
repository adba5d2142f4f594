package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	// mostBuffered is how many bytes of stored values, and of a page, are held
	// in memory. What is longer is read twice: first for its problems, which go
	// into the header, then to be written as it is read.
	mostBuffered = 16 << 20

	// writeTime is how long a client may take for the next piece of an answer.
	writeTime = 30 * time.Second
)

// list answers with a list, a page of it, or its Table.
func (q *query) list(w http.ResponseWriter, r *http.Request) error {
	at, err := q.point()
	if err != nil {
		return err
	}
	release, err := q.server.acquire(r.Context())
	if err != nil {
		return err
	}
	defer release()
	idx, err := q.server.indexOf(r.Context(), at.revision)
	if err != nil {
		return q.expired(err)
	}
	if q.format.convert != nil && q.format.convert.Kind == "PartialObjectMetadata" {
		return notAcceptable("you requested PartialObjectMetadata, but the requested object is a list")
	}
	q.server.warnOfTime(w, r, idx)
	l := &listing{query: q, idx: idx, records: q.candidates(idx, at.from)}
	l.meta.ResourceVersion = strconv.FormatInt(at.revision, 10)
	if q.options.Limit > 0 || storedSize(l.records) <= q.server.buffer {
		return l.buffered(w, r)
	}
	return l.streamed(w, r)
}

// candidates are the records that may match, told by their keys alone.
func (q *query) candidates(idx *index, from string) []snapshot.KeyValue {
	gr := q.served.stored.GroupResource()
	name, byName := q.fields.RequiresExactMatch("metadata.name")
	namespace, byNamespace := q.fields.RequiresExactMatch("metadata.namespace")
	byNamespace = byNamespace && q.served.namespaced
	if byName && (!q.served.namespaced || q.info.Namespace != "") {
		record, ok := idx.find(gr, q.prefix()+name)
		if !ok || string(record.Key) < from {
			return nil
		}
		return []snapshot.KeyValue{record}
	}
	records := idx.under(gr, q.prefix(), from)
	if !byName && !byNamespace {
		return records
	}
	var kept []snapshot.KeyValue
	for _, record := range records {
		folder, last := path.Split(string(record.Key))
		if (!byName || last == name) && (!byNamespace || path.Base(folder) == namespace) {
			kept = append(kept, record)
		}
	}
	return kept
}

func storedSize(records []snapshot.KeyValue) (size int64) {
	for _, record := range records {
		size += int64(len(record.Value))
	}
	return size
}

// listing is one list under way.
type listing struct {
	*query
	idx     *index
	records []snapshot.KeyValue
	meta    metav1.ListMeta
	notes   notes
}

// items reads the records on all cores.
func (l *listing) items(records []snapshot.KeyValue) func(yield func(item) bool) {
	form := l.form()
	return ordered(len(records), func(i int) item {
		id := bodyID{string(records[i].Key), l.idx.revision, form}
		if form != "" {
			if body := l.server.bodies.get(id); body != nil {
				return item{key: id.key, matched: true, body: body}
			}
		}
		it := l.read(l.idx, records[i])
		if err := l.encodeItem(&it); err != nil {
			it.problems = append(it.problems, registry.Problem{Code: registry.Unconverted, Detail: err.Error()})
			it.leftOut = true
		}
		if form != "" && it.body != nil && len(it.problems) == 0 {
			l.server.bodies.add(id, it.body)
		}
		return it
	})
}

// form names all that an item's body hangs on beside the object; "" with
// selectors, which need the object itself.
func (l *listing) form() string {
	if !l.labels.Empty() || !l.fields.Empty() {
		return ""
	}
	media := l.format.mediaType
	if l.format.isYAML() {
		media = runtime.ContentTypeJSON // the whole list is turned into YAML at the end
	}
	return fmt.Sprint(l.served.gvk, media, l.format.convert, l.includeObject)
}

// buffered collects a page, or a list that is short, and then writes it.
func (l *listing) buffered(w http.ResponseWriter, r *http.Request) error {
	var bodies [][]byte
	size, seen := 0, 0
	for it := range l.items(l.records) {
		if err := r.Context().Err(); err != nil {
			return err
		}
		seen++
		l.notes.add(l.query, it)
		if it.body != nil {
			bodies = append(bodies, it.body)
			size += len(it.body)
		}
		limit := l.options.Limit
		if limit > 0 && seen < len(l.records) && (int64(len(bodies)) >= limit || int64(size) > l.server.buffer) {
			if err := l.cut(it.key, seen); err != nil {
				return err
			}
			break
		}
	}
	l.notes.warn(w.Header())
	return l.write(w, bodies)
}

// cut ends a page after key.
func (l *listing) cut(key string, seen int) error {
	token, err := storage.EncodeContinue(key+"\x00", strings.TrimSuffix(l.prefix(), "/"), l.idx.revision)
	if err != nil {
		return fmt.Errorf("making a continue token: %w", err)
	}
	l.meta.Continue = token
	if l.labels.Empty() && l.fields.Empty() {
		remaining := int64(len(l.records) - seen)
		l.meta.RemainingItemCount = &remaining
	}
	return nil
}

func (l *listing) write(w http.ResponseWriter, bodies [][]byte) error {
	frame, err := l.frame(bodies)
	if err != nil {
		return err
	}
	if l.format.isYAML() {
		whole := frame.head
		for i, body := range bodies {
			whole = append(append(whole, frame.between(i, body)...), body...)
		}
		whole, err = toYAML(append(whole, frame.tail...))
		if err != nil {
			return fmt.Errorf("writing a list as YAML: %w", err)
		}
		l.server.write(w, http.StatusOK, l.format.mediaType, whole)
		return nil
	}
	out := newStream(w, l.format.mediaType)
	out.write(frame.head)
	for i, body := range bodies {
		out.write(frame.between(i, body))
		out.write(body)
	}
	out.write(frame.tail)
	return out.end()
}

// streamed reads the records twice and holds a few of them at a time.
func (l *listing) streamed(w http.ResponseWriter, r *http.Request) error {
	if l.format.isYAML() {
		return notAcceptable("a list of this size is not served as application/yaml; give a limit, or take application/json")
	}
	count, size := 0, 0
	for it := range l.items(l.records) {
		if err := r.Context().Err(); err != nil {
			return err
		}
		l.notes.add(l.query, it)
		if it.body != nil {
			count++
			size += len(it.body) + len(protobufItem(it.body))
		}
	}
	l.notes.warn(w.Header())
	frame, err := l.frameSized(size)
	if err != nil {
		return err
	}
	out := newStream(w, l.format.mediaType)
	out.write(frame.head)
	i := 0
	for it := range l.items(l.records) {
		if it.body == nil {
			continue
		}
		out.write(frame.between(i, it.body))
		out.write(it.body)
		if i++; out.failed != nil || r.Context().Err() != nil {
			break
		}
	}
	if i != count && out.failed == nil {
		panic(http.ErrAbortHandler) // half a list must not look like a whole one
	}
	out.write(frame.tail)
	return out.end()
}

// kind is the list's own kind.
func (l *listing) kind() schema.GroupVersionKind {
	switch {
	case l.format.isTable():
		return l.format.convert.GroupVersion().WithKind("Table")
	case l.format.isMetadata():
		return l.format.convert.GroupVersion().WithKind("PartialObjectMetadataList")
	}
	return l.served.gvk.GroupVersion().WithKind(l.served.listKind)
}

func (l *listing) jsonHead() ([]byte, error) {
	meta, err := json.Marshal(l.meta)
	if err != nil {
		return nil, err
	}
	kind := l.kind()
	if l.served.stored.Custom && l.format.convert == nil && l.meta.Continue == "" {
		meta = append([]byte(`{"continue":"",`), meta[1:]...) // as lists without types have it
	}
	head := fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"metadata":%s,`, kind.Kind, kind.GroupVersion(), meta)
	if !l.format.isTable() {
		return []byte(head + `"items":[`), nil
	}
	columns, err := json.Marshal(l.idx.printer().Columns(l.served.stored, l.served.gvk.Version))
	return fmt.Appendf(nil, `%s"columnDefinitions":%s,"rows":[`, head, columns), err
}
