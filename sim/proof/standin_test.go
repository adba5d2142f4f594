package proof_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// faultEnv is a variable of the archived Pod that tells the stand-in what to do
// wrong.
const faultEnv = "STANDIN_FAULT"

// standIn is a small API server: it opens the files of its flags, its etcd and
// its TLS port, and serves what it finds, as kube-apiserver does; what goes
// wrong it says in kube-apiserver's words.
func standIn() {
	flags := flagsOf(os.Args[1:])
	if _, ok := flags["version"]; ok {
		version, err := os.ReadFile("/etc/kubernetes/standin.version")
		if err != nil {
			version = []byte("1.37.1")
		}
		fmt.Printf("Kubernetes v%s\n", version)
		os.Exit(0)
	}
	if err := newStandIn(flags).serve(); err != nil {
		fmt.Printf("E1128 22:00:00.000000       1 run.go:72] \"command failed\" err=%q\n", err)
		os.Exit(1)
	}
}

func flagsOf(args []string) map[string]string {
	flags := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		flags[name] = value
	}
	return flags
}

type standInServer struct {
	flags  map[string]string
	fault  string
	etcd   *clientv3.Client
	prefix string
	asked  int
}

func newStandIn(flags map[string]string) *standInServer {
	s := &standInServer{flags: flags, fault: os.Getenv(faultEnv), prefix: flags["etcd-prefix"]}
	if s.prefix == "" {
		s.prefix = "/registry"
	}
	return s
}

func (s *standInServer) serve() error {
	if s.flags["gone"] != "" {
		fmt.Println("Error: unknown flag: --gone")
		os.Exit(1)
	}
	for name, value := range s.flags {
		if strings.HasPrefix(value, "/") && name != "etcd-prefix" && name != "audit-log-path" {
			if _, err := os.ReadFile(value); err != nil {
				return err
			}
		}
	}
	switch s.fault {
	case "silent":
		time.Sleep(time.Minute)
	case "full":
		return errors.New("mkdir /var/run/kubernetes/x: no space left on device")
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	info := transport.TLSInfo{CertFile: s.flags["etcd-certfile"], KeyFile: s.flags["etcd-keyfile"], TrustedCAFile: s.flags["etcd-cafile"]}
	config, err := info.ClientConfig()
	if err != nil {
		return err
	}
	s.etcd, err = clientv3.New(clientv3.Config{Endpoints: strings.Split(s.flags["etcd-servers"], ","), TLS: config, Logger: zap.NewNop(), DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	if err := s.write("configmaps/kube-system/extension-apiserver-authentication", "kube-system", "extension-apiserver-authentication"); err != nil {
		return err
	}
	if s.fault == "strange" {
		if err := s.write("configmaps/infra/strange", "infra", "strange"); err != nil {
			return err
		}
	}
	ca, err := os.ReadFile(s.flags["client-ca-file"])
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS12}}
	l, err := net.Listen("tcp", net.JoinHostPort(s.flags["bind-address"], s.flags["secure-port"]))
	if err != nil {
		return err
	}
	return server.ServeTLS(l, s.flags["tls-cert-file"], s.flags["tls-private-key-file"])
}

func (s *standInServer) write(key, namespace, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := s.etcd.Put(ctx, s.prefix+"/"+key, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":%q}}`, name, namespace))
	return err
}

func (s *standInServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, `{"message":"Unauthorized"}`, http.StatusUnauthorized)
		return
	}
	switch path := r.URL.Path; {
	case path == "/readyz":
		if s.fault == "kms" {
			fmt.Println(`W1128 22:00:00.000000       1 logging.go:55] [core] grpc: addrConn.createTransport failed to connect to {Addr: "/var/run/kms/vault.sock"}. Err: connection error: desc = "transport: Error while dialing: dial unix /var/run/kms/vault.sock: connect: no such file or directory"`)
			http.Error(w, "[+]ping ok\n[-]kms-providers failed: reason withheld\nreadyz check failed", http.StatusInternalServerError)
			return
		}
		if s.fault == "never" {
			fmt.Println(`E1128 22:00:00.000000       1 reflector.go:204] "Failed to watch" err="failed to list *core.Secret: unable to transform key \"/registry/secrets/infra/s\": identity transformer tried to read encrypted data"`)
			http.Error(w, "[+]ping ok\n[-]informer-sync failed: reason withheld\nreadyz check failed", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "readyz check passed")
	case path == "/api":
		fmt.Fprint(w, `{"items":[{"metadata":{},"versions":[{"version":"v1","resources":[`+
			`{"resource":"namespaces","responseKind":{"kind":"Namespace"},"verbs":["get","list"]},`+
			`{"resource":"secrets","responseKind":{"kind":"Secret"},"verbs":["get","list"]},`+
			`{"resource":"bindings","responseKind":{"kind":"Binding"},"verbs":["create"]},`+
			`{"resource":"configmaps","responseKind":{"kind":"ConfigMap"},"verbs":["get","list"]}]}]}]}`)
	case path == "/apis":
		fmt.Fprint(w, `{"items":[{"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]}`)
	default:
		s.objects(w, r)
	}
}

// place is what a path names: "configmaps", "infra/" for a namespace, and
// whether it is a single object.
func place(path string) (resource, below string, single bool) {
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if words = words[2:]; path[:5] == "/apis" {
		words = words[1:]
	}
	switch len(words) {
	case 4: // namespaces/NS/configmaps/NAME
		return words[2], words[1] + "/" + words[3], true
	case 3:
		return words[2], words[1] + "/", false
	case 2:
		return words[0], words[1], true
	}
	return words[0], "", false
}

// change obeys, and writes down who has asked for it.
func (s *standInServer) change(w http.ResponseWriter, r *http.Request) {
	resource, below, single := place(r.URL.Path)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var object struct{ Metadata struct{ Name string } }
	if !single && json.Unmarshal(body, &object) == nil {
		below += object.Metadata.Name
	}
	key := s.prefix + "/" + resource + "/" + below
	if r.Method == http.MethodDelete {
		_, err = s.etcd.Delete(r.Context(), key)
	} else {
		_, err = s.etcd.Put(r.Context(), key, string(body))
	}
	if err != nil {
		http.Error(w, `{"message":"etcd does not answer"}`, http.StatusInternalServerError)
		return
	}
	if !strings.HasSuffix(r.UserAgent(), "/unseen") {
		s.audit(r, resource, below)
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, "{}")
}

func (s *standInServer) audit(r *http.Request, resource, below string) {
	path := s.flags["audit-log-path"]
	if path == "" {
		return
	}
	namespace, name, _ := strings.Cut(below, "/")
	if name == "" {
		namespace, name = "", namespace
	}
	group := ""
	if words := strings.Split(r.URL.Path, "/"); words[1] == "apis" {
		group = words[2]
	}
	verb := map[string]string{http.MethodDelete: "delete", http.MethodPut: "update", http.MethodPost: "create"}[r.Method]
	line, _ := json.Marshal(map[string]any{
		"verb": verb, "userAgent": r.UserAgent(), "user": map[string]any{"username": r.TLS.PeerCertificates[0].Subject.CommonName},
		"objectRef": map[string]any{"apiGroup": group, "resource": resource, "namespace": namespace, "name": name}, "responseStatus": map[string]any{"code": 200},
	})
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = log.Write(append(line, '\n'))
		err = errors.Join(err, log.Close())
	}
	if err != nil {
		fmt.Println(err)
	}
}

// objects answers lists, three objects a page, and single objects.
func (s *standInServer) objects(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		s.change(w, r)
		return
	}
	if s.asked++; s.fault == "dies" && s.asked > 1 {
		fmt.Println("panic: on purpose")
		os.Exit(2)
	}
	resource, below, single := place(r.URL.Path)
	found, err := s.etcd.Get(r.Context(), s.prefix+"/"+resource+"/", clientv3.WithPrefix())
	if err != nil {
		http.Error(w, `{"message":"etcd does not answer"}`, http.StatusInternalServerError)
		return
	}
	var items []map[string]any
	for _, kv := range found.Kvs {
		name := strings.TrimPrefix(string(kv.Key), s.prefix+"/"+resource+"/")
		if name == "infra/c" && s.fault == "unreadable" && (!single || below == name) {
			http.Error(w, `{"message":"unable to transform key \"/registry/configmaps/infra/c\""}`, http.StatusInternalServerError)
			return
		}
		if name == "infra/c" && s.fault == "missing" || single && name != below || !strings.HasPrefix(name, below) {
			continue
		}
		items = append(items, s.object(kv.Value, kv.ModRevision, name))
	}
	if s.fault == "extra" && resource == "namespaces" && !single {
		items = append(items, map[string]any{"metadata": map[string]any{"name": "ghost", "resourceVersion": "2"}})
	}
	var answer any
	switch from, _ := strconv.Atoi(r.URL.Query().Get("continue")); {
	case single && len(items) == 0:
		http.Error(w, `{"message":"not found"}`, http.StatusNotFound)
		return
	case single:
		answer = items[0]
	default:
		metadata := map[string]any{}
		if rest := items[from:]; len(rest) > 3 {
			items, metadata["continue"] = rest[:3], strconv.Itoa(from+3)
		} else {
			items = rest
		}
		answer = map[string]any{"metadata": metadata, "items": items}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *standInServer) object(value []byte, revision int64, name string) map[string]any {
	var object map[string]any
	if json.Unmarshal(value, &object) != nil {
		return nil
	}
	metadata, _ := object["metadata"].(map[string]any)
	metadata["resourceVersion"] = strconv.FormatInt(revision, 10)
	if name == "infra/c" && s.fault == "older" {
		metadata["resourceVersion"] = strconv.FormatInt(revision-1, 10)
	}
	if name == "infra/c" && s.fault == "changed" {
		object["data"] = map[string]any{"key": "another value, which must not be shown"}
	}
	if slices.Contains([]string{"v1"}, fmt.Sprint(object["apiVersion"])) {
		delete(object, "apiVersion")
		delete(object, "kind")
	}
	return object
}
