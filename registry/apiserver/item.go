package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// item is one record on its way into an answer.
type item struct {
	key      string
	matched  bool
	object   runtime.Object   // as asked for: the object, its metadata; nil with a row
	row      *metav1.TableRow // of a Table
	columns  []metav1.TableColumnDefinition
	problems []registry.Problem // what the client has to know
	version  string             // of the object
	leftOut  bool               // it cannot be shown in the form asked for
	err      error              // why not
	body     []byte             // as an item of a list
}

// decode reads a record. That its key parses is known from the index.
func (s *Server) decode(ctx context.Context, idx *index, record snapshot.KeyValue) *registry.Object {
	key, _ := registry.ParseKey(s.opts.Registry.Prefix, string(record.Key))
	return idx.registry.Decode(ctx, registry.Entry{Key: key, KV: record})
}

// read decodes a record, applies the selectors and turns it into what was
// asked for.
func (q *query) read(idx *index, record snapshot.KeyValue) item {
	o := q.server.decode(context.Background(), idx, record)
	it := item{key: string(record.Key), problems: o.Problems, version: strconv.FormatInt(record.ModRevision, 10)}
	if !o.Readable() {
		return q.unreadable(it, o, idx)
	}
	if q.labels != nil && !q.labels.Matches(labels.Set(o.Labels())) {
		return item{key: it.key}
	}
	answer, err := idx.printer().Answer(o)
	if err != nil {
		it.problems = append(it.problems, registry.Problem{Code: registry.Undecodable, Detail: err.Error()})
		return q.unreadable(it, o, idx)
	}
	if q.fields != nil && !q.fields.Empty() && !q.fields.Matches(answer.Fields()) {
		return item{key: it.key}
	}
	it.matched = true
	if err := q.shape(&it, answer); err != nil {
		o.Problems = append(o.Problems, registry.Problem{Code: registry.Unconverted, Detail: err.Error()})
		it.problems = o.Problems
		return q.unreadable(it, o, idx)
	}
	return it
}

// shape makes of an answer what the client asked for.
func (q *query) shape(it *item, answer *printer.Answer) error {
	if !q.format.isTable() && !q.format.isMetadata() || q.includeObject == metav1.IncludeObject {
		obj, err := answer.In(q.served.gvk)
		if err != nil {
			return err
		}
		if q.format.isTable() {
			obj = obj.DeepCopyObject() // the table moves the times of the original
		}
		it.object = obj
	} else if q.includeObject != metav1.IncludeNone {
		partial, err := answer.Metadata()
		if err != nil {
			return err
		}
		partial.APIVersion = q.format.convert.GroupVersion().String()
		it.object = partial
	}
	if q.server.opts.RedactSecrets && q.served.stored.GroupResource() == secrets {
		q.server.redact(it.object)
	}
	if !q.format.isTable() {
		return nil
	}
	table, err := answer.Table(q.served.gvk.Version)
	if err != nil {
		return err
	}
	it.setRow(table)
	return nil
}

func (it *item) setRow(table *metav1.Table) {
	row := table.Rows[0]
	row.Object = runtime.RawExtension{Object: it.object}
	if it.object == nil {
		row.Object = runtime.RawExtension{}
	}
	it.row, it.columns, it.object = &row, table.ColumnDefinitions, nil
}

// unreadable is what becomes of an object that cannot be shown: a row that
// says what is wrong in a Table, an error else.
func (q *query) unreadable(it item, o *registry.Object, idx *index) item {
	if len(it.problems) == 0 {
		it.problems = []registry.Problem{{Code: registry.Undecodable, Detail: "the object is not valid"}}
	}
	o.Problems = it.problems
	it.matched, it.leftOut, it.object = true, true, nil
	it.err = q.unreadableError(it)
	if q.format.isTable() {
		if q.includeObject != metav1.IncludeNone {
			partial := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: o.Key.Name, Namespace: o.Key.Namespace}}
			partial.SetGroupVersionKind(q.format.convert.GroupVersion().WithKind("PartialObjectMetadata"))
			it.object = partial
		}
		it.setRow(idx.printer().Substitute(o, q.served.stored, q.served.gvk.Version))
		it.leftOut, it.err = false, nil
	}
	return it
}

// encodeOne is the body of an answer of one object.
func (q *query) encodeOne(it item) ([]byte, error) {
	obj := it.object
	if it.row != nil {
		table := &metav1.Table{ColumnDefinitions: it.columns, Rows: []metav1.TableRow{*it.row}}
		table.SetGroupVersionKind(q.format.convert.GroupVersion().WithKind("Table"))
		table.ResourceVersion = it.version
		obj = table
	}
	var body bytes.Buffer
	if err := q.format.serializer.Serializer.Encode(obj, &body); err != nil {
		return nil, fmt.Errorf("writing %s: %w", q.label(it.key), err)
	}
	return body.Bytes(), nil
}

// encodeItem fills in the body of an item of a list, whose kind stands on the
// list alone but for custom resources and metadata.
func (q *query) encodeItem(it *item) (err error) {
	if it.leftOut || !it.matched {
		return nil
	}
	var v any = it.object
	switch {
	case it.row != nil:
		v = it.row
	case !q.served.stored.Custom && !q.format.isMetadata():
		it.object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	if q.format.isProtobuf() {
		p, ok := it.object.(interface{ Marshal() ([]byte, error) })
		if !ok {
			return errors.New("it has no protobuf form")
		}
		it.body, err = p.Marshal()
	} else {
		it.body, err = json.Marshal(v)
	}
	it.object, it.row = nil, nil
	return err
}

// toYAML turns a whole answer into YAML.
func toYAML(body []byte) ([]byte, error) { return yaml.JSONToYAML(body) }
