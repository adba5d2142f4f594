package proof

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func TestCompareVersion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		version, image string
		same, other    bool
	}{
		{"Kubernetes v1.37.1", "registry.k8s.io/kube-apiserver:v1.37.1", true, false},
		{"Kubernetes v1.37.1+rke2r1", "registry:5000/rancher/hardened-kubernetes:v1.37.1-rke2r1-build20260101", true, false},
		{"Kubernetes v1.34.10", "registry.k8s.io/kube-apiserver:v1.34.1", false, true},
		{"Kubernetes v1.34.1", "registry.k8s.io/kube-apiserver:v1.34.10", false, true},
		{"Kubernetes v1.34.0", "registry.k8s.io/kube-apiserver:v1.34.0-rc.1", false, true},
		{"Kubernetes v0.0.0-master+$Format:%H$", "registry.k8s.io/kube-apiserver:v1.37.1", false, false},
		{"Kubernetes v1.37.1", "registry:5000/kube-apiserver@sha256:0123456789", false, false},
		{"Kubernetes v1.37.1", "", false, false},
		{"etcd Version: 3.7.0", "registry.k8s.io/etcd:3.7.0-0", true, false},
		{"etcd Version: 3.5.21", "registry.k8s.io/etcd:3.5.2-0", false, true},
	} {
		same, other := compareVersion(tc.version, tc.image)
		require.Equal(t, [2]bool{tc.same, tc.other}, [2]bool{same, other}, "%s, %s", tc.version, tc.image)
	}
}

// What a server of another version has alone, and what the linked types have
// alone, is no contradiction; other values are, and so is what is stored and not
// shown.
func TestContradicting(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want, got, stored string
		paths             []string
	}{
		{`{"a":1}`, `{"a":1}`, `{"a":1}`, nil},
		{`{"a":1}`, `{"a":2}`, `{"a":1}`, []string{"a"}},
		{`{"a":1}`, `{"a":2}`, `null`, []string{"a"}},
		{`{"a":1,"new":"default"}`, `{"a":1}`, `{"a":1}`, nil},
		{`{"a":1,"new":"value"}`, `{"a":1}`, `{"a":1,"new":"value"}`, []string{"new"}},
		{`{"a":1,"new":"value"}`, `{"a":1}`, `null`, nil},
		{`{"a":1}`, `{"a":1,"old":true}`, `{"a":1}`, nil},
		{`{"a":{"b":{}}}`, `{}`, `{"a":{"b":{}}}`, nil},
		{`{"a":false,"m":1}`, `{"m":1}`, `{"a":false}`, nil},
		{`{"a":false}`, `{"a":true}`, `{"a":false}`, []string{"a"}},
		{`{"a":[{"b":1,"c":2}]}`, `{"a":[{"b":1}]}`, `{"a":[{"b":1}]}`, nil},
		{`{"a":[{"b":1,"c":2}]}`, `{"a":[{"b":1}]}`, `{"a":[{"b":1,"c":2}]}`, []string{"a[0].c"}},
		{`{"a":[{"b":1},{"b":2}]}`, `{"a":[{"b":1},{"b":3}]}`, `{}`, []string{"a[1].b"}},
		{`{"a":[1,2]}`, `{"a":[1]}`, `{"a":[1,2]}`, []string{"a"}},
		{`{"a":{"b":1}}`, `{"a":"b"}`, `{"a":{"b":1}}`, []string{"a"}},
		{`{"a":{"b":1},"m":1}`, `{"m":1}`, `{"a":{"b":1}}`, []string{"a"}},
	} {
		var want, got, stored any
		require.NoError(t, utiljson.Unmarshal([]byte(tc.want), &want))
		require.NoError(t, utiljson.Unmarshal([]byte(tc.got), &got))
		require.NoError(t, utiljson.Unmarshal([]byte(tc.stored), &stored))
		require.Equal(t, tc.paths, contradicting("", want, got, stored, nil), "%+v", tc)
	}
}

// A page of large objects has few of them.
func TestPageOf(t *testing.T) {
	t.Parallel()
	of := func(sizes ...int) map[string]*entry {
		all := map[string]*entry{}
		for i, size := range sizes {
			all[strconv.Itoa(i)] = &entry{Entry: registry.Entry{KV: snapshot.KeyValue{Value: make([]byte, size)}}}
		}
		return all
	}
	require.Equal(t, 500, pageOf(nil))
	require.Equal(t, 500, pageOf(of(0, 1000)))
	require.Equal(t, 8, pageOf(of(10, 1<<20)))
	require.Equal(t, 1, pageOf(of(1<<30)))
}

// The server is known to change what it would not make.
func TestWhyWritten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		group, resource, name, what string
		known                       bool
	}{
		{"", "secrets", "infra/token", changed, true},
		{"", "secrets", "infra/token", created, false},
		{"apiextensions.k8s.io", "customresourcedefinitions", "/buoys.example.com", changed, true},
		{"apiextensions.k8s.io", "customresourcedefinitions", "/buoys.example.com", created, false},
		{"rbac.authorization.k8s.io", "clusterroles", "/system:node", changed, true},
		{"rbac.authorization.k8s.io", "clusterroles", "/admin", changed, true},
		{"rbac.authorization.k8s.io", "clusterroles", "/intruder", created, false},
		{"rbac.authorization.k8s.io", "roles", "kube-system/system:controller:cloud-provider", changed, true},
		{"rbac.authorization.k8s.io", "roles", "kube-system/intruder", created, false},
		{"", "configmaps", "infra/a", changed, false},
	} {
		why := whyWritten(schema.GroupResource{Group: tc.group, Resource: tc.resource}, tc.name, tc.what)
		require.Equal(t, tc.known, why != "", "%+v", tc)
	}
}

// A custom resource that is defined and not served is a fault; one that nobody
// defines was none of the API's in the cluster either.
func TestWhyNotServed(t *testing.T) {
	t.Parallel()
	define := func(group string, served bool) registry.CustomResource {
		return registry.CustomResource{Group: group, Kind: "Buoy", Plural: "buoys", Versions: []registry.CustomVersion{{Name: "v1", Served: served, Storage: true}}}
	}
	c := &comparer{defs: registry.NewResources([]registry.CustomResource{define("sea.example.com", true), define("old.example.com", false)})}
	why := func(group, resource string) string {
		return c.whyNotServed(schema.GroupResource{Group: group, Resource: resource})
	}
	require.Equal(t, unexplained, why("sea.example.com", "buoys"))
	require.Equal(t, byFlags, why("old.example.com", "buoys"))
	require.Equal(t, undefined, why("gone.example.com", "buoys"))
	require.Equal(t, byFlags, why("coordination.k8s.io", "leasecandidates"))
	c.other = true
	require.Equal(t, byVersion, why("coordination.k8s.io", "leasecandidates"))
	require.Equal(t, unexplained, why("sea.example.com", "buoys"))

	r := &runner{report: &Report{}}
	for i, reason := range []string{unexplained, byVersion, byFlags, undefined} {
		r.report.Checks, r.report.NotServed = nil, []ResourceCount{{Resource: "buoys", Stored: 1, Why: reason}}
		r.judgeNotServed()
		require.Len(t, r.report.Checks, 1, reason)
		require.Contains(t, r.report.Checks[0].Detail, reason)
		r.report.conclude()
		require.Equal(t, i >= 2, r.report.Verdict == Proven, reason)
	}
}

// Only what was being deleted in the backup already goes by a change.
func TestCauseOfDeletion(t *testing.T) {
	t.Parallel()
	object := func(text string) living {
		l := living{resource: served{stored: schema.GroupResource{Resource: "persistentvolumes"}}}
		require.NoError(t, json.Unmarshal([]byte(text), &l.item))
		return l
	}
	var change auditEvent
	require.NoError(t, json.Unmarshal([]byte(`{"verb":"update","userAgent":"kube-controller-manager/v1.37.1 (linux/amd64) kubernetes/0123abc/pv-protection-controller",
		"objectRef":{"resource":"persistentvolumes","name":"pv"},"responseStatus":{"code":200}}`), &change))
	for text, explained := range map[string]bool{
		`{"metadata":{"name":"pv","uid":"1","deletionTimestamp":"2026-01-01T00:00:00Z"}}`: true,
		`{"metadata":{"name":"pv","uid":"1"}}`:                                            false,
	} {
		d := &deletions{alive: map[string]living{"persistentvolumes pv": object(text)}, gone: map[string]bool{"persistentvolumes pv": true}, events: []auditEvent{change}}
		known, unknown := d.all()
		require.Equal(t, explained, len(known) == 1 && len(unknown) == 0, text)
		require.Equal(t, 1, len(known)+len(unknown))
	}
}

// Of the APIServices the server takes away those that it has made.
func TestAutomatic(t *testing.T) {
	t.Parallel()
	c := &comparer{registry: registry.New(nil, registry.Options{Prefix: "/registry"})}
	automatic := func(resource, key, labels string) bool {
		value := `{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.example.com","labels":{` + labels + `}}}`
		parsed, err := registry.ParseKey("/registry", key)
		require.NoError(t, err)
		e := &entry{Entry: registry.Entry{Key: parsed, KV: snapshot.KeyValue{Key: []byte(key), Value: []byte(value)}}}
		return c.automatic(t.Context(), served{stored: schema.GroupResource{Group: "apiregistration.k8s.io", Resource: resource}}, e)
	}
	const key = "/registry/apiregistration.k8s.io/apiservices/v1.example.com"
	require.True(t, automatic("apiservices", key, `"kube-aggregator.kubernetes.io/automanaged":"true"`))
	require.False(t, automatic("apiservices", key, `"app":"metrics"`))
}
