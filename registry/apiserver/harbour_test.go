package apiserver_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/apiserver"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const harbour = "../../testdata/harbour"

// unpacked is the fixture's archive, read once.
var unpacked = sync.OnceValues(func() (files map[string][]byte, err error) {
	f, err := os.Open(filepath.Join(harbour, "kube-backup.tar.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[filepath.Clean(header.Name)], err = io.ReadAll(tr); err != nil {
			return nil, err
		}
	}
})

func harbourDB(t testing.TB) *snapshot.DB {
	files, err := unpacked()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(path, files["etcd-backup.snapshot"], 0o600))
	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func harbourKeys(t testing.TB) *registry.Keyring {
	files, err := unpacked()
	require.NoError(t, err)
	keyring, err := registry.ParseEncryptionConfig(files["kubernetes/encryption.yaml"])
	require.NoError(t, err)
	return keyring
}

func harbourOptions(t testing.TB) apiserver.Options {
	return apiserver.Options{
		Reader: harbourDB(t), Registry: registry.Options{Keyring: harbourKeys(t)}, Source: "kube-backup.tar.gz",
	}
}

// served is a server over a real connection.
type served struct {
	*httptest.Server
	handler *apiserver.Server
}

func serve(t testing.TB, opts apiserver.Options) *served {
	handler, err := apiserver.New(t.Context(), opts)
	require.NoError(t, err)
	s := httptest.NewServer(handler)
	t.Cleanup(handler.Close) // before the database's
	t.Cleanup(s.Close)
	return &served{s, handler}
}

func serveHarbour(t testing.TB) *served { return serve(t, harbourOptions(t)) }

// answer is a response read to its end.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

func (s *served) do(t testing.TB, method, path string, headers ...string) answer {
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, body}
}

func (s *served) get(t testing.TB, path string, headers ...string) answer {
	return s.do(t, http.MethodGet, path, headers...)
}

// json is the body of an answer that must have worked.
func (a answer) json(t testing.TB) map[string]any {
	require.Equal(t, http.StatusOK, a.code, "%s", a.body)
	var v map[string]any
	require.NoError(t, utiljson.Unmarshal(a.body, &v))
	return v
}

func (a answer) items(t testing.TB) []map[string]any {
	list, _ := a.json(t)["items"].([]any)
	items := make([]map[string]any, 0, len(list))
	for _, item := range list {
		items = append(items, item.(map[string]any))
	}
	return items
}

func names(items []map[string]any) (all []string) {
	for _, item := range items {
		metadata := item["metadata"].(map[string]any)
		all = append(all, metadata["name"].(string))
	}
	return all
}

// message is that of a Status with this code.
func (a answer) message(t testing.TB, code int) string {
	require.Equal(t, code, a.code, "%s", a.body)
	var status struct{ Kind, Status, Message string }
	require.NoError(t, json.Unmarshal(a.body, &status), "%s", a.body)
	require.Equal(t, "Status", status.Kind)
	require.Equal(t, "Failure", status.Status)
	return status.Message
}

// truth is what kube-apiserver 1.37.1 answered for every object just before
// the backup.
func truth(t testing.TB) []map[string]any {
	f, err := os.Open(filepath.Join(harbour, "truth.json.gz"))
	require.NoError(t, err)
	defer f.Close()
	zr, err := gzip.NewReader(f)
	require.NoError(t, err)
	data, err := io.ReadAll(zr)
	require.NoError(t, err)
	var list struct {
		Items []map[string]any `json:"items"`
	}
	require.NoError(t, utiljson.Unmarshal(data, &list))
	return list.Items
}

func withoutManagedFields(item map[string]any) map[string]any {
	delete(item["metadata"].(map[string]any), "managedFields") // kubectl hid them
	return item
}

// resources are the plural names by apiVersion and kind, as discovery has
// them.
func (s *served) resources(t testing.TB) map[string]resource {
	all := map[string]resource{}
	for _, root := range []string{"/api", "/apis"} {
		list := s.get(t, root, "Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").items(t)
		for _, group := range list {
			name, _ := group["metadata"].(map[string]any)["name"].(string)
			for _, v := range group["versions"].([]any) {
				version := v.(map[string]any)
				gv := strings.TrimPrefix(name+"/"+version["version"].(string), "/")
				for _, r := range version["resources"].([]any) {
					res := r.(map[string]any)
					kind := res["responseKind"].(map[string]any)["kind"].(string)
					path := "/apis/" + gv
					if name == "" {
						path = "/api/" + gv
					}
					all[gv+" "+kind] = resource{path: path, plural: res["resource"].(string), namespaced: res["scope"] == "Namespaced", verbs: fmt.Sprint(res["verbs"])}
				}
			}
		}
	}
	return all
}

type resource struct {
	path, plural, verbs string
	namespaced          bool
}

// url is where an object stands.
func (r resource) url(namespace, name string) string {
	if r.namespaced {
		return r.path + "/namespaces/" + namespace + "/" + r.plural + "/" + name
	}
	return r.path + "/" + r.plural + "/" + name
}
