package local

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// gate lets those in who hold the token and mean this server.
type gate struct {
	handler http.Handler
	prefix  string
	token   string
	host    string

	mu     sync.Mutex
	closed bool
	ends   map[*http.Request]context.CancelFunc
	under  sync.WaitGroup // requests
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, done, ok := g.enter(r)
	if !ok {
		refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "the server is ending")
		return
	}
	defer done()
	if !g.isOurs(r.Host) {
		refuse(w, http.StatusMisdirectedRequest, metav1.StatusReasonForbidden, "this server answers for "+g.host+" alone")
		return
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(g.token)) != 1 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
		return
	}
	path := r.URL.Path
	switch rest, ok := strings.CutPrefix(path, g.prefix); {
	case ok && (rest == "" || rest[0] == '/'):
		path = rest
	case path == "/" || path == "/version" || path == "/openapi/v3" || strings.HasPrefix(path, "/openapi/v3/"):
		// Old clients drop the prefix here. What they get is the same at all revisions.
	default:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound,
			"all that this server answers stands below "+g.prefix+", which kubectl 1.28 leaves out of get --raw: it takes "+g.prefix+"/api/v1/nodes, or "+g.prefix+"/rev/N/api/v1/nodes for revision N")
		return
	}
	if path == "" {
		path = "/"
	}
	r.URL.Path, r.URL.RawPath = path, ""
	g.handler.ServeHTTP(w, r)
}

// isOurs tells the names under which the kubeconfig and people reach us; a web
// page whose name was made to resolve to loopback comes under its own.
func (g *gate) isOurs(host string) bool {
	_, port, _ := net.SplitHostPort(g.host)
	return host == g.host || host == "localhost:"+port
}

// enter counts a request and makes it end when the gate closes.
func (g *gate) enter(r *http.Request) (_ *http.Request, done func(), ok bool) {
	ctx, cancel := context.WithCancel(r.Context())
	r = r.Clone(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		cancel()
		return r, nil, false
	}
	if g.ends == nil {
		g.ends = map[*http.Request]context.CancelFunc{}
	}
	g.ends[r] = cancel
	g.under.Add(1)
	return r, func() {
		cancel()
		g.mu.Lock()
		delete(g.ends, r)
		g.mu.Unlock()
		g.under.Done()
	}, true
}

// close ends the requests under way and lets no more in.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, cancel := range g.ends {
		cancel()
	}
}

// wait returns when no request is under way, so that the database can be
// unmapped.
func (g *gate) wait() { g.under.Wait() }

// refuse writes a Status, which every client can read.
func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	status := metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message}
	status.Kind, status.APIVersion = "Status", "v1"
	body, err := json.Marshal(status)
	if err != nil {
		http.Error(w, message, code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// limit lets so many connections exist at once.
func limit(l net.Listener, most int) net.Listener {
	return &limited{Listener: l, places: make(chan struct{}, most), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	places chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
