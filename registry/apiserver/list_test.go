package apiserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

const (
	pods       = "/api/v1/namespaces/infra-production/pods"
	configMaps = "/api/v1/namespaces/infra-production/configmaps"
	asTable    = "application/json;as=Table;v=v1;g=meta.k8s.io"
)

func TestPagesMakeTheList(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	whole := names(s.get(t, "/api/v1/events").items(t))
	require.Len(t, whole, 169)
	var paged []string
	token, pages := "", 0
	for {
		answer := s.get(t, "/api/v1/events?limit=50&continue="+token)
		paged = append(paged, names(answer.items(t))...)
		pages++
		metadata := answer.json(t)["metadata"].(map[string]any)
		require.Equal(t, "1485", metadata["resourceVersion"])
		next, _ := metadata["continue"].(string)
		if next == "" {
			require.NotContains(t, metadata, "remainingItemCount")
			break
		}
		require.Equal(t, int64(169-len(paged)), metadata["remainingItemCount"])
		token = next
	}
	require.Equal(t, 4, pages)
	require.Equal(t, whole, paged)
	require.Contains(t, s.get(t, "/api/v1/events?limit=1&continue=bm9uc2Vuc2U").message(t, http.StatusBadRequest), "invalid continue token")
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	all := names(s.get(t, pods).items(t))
	for query, want := range map[string]int{
		"labelSelector=app=supercronic":                                 4,
		"labelSelector=app!=supercronic":                                len(all) - 4,
		"labelSelector=app in (supercronic,nobody)":                     4,
		"labelSelector=nobody":                                          0,
		"fieldSelector=spec.nodeName=node-1,status.phase=Running":       -1,
		"fieldSelector=metadata.name=" + all[0]:                         1,
		"fieldSelector=metadata.name!=" + all[0]:                        len(all) - 1,
		"fieldSelector=metadata.namespace=infra-staging":                0,
		"fieldSelector=status.phase=Succeeded":                          1,
		"labelSelector=app=supercronic&fieldSelector=spec.nodeName!=no": 4,
	} {
		key, value, _ := strings.Cut(query, "=")
		escaped := key + "=" + url.PathEscape(value)
		if strings.Contains(value, "&") {
			escaped = query
		}
		got := s.get(t, pods+"?"+escaped).items(t)
		if want < 0 {
			require.NotEmpty(t, got, query)
			for _, pod := range got {
				require.Equal(t, "node-1", pod["spec"].(map[string]any)["nodeName"])
			}
			continue
		}
		require.Len(t, got, want, query)
	}
	require.Equal(t, "field label not supported: spec.colour", s.get(t, pods+"?fieldSelector=spec.colour%3Dred").message(t, http.StatusBadRequest))
	require.Contains(t, s.get(t, configMaps+"?fieldSelector=data.a%3Db").message(t, http.StatusBadRequest), `"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"`)
	require.Contains(t, s.get(t, pods+"?labelSelector=%3D%3D").message(t, http.StatusBadRequest), "found '==', expected: ")
	require.Contains(t, s.get(t, pods+"?resourceVersionMatch=Exact").message(t, http.StatusUnprocessableEntity), "resourceVersionMatch is forbidden unless resourceVersion is provided")

	// The field selectors of Events go by the names of both groups.
	require.NotEmpty(t, s.get(t, "/api/v1/events?fieldSelector=involvedObject.kind%3DPod").items(t))
	require.Equal(t,
		names(s.get(t, "/api/v1/events?fieldSelector=involvedObject.kind%3DPod").items(t)),
		names(s.get(t, "/apis/events.k8s.io/v1/events?fieldSelector=regarding.kind%3DPod").items(t)))
}

func TestTableHasKubectlsColumnsAndAgesOfTheBackup(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	table := s.get(t, pods+"?limit=2", "Accept", asTable).json(t)
	require.Equal(t, "Table", table["kind"])
	require.Equal(t, "meta.k8s.io/v1", table["apiVersion"])
	var columns []string
	for _, c := range table["columnDefinitions"].([]any) {
		columns = append(columns, c.(map[string]any)["name"].(string))
		require.NotEmpty(t, c.(map[string]any)["type"])
		require.NotEmpty(t, c.(map[string]any)["description"])
	}
	require.Equal(t, []string{"Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"}, columns)
	rows := table["rows"].([]any)
	require.Len(t, rows, 2)
	row := rows[0].(map[string]any)
	object := row["object"].(map[string]any)
	require.Equal(t, "PartialObjectMetadata", object["kind"])
	cells := row["cells"].([]any)
	require.Equal(t, object["metadata"].(map[string]any)["name"], cells[0])
	require.Regexp(t, `^\d+(s|m|m\d+s)$`, cells[4], "the fixture's Pods were minutes old")
	require.NotEmpty(t, table["metadata"].(map[string]any)["continue"])

	one := s.get(t, pods+"/"+cells[0].(string), "Accept", asTable).json(t)
	require.Len(t, one["rows"], 1)
	require.Equal(t, row["cells"], one["rows"].([]any)[0].(map[string]any)["cells"])

	whole := s.get(t, pods+"?limit=1&includeObject=Object", "Accept", asTable).json(t)
	pod := whole["rows"].([]any)[0].(map[string]any)["object"].(map[string]any)
	require.Equal(t, "Pod", pod["kind"])
	require.NotEmpty(t, pod["spec"])
	created := pod["metadata"].(map[string]any)["creationTimestamp"].(string)
	require.True(t, strings.HasPrefix(created, "2026-11-21T"), created) // not moved with the ages
	none := s.get(t, pods+"?limit=1&includeObject=None", "Accept", asTable).json(t)
	require.Nil(t, none["rows"].([]any)[0].(map[string]any)["object"])

	require.Len(t, s.get(t, "/apis/fleet.example.com/v1/ships", "Accept", asTable).json(t)["rows"], 1)
}

func TestFormats(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	want := names(s.get(t, pods).items(t))

	protobuf := s.get(t, pods, "Accept", "application/vnd.kubernetes.protobuf")
	require.Equal(t, "application/vnd.kubernetes.protobuf", protobuf.header.Get("Content-Type"))
	obj, _, err := clientscheme.Codecs.UniversalDeserializer().Decode(protobuf.body, nil, nil)
	require.NoError(t, err)
	list := obj.(*corev1.PodList)
	require.Len(t, list.Items, len(want))
	require.Equal(t, "1485", list.ResourceVersion)
	require.Equal(t, want[0], list.Items[0].Name)

	yaml := s.get(t, pods+"?limit=1", "Accept", "application/yaml")
	require.Contains(t, string(yaml.body), "kind: PodList\n")
	require.Contains(t, string(yaml.body), "name: "+want[0]+"\n")

	partial := s.get(t, pods, "Accept", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
	var unknown runtime.Unknown
	require.NoError(t, unknown.Unmarshal(partial.body[4:]))
	require.Equal(t, "PartialObjectMetadataList", unknown.Kind)
	var metadata metav1.PartialObjectMetadataList
	require.NoError(t, metadata.Unmarshal(unknown.Raw))
	require.Len(t, metadata.Items, len(want))

	one := s.get(t, pods+"/"+want[0], "Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1").json(t)
	require.Equal(t, "PartialObjectMetadata", one["kind"])
	require.NotContains(t, one, "spec")

	// A custom resource has no protobuf form: the client's next choice counts.
	ships := s.get(t, "/apis/fleet.example.com/v1/ships", "Accept", "application/vnd.kubernetes.protobuf,application/json")
	require.Equal(t, "application/json", ships.header.Get("Content-Type"))
	require.Equal(t, http.StatusNotAcceptable, s.get(t, "/apis/fleet.example.com/v1/ships", "Accept", "application/vnd.kubernetes.protobuf").code)
	require.Equal(t, http.StatusNotAcceptable, s.get(t, pods, "Accept", "text/html").code)
}

// ConfigMap flip was created three times and deleted twice; supercronic had
// another image.
func TestEveryRevisionIsThere(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	now := s.get(t, configMaps+"/flip").json(t)
	require.Equal(t, map[string]any{"v": "3", "w": "3"}, now["data"])
	created := now["metadata"].(map[string]any)["resourceVersion"].(string)

	exact := s.get(t, configMaps+"?resourceVersion="+created+"&resourceVersionMatch=Exact")
	require.Contains(t, names(exact.items(t)), "flip")
	require.Equal(t, created, exact.json(t)["metadata"].(map[string]any)["resourceVersion"])
	for query, revision := range map[string]string{
		"limit=500&resourceVersion=" + created: created, "resourceVersion=" + created: "1485", "resourceVersion=1485": "1485", "limit=1&resourceVersion=0": "1485",
		"limit=500&resourceVersionMatch=NotOlderThan&resourceVersion=" + created: "1485",
	} {
		require.Equal(t, revision, s.get(t, configMaps+"?"+query).json(t)["metadata"].(map[string]any)["resourceVersion"], query)
	}
	before := s.get(t, "/rev/100"+configMaps)
	require.Equal(t, "100", before.json(t)["metadata"].(map[string]any)["resourceVersion"])
	require.NotContains(t, names(before.items(t)), "flip")
	require.Contains(t, s.get(t, "/rev/100"+configMaps+"/flip").message(t, http.StatusNotFound), `configmaps "flip" not found`)

	require.Contains(t, s.get(t, configMaps+"?resourceVersion=99999").message(t, http.StatusGatewayTimeout), "Too large resource version: 99999, current: 1485")
	require.Contains(t, s.get(t, "/rev/99999"+configMaps).message(t, http.StatusGatewayTimeout), "Too large resource version")
	require.Contains(t, s.get(t, "/rev/zero"+configMaps).message(t, http.StatusNotFound), "no etcd revision")
	require.Contains(t, s.get(t, "/rev/0"+configMaps).message(t, http.StatusNotFound), "no etcd revision")
	require.Contains(t, s.get(t, configMaps+"?resourceVersion=9223372036854775808").message(t, http.StatusBadRequest), "invalid resource version")
	require.Contains(t, s.get(t, configMaps+"?resourceVersion=x").message(t, http.StatusBadRequest), `invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax`)
	require.Contains(t, s.get(t, configMaps+"?resourceVersion=1400&continue=x").message(t, http.StatusBadRequest), "invalid continue token")
	require.Equal(t, s.get(t, "/apis").body, s.get(t, "/rev/1/apis").body) // discovery is the same at all revisions
}

func TestPathsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for _, path := range []string{
		"/apis/metrics.k8s.io", "/apis/nobody/v1", "/api/v2", "/api/v1/nobodies", "/api/v1/namespaces/default/nodes",
		"/api/v1/pods/lonely", "/apis/apps/v1/namespaces/default/deployments/x/nobody", "/metrics", "/debug/pprof/",
		"/api/v1/namespaces/infra-production/secrets/..%2f..%2fx", "/rev/1/rev/2/api/v1/pods",
		"/openapi/v2/", "/openapi/v3/apis/nobody/v1", "/api/v1/componentstatuses",
	} {
		require.Equal(t, http.StatusNotFound, s.get(t, path).code, path)
	}
	// Below its own groups an API server answers with a Status, else with a line.
	for path, status := range map[string]bool{
		"/api/v1/nobodies": true, "/api/v2/pods": true, "/api/v1/pods/lonely": true, "/apis/apps/v9/deployments": true, "/apis/apiextensions.k8s.io/v1/nobodies": true,
		"/apis/apps/v1/namespaces/default/deployments/x/log": true, "/api/v1/namespaces/default/services/x/scale": true, pods + "/a%2Fb": true,
		"/apis/nobody/v1/things": false, "/apis/fleet.example.com/v9/ships": false, "/apis/fleet.example.com/v1/nobodies": false, "/foo": false,
	} {
		answer := s.get(t, path)
		require.Equal(t, http.StatusNotFound, answer.code, path)
		require.Equal(t, status, strings.Contains(string(answer.body), `"message":"the server could not find the requested resource"`), "%s: %s", path, answer.body)
	}
	require.Equal(t, "ok", string(s.get(t, "/readyz").body))
	require.Equal(t, "v1.37.1+lifeboat", s.get(t, "/version").json(t)["gitVersion"])
	require.Contains(t, s.get(t, "/").json(t)["paths"], "/apis/apps/v1")
}
