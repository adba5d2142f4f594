package apiserver

import (
	"fmt"
	"math"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metainternalversionscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metainternalversionvalidation "k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage"
)

// query is one get, list or watch of a resource.
type query struct {
	server *Server
	view   view
	info   *request.RequestInfo
	served served

	format        format
	includeObject metav1.IncludeObjectPolicy // of a Table's rows
	options       metainternalversion.ListOptions
	labels        labels.Selector
	fields        fields.Selector // under the server's internal names
}

func (q *query) serve(w http.ResponseWriter, r *http.Request) (err error) {
	if !q.served.stored.Custom {
		if err := checkAccept(r, q.info.Verb != "get"); err != nil {
			return err
		}
	}
	if q.served.deprecated != "" {
		addWarning(w.Header(), q.served.deprecated)
	}
	if q.format, err = negotiate(r, q.served.stored.Custom); err != nil {
		return err
	}
	if err := q.readTableOptions(r); err != nil {
		return err
	}
	if q.info.Verb == "get" {
		return q.get(w, r)
	}
	if err := q.readListOptions(r); err != nil {
		return err
	}
	if q.info.Verb == "watch" {
		return q.watch(w, r)
	}
	return q.list(w, r)
}

func (q *query) readTableOptions(r *http.Request) error {
	if !q.format.isTable() {
		return nil
	}
	var options metav1.TableOptions
	if err := metainternalversionscheme.ParameterCodec.DecodeParameters(r.URL.Query(), metav1.SchemeGroupVersion, &options); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	switch options.IncludeObject {
	case "", metav1.IncludeMetadata, metav1.IncludeNone, metav1.IncludeObject:
		q.includeObject = options.IncludeObject
		return nil
	}
	return apierrors.NewBadRequest(fmt.Sprintf("Unable to convert to Table as requested: includeObject: Invalid value: %q: must be 'Metadata', 'Object', 'None', or empty", options.IncludeObject))
}

// readListOptions follows k8s.io/apiserver pkg/endpoints/handlers/get.go,
// listOpts.
func (q *query) readListOptions(r *http.Request) error {
	if err := metainternalversionscheme.ParameterCodec.DecodeParameters(r.URL.Query(), metav1.SchemeGroupVersion, &q.options); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	metainternalversion.SetListOptionsDefaults(&q.options, true)
	if errs := metainternalversionvalidation.ValidateListOptions(&q.options, true); len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "ListOptions"}, "", errs)
	}
	q.labels, q.fields = labels.Everything(), fields.Everything()
	if q.options.LabelSelector != nil {
		q.labels = q.options.LabelSelector
	}
	if err := q.readFieldSelector(); err != nil {
		return err
	}
	return nil
}

func (q *query) readFieldSelector() (err error) {
	if selector := q.options.FieldSelector; selector != nil {
		q.fields, err = selector.Transform(func(label, value string) (string, string, error) {
			name, err := q.server.labels.FieldLabel(q.served.gvk, q.served.stored, label)
			return name, value, err
		})
		if err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
	}
	if q.info.Name == "" {
		return nil
	}
	if q.fields.Empty() {
		q.fields = fields.OneTermEqualSelector("metadata.name", q.info.Name)
		return nil
	}
	if selected, ok := q.fields.RequiresExactMatch("metadata.name"); !ok || selected != q.info.Name {
		return apierrors.NewBadRequest("fieldSelector metadata.name doesn't match requested name")
	}
	return nil
}

// prefix is the beginning of all keys that the query may mean.
func (q *query) prefix() string {
	prefix := q.server.opts.Registry.Prefix + "/" + q.served.stored.Prefix + "/"
	if q.served.namespaced && q.info.Namespace != "" {
		prefix += q.info.Namespace + "/"
	}
	return prefix
}

// point is where a list reads: at which revision, from which key on.
type point struct {
	revision int64
	from     string
}

// point follows k8s.io/apiserver pkg/storage/etcd3/store.go: a continue token
// names its revision; Exact, and a limit with a resource version, mean that
// revision; all else means at least it, and is answered with the newest.
func (q *query) point() (point, error) {
	if token := q.options.Continue; token != "" {
		from, revision, err := storage.DecodeContinue(token, q.prefix())
		if err != nil {
			return point{}, apierrors.NewBadRequest(fmt.Sprintf("invalid continue token: %v", err))
		}
		if rv := q.options.ResourceVersion; rv != "" && rv != "0" {
			return point{}, apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
		}
		if revision < 0 {
			revision = q.view.revision
		}
		return q.checked(point{revision, from})
	}
	asked, err := parseResourceVersion(q.options.ResourceVersion)
	if err != nil {
		return point{}, err
	}
	p, err := q.checked(point{revision: asked})
	exact := q.options.ResourceVersionMatch == metav1.ResourceVersionMatchExact || q.options.ResourceVersionMatch == "" && q.options.Limit > 0
	if asked == 0 || !exact {
		p.revision = q.view.revision
	}
	return p, err
}

func (q *query) checked(p point) (point, error) {
	if p.revision > q.view.revision {
		return point{}, tooNew(p.revision, q.view.revision)
	}
	return p, nil
}

func parseResourceVersion(text string) (int64, error) {
	rev, err := storage.APIObjectVersioner{}.ParseResourceVersion(text)
	if err != nil || rev > math.MaxInt64 {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", err))
	}
	return int64(rev), nil
}

// get answers with one object.
func (q *query) get(w http.ResponseWriter, r *http.Request) error {
	s := q.server
	asked, err := parseResourceVersion(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		return err
	}
	if _, err := q.checked(point{revision: asked}); err != nil {
		return err
	}
	idx, err := s.indexOf(r.Context(), q.view.revision)
	if err != nil {
		return err
	}
	key := q.prefix() + q.info.Name
	record, ok := idx.find(q.served.stored.GroupResource(), key)
	switch {
	case strings.Contains(q.info.Name, "/"):
		return noRoute()
	case !ok:
		return apierrors.NewNotFound(q.served.gvr.GroupResource(), q.info.Name)
	case q.format.convert != nil && q.format.convert.Kind == "PartialObjectMetadataList":
		return notAcceptable("you requested PartialObjectMetadataList, but the requested object is not a list")
	}
	s.warnOfTime(w, r, idx)
	it := q.read(idx, record)
	if it.err != nil {
		return it.err
	}
	for _, p := range it.problems {
		addWarning(w.Header(), q.label(key)+": "+p.String())
	}
	body, err := q.encodeOne(it)
	if err != nil {
		return err
	}
	s.write(w, http.StatusOK, q.format.mediaType, body)
	return nil
}
