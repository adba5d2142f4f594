package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metainternalversionscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Options say what is served.
type Options struct {
	Reader   snapshot.Reader  // the keyspace; a snapshot.History also has what a watch tells of the past
	Registry registry.Options // prefix and keys at rest; Revision is what the API without /rev/N shows, 0 for the newest

	// Source is how the backup is called in the commands that refusals
	// recommend: "kube-backup.tar.gz".
	Source string

	// RedactSecrets serves digests in place of the values of Secrets.
	RedactSecrets bool
}

// Server answers the Kubernetes API; it is an http.Handler. Its Reader must
// stay open until no request is under way and Close has returned.
type Server struct {
	opts     Options
	revision int64 // that the API without /rev/N shows
	catalog  *catalog
	indexes  *indexes
	bodies   *bodies
	requests *request.RequestInfoFactory
	busy     chan struct{}    // a place for each request that decodes objects
	salt     []byte           // of redacted values
	labels   *printer.Printer // of field selectors
	buffer   int64            // mostBuffered, but in tests

	openAPIV2 func() (documentV2, error) // made when it is asked for
	clock     func() *registry.Clock     // of a backup without Leases; nil where nothing tells the time
}

// mostBusy bounds the requests that decode at the same time; the others wait.
const mostBusy = 8

// New looks at the keyspace once, for its definitions and keys.
func New(ctx context.Context, opts Options) (*Server, error) {
	if opts.Registry.Prefix == "" {
		opts.Registry.Prefix = registry.DefaultPrefix
	}
	opts.Registry.Prefix = "/" + strings.Trim(opts.Registry.Prefix, "/")
	s := &Server{
		opts: opts, revision: opts.Registry.Revision,
		requests: &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")},
		busy:     make(chan struct{}, mostBusy),
		bodies:   newBodies(mostBodies),
		salt:     newSalt(),
		buffer:   mostBuffered,
	}
	if s.revision == 0 {
		s.revision = opts.Reader.Revision()
	}
	s.indexes = newIndexes(s.revision, s.buildIndex)
	s.openAPIV2 = sync.OnceValues(s.makeOpenAPIV2)
	s.clock = sync.OnceValue(func() *registry.Clock {
		clock, err := registry.New(s.opts.Reader, s.opts.Registry).Clock(context.Background())
		if err != nil {
			return nil
		}
		return clock
	})
	if err := s.load(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// load finds out what there is to serve.
func (s *Server) load(ctx context.Context) error {
	idx, err := s.indexes.at(ctx, s.revision)
	if err != nil {
		return err
	}
	customs, err := s.definitions(ctx, idx)
	if err != nil {
		return err
	}
	if s.catalog, err = newCatalog(customs); err != nil {
		return err
	}
	s.labels = printer.New(s.catalog.resources, time.Time{})
	return nil
}

// Close ends what the server does beside its requests.
func (s *Server) Close() { s.indexes.close() }

// view is the API at one revision: under the prefix /rev/N, or without one.
type view struct{ revision int64 }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, path, err := s.viewOf(r.URL.Path)
	if err != nil {
		s.respondError(w, r, err)
		return
	}
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = path, ""
	switch {
	case r.Method != http.MethodGet:
		s.servePost(w, r, v)
	case strings.Contains(path, "//"):
		http.NotFound(w, r)
	case s.servePlain(w, path):
	case s.serveOpenAPI(w, r, path):
	case s.serveOpenAPIV2(w, r, path):
	case s.serveDiscovery(w, r, path):
	default:
		s.serveResource(w, r, v)
	}
}

// viewOf takes /rev/N off a path.
func (s *Server) viewOf(path string) (view, string, error) {
	rest, ok := strings.CutPrefix(path, "/rev/")
	if !ok {
		return view{s.revision}, path, nil
	}
	number, rest, _ := strings.Cut(rest, "/")
	revision, err := strconv.ParseInt(number, 10, 64)
	if err != nil || revision <= 0 {
		return view{}, "", badRevision(number)
	}
	return view{revision}, "/" + rest, nil
}

// servePlain answers the paths that hold no objects.
func (s *Server) servePlain(w http.ResponseWriter, path string) bool {
	switch path {
	case "/":
		s.writeJSON(w, http.StatusOK, s.catalog.rootPaths())
	case "/version", "/version/":
		s.writeJSON(w, http.StatusOK, serverVersion())
	case "/healthz", "/livez", "/readyz", "/healthz/ping", "/livez/ping", "/readyz/ping":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, "ok")
	default:
		return false
	}
	return true
}

func (c *catalog) rootPaths() metav1.RootPaths {
	paths := []string{"/api", "/api/v1", "/apis"}
	for _, g := range c.groups[1:] {
		paths = append(paths, "/apis/"+g.Name)
		for _, v := range g.Versions {
			paths = append(paths, "/apis/"+g.Name+"/"+v.Version)
		}
	}
	return metav1.RootPaths{Paths: append(paths, "/healthz", "/livez", "/openapi/v3", "/readyz", "/version")}
}

// serverVersion is the linked API's, marked as not being a cluster's.
func serverVersion() apimachineryversion.Info {
	major, rest, _ := strings.Cut(strings.TrimPrefix(spec.Version(), "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return apimachineryversion.Info{Major: major, Minor: minor, GitVersion: spec.Version() + "+lifeboat", GitTreeState: "clean", Platform: "backup"}
}

// serveResource answers get, list and watch.
func (s *Server) serveResource(w http.ResponseWriter, r *http.Request, v view) {
	info, err := s.requestInfo(r)
	if err != nil || !info.IsResourceRequest && !s.isVersionOfOurs(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	res, ok := s.resourceOf(info)
	switch {
	case !ok && (s.catalog.builtin[info.APIGroup] || !info.IsResourceRequest):
		s.respondError(w, r, noRoute())
		return
	case !ok:
		http.NotFound(w, r)
		return
	}
	if info.Subresource != "" && (info.Subresource != "status" || !res.status) {
		s.respondError(w, r, s.refuseSubresource(info, v, res))
		return
	}
	q := &query{server: s, view: v, info: info, served: res}
	if err := q.serve(w, r); err != nil {
		s.respondError(w, r, err)
	}
}

// isVersionOfOurs tells a path to a version, which is not there, of a group that
// Kubernetes itself serves.
func (s *Server) isVersionOfOurs(path string) bool {
	rest, ok := strings.CutPrefix(path, "/apis/")
	group, version, _ := strings.Cut(rest, "/")
	return ok && s.catalog.builtin[group] && version != "" && !strings.Contains(version, "/")
}

// requestInfo takes a request apart with the API server's own code. Options that
// do not parse are kept from it, for it would log them; whoever reads them
// afterwards refuses them.
func (s *Server) requestInfo(r *http.Request) (*request.RequestInfo, error) {
	var options metainternalversion.ListOptions
	if metainternalversionscheme.ParameterCodec.DecodeParameters(r.URL.Query(), metav1.SchemeGroupVersion, &options) != nil {
		r = r.Clone(r.Context())
		r.URL.RawQuery = ""
	}
	return s.requests.NewRequestInfo(r)
}

// resourceOf finds what a path names, told as the API server's routes do.
func (s *Server) resourceOf(info *request.RequestInfo) (served, bool) {
	res, ok := s.catalog.served[gvrOf(info)]
	switch {
	case !ok:
		return served{}, false
	case !res.namespaced && info.Namespace != "" && info.Resource != "namespaces":
		return served{}, false
	case res.namespaced && info.Namespace == "" && isGet(info):
		return served{}, false
	}
	return res, true
}

func isGet(info *request.RequestInfo) bool { return len(info.Parts) > 1 }

// acquire waits for a place among the busy.
func (s *Server) acquire(ctx context.Context) (release func(), err error) {
	select {
	case s.busy <- struct{}{}:
		return func() { <-s.busy }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// indexOf is the index of a view's revision; what cannot be read becomes the
// API's error.
func (s *Server) indexOf(ctx context.Context, revision int64) (*index, error) {
	idx, err := s.indexes.at(ctx, revision)
	switch {
	case errors.Is(err, snapshot.ErrCompacted):
		return nil, s.compacted(revision)
	case errors.Is(err, snapshot.ErrFutureRevision):
		return nil, tooNew(revision, s.opts.Reader.Revision())
	}
	return idx, err
}
