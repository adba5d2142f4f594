package apiserver

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// longestWatch ends a watch that names no time, as a kube-apiserver does after
// 30 to 60 minutes.
const longestWatch = 30 * time.Minute

// watching is one watch under way.
type watching struct {
	*query
	w      http.ResponseWriter
	frames interface{ Write([]byte) (int, error) }
	notes  notes
	events int
}

// watch tells what is (without a resource version, or with sendInitialEvents)
// and what happened after a resource version; then nothing happens until the
// time is over.
func (q *query) watch(w http.ResponseWriter, r *http.Request) error {
	streaming := q.format.serializer.StreamSerializer
	if streaming == nil || q.format.isYAML() {
		return notAcceptable("only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch")
	}
	asked, err := parseResourceVersion(q.options.ResourceVersion)
	if err != nil {
		return err
	}
	timeout := longestWatch
	if seconds := q.options.TimeoutSeconds; seconds != nil && *seconds > 0 && *seconds < int64(longestWatch/time.Second) {
		timeout = time.Duration(*seconds) * time.Second
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	run := &watching{query: q, w: w, frames: streaming.NewFrameWriter(w)}
	if err := run.tell(ctx, r, asked); err != nil || ctx.Err() != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// tell sends all events that there are.
func (run *watching) tell(ctx context.Context, r *http.Request, asked int64) error {
	release, err := run.server.acquire(ctx)
	if err != nil {
		return nil // the time was over before its turn came
	}
	defer release()
	initial := run.options.SendInitialEvents
	switch {
	case initial != nil && *initial:
		if asked > run.view.revision {
			return tooNew(asked, run.view.revision)
		}
		return run.tellState(ctx, r)
	case asked == 0 || asked >= run.view.revision:
		run.begin()
		return nil
	}
	return run.tellHistory(ctx, asked)
}

func (run *watching) begin() {
	contentType := run.format.mediaType
	if contentType != runtime.ContentTypeJSON {
		contentType += ";stream=watch"
	}
	run.w.Header().Set("Content-Type", contentType)
	run.w.Header().Set("Cache-Control", "no-cache, private")
	run.w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(run.w).Flush()
}

// tellState sends the objects as they are at the view's revision.
func (run *watching) tellState(ctx context.Context, r *http.Request) error {
	idx, err := run.server.indexOf(ctx, run.view.revision)
	if err != nil {
		return err
	}
	run.server.warnOfTime(run.w, r, idx)
	records := run.candidates(idx, "")
	items := func(yield func(item) bool) {
		ordered(len(records), func(i int) item { return run.read(idx, records[i]) })(yield)
	}
	// The header goes first, so what is wrong has to be known before.
	for it := range items {
		if ctx.Err() != nil {
			return nil
		}
		run.notes.add(run.query, it)
	}
	run.notes.warn(run.w.Header())
	run.begin()
	for it := range items {
		if ctx.Err() != nil {
			return nil
		}
		if it.matched && !it.leftOut {
			if err := run.send(watch.Added, it); err != nil {
				return nil
			}
		}
	}
	if run.options.AllowWatchBookmarks {
		run.bookmark(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return nil
}

// tellHistory sends what changed after revision since.
func (run *watching) tellHistory(ctx context.Context, since int64) error {
	before, err := run.server.indexOf(ctx, since)
	var changes []change
	if err == nil {
		changes, err = run.server.changesAfter(ctx, before, run.served.stored.GroupResource(), run.prefix(), run.view.revision)
	}
	if isGone(err) {
		run.begin()
		status := statusOf(apierrors.NewResourceExpired("too old resource version: " + strconv.FormatInt(since, 10)))
		return run.sendObject(watch.Error, &status)
	}
	if err != nil {
		return err
	}
	for _, c := range changes {
		_, it := run.event(before, c)
		run.notes.add(run.query, it)
	}
	run.notes.warn(run.w.Header())
	run.begin()
	for _, c := range changes {
		kind, it := run.event(before, c)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the client is gone: nobody is left to tell
		}
		if kind == "" || it.leftOut {
			continue
		}
		if err := run.send(kind, it); err != nil {
			return nil //nolint:nilerr // the answer has begun: no status can follow it
		}
	}
	if run.options.AllowWatchBookmarks {
		run.bookmark(nil)
	}
	return nil
}

// event is what a change means to a client with selectors: an object that
// begins to match is added, one that ceases to is deleted.
func (run *watching) event(idx *index, c change) (watch.EventType, item) {
	var was, is item
	if c.previous.Key != nil {
		was = run.read(idx, c.previous)
	}
	if !c.deleted {
		is = run.read(idx, c.now)
	}
	switch {
	case is.matched && was.matched:
		return watch.Modified, is
	case is.matched:
		return watch.Added, is
	case was.matched:
		gone := c.previous
		gone.ModRevision = c.now.ModRevision // as the API server numbers it
		return watch.Deleted, run.read(idx, gone)
	}
	return "", item{}
}

func (run *watching) send(kind watch.EventType, it item) error {
	if it.row == nil {
		return run.sendObject(kind, it.object)
	}
	table := &metav1.Table{Rows: []metav1.TableRow{*it.row}}
	if run.events == 0 {
		table.ColumnDefinitions = it.columns // with the first event only
	}
	table.SetGroupVersionKind(run.format.convert.GroupVersion().WithKind("Table"))
	table.ResourceVersion = it.version
	return run.sendObject(kind, table)
}

// sendObject writes one event in the client's framing.
func (run *watching) sendObject(kind watch.EventType, obj runtime.Object) error {
	var inner, outer bytes.Buffer
	if err := run.format.serializer.Serializer.Encode(obj, &inner); err != nil {
		return err
	}
	event := &metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: inner.Bytes()}}
	if err := run.format.serializer.StreamSerializer.Serializer.Encode(event, &outer); err != nil {
		return err
	}
	run.events++
	control := http.NewResponseController(run.w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := run.frames.Write(outer.Bytes()); err != nil {
		return err
	}
	return control.Flush()
}

// bookmark tells the revision that the client has seen now.
func (run *watching) bookmark(annotations map[string]string) {
	obj := run.emptyObject()
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	accessor.SetResourceVersion(strconv.FormatInt(run.view.revision, 10))
	accessor.SetAnnotations(annotations)
	if run.format.isTable() {
		table := &metav1.Table{Rows: []metav1.TableRow{{Cells: []any{}, Object: runtime.RawExtension{Object: obj}}}}
		table.SetGroupVersionKind(run.format.convert.GroupVersion().WithKind("Table"))
		table.ResourceVersion = accessor.GetResourceVersion()
		obj = table
	}
	_ = run.sendObject(watch.Bookmark, obj)
}

// emptyObject is an object of the kind that the watch sends.
func (run *watching) emptyObject() runtime.Object {
	if run.format.isTable() || run.format.isMetadata() {
		partial := &metav1.PartialObjectMetadata{}
		partial.SetGroupVersionKind(run.format.convert.GroupVersion().WithKind("PartialObjectMetadata"))
		return partial
	}
	obj, err := clientscheme.Scheme.New(run.served.gvk)
	if err != nil { // custom resources, and the two kinds of other API servers
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": run.served.gvk.GroupVersion().String(), "kind": run.served.gvk.Kind, "metadata": map[string]any{},
		}}
	}
	obj.GetObjectKind().SetGroupVersionKind(run.served.gvk)
	return obj
}

// change is one record of the history with what it replaced.
type change struct {
	now      snapshot.KeyValue // of a deletion, key and ModRevision
	previous snapshot.KeyValue // without a key where there was nothing
	deleted  bool
}

// changesAfter are the changes to keys under prefix after the revision of
// before, up to a revision, oldest first.
func (s *Server) changesAfter(ctx context.Context, before *index, gr schema.GroupResource, prefix string, upTo int64) ([]change, error) {
	past, ok := s.opts.Reader.(snapshot.History)
	if !ok || !slices.ContainsFunc(past.Windows(), func(w snapshot.Window) bool { return w.Holds(before.revision) && w.Holds(upTo) }) {
		return nil, snapshot.ErrCompacted
	}
	var records []snapshot.Record // newest first
	for record, err := range past.Changes(ctx, func(key []byte) bool { return bytes.HasPrefix(key, []byte(prefix)) }) {
		if err != nil {
			return nil, err
		}
		if record.Main <= before.revision {
			break
		}
		if record.Main <= upTo {
			records = append(records, record)
		}
	}
	last := map[string]snapshot.KeyValue{}
	changes := make([]change, 0, len(records))
	for i := len(records) - 1; i >= 0; i-- {
		record := records[i]
		key := string(record.Key)
		previous, seen := last[key]
		if !seen {
			previous, _ = before.find(gr, key)
		}
		now := record.KeyValue
		now.ModRevision = record.Main
		changes = append(changes, change{now: now, previous: previous, deleted: record.Deleted})
		if last[key] = now; record.Deleted {
			last[key] = snapshot.KeyValue{}
		}
	}
	return changes, nil
}
