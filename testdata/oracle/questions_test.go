package oracle

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kind is one resource in one version, as the real server serves it.
type kind struct {
	path       string // "/apis/apps/v1"
	plural     string
	group      string
	namespaced bool
}

func (k kind) list(namespace string) string {
	if !k.namespaced || namespace == "" {
		return k.path + "/" + k.plural
	}
	return k.path + "/namespaces/" + namespace + "/" + k.plural
}

// object is what questions need of one.
type object struct {
	kind
	namespace, name string
	labels          map[string]string
}

func (o object) url() string { return o.list(o.namespace) + "/" + o.name }

// known is what questions are made of: what the real server has.
type known struct {
	kinds   []kind
	objects []object
	filled  []kind // those with objects
	twins   twins
}

func (tw twins) look(t *testing.T) known {
	t.Helper()
	k := known{twins: tw, kinds: tw.theirs.kinds(t)}
	for _, kind := range k.kinds {
		a, err := tw.theirs.ask(t.Context(), question{http.MethodGet, kind.list(""), "application/json"})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.code, kind)
		items, _ := a.body.(map[string]any)["items"].([]any)
		for _, item := range items {
			meta := item.(map[string]any)["metadata"].(map[string]any)
			o := object{kind: kind, name: meta["name"].(string), labels: map[string]string{}}
			o.namespace, _ = meta["namespace"].(string)
			labels, _ := meta["labels"].(map[string]any)
			for key, value := range labels {
				o.labels[key] = value.(string)
			}
			k.objects = append(k.objects, o)
		}
		if len(items) > 0 {
			k.filled = append(k.filled, kind)
		}
	}
	return k
}

// kinds are all that can be listed, in all versions.
func (p peer) kinds(t *testing.T) (kinds []kind) {
	t.Helper()
	for _, root := range []string{"/api", "/apis"} {
		a, err := p.ask(t.Context(), question{http.MethodGet, root, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
		require.NoError(t, err)
		for _, group := range a.body.(map[string]any)["items"].([]any) {
			name, _ := group.(map[string]any)["metadata"].(map[string]any)["name"].(string)
			for _, version := range group.(map[string]any)["versions"].([]any) {
				v := version.(map[string]any)
				for _, resource := range v["resources"].([]any) {
					r := resource.(map[string]any)
					if !strings.Contains(fmt.Sprint(r["verbs"]), "list") || r["resource"] == "componentstatuses" {
						continue
					}
					path := strings.TrimSuffix(root+"/"+name, "/") + "/" + v["version"].(string)
					kinds = append(kinds, kind{path, r["resource"].(string), name, r["scope"] == "Namespaced"})
				}
			}
		}
	}
	require.Greater(t, len(kinds), 80)
	return kinds
}

// asker makes questions; the same seed makes the same ones of the same
// cluster.
type asker struct {
	*rand.Rand
	known
}

func pick[T any](a *asker, from []T) T { return from[a.IntN(len(from))] }

// question is any question.
func (a *asker) question() question {
	q := question{method: http.MethodGet, accept: pick(a, accepts())}
	switch n := a.IntN(100); {
	case n < 22:
		q.path = a.one()
	case n < 40:
		q.path = a.some().list(a.maybeNamespace())
	case n < 54:
		q.path = a.labelled()
	case n < 66:
		q.path = a.fielded()
	case n < 76:
		q.path = with(a.some().list(a.maybeNamespace()), "limit", fmt.Sprint(pick(a, []int{1, 2, 3, 7, 500, -1})))
	case n < 84:
		q.path = a.past()
	case n < 93:
		q.path, q.accept = a.watch(), pick(a, watchAccepts())
	default:
		q.path = a.odd()
	}
	if a.IntN(25) == 0 && !q.watches() {
		q.method = http.MethodHead
	}
	return q
}

func accepts() []string {
	const table, metadata = "application/json;as=Table;v=v1;g=meta.k8s.io", "as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	return []string{
		"application/json", "application/json", "", "*/*", "application/yaml", "application/vnd.kubernetes.protobuf",
		"application/vnd.kubernetes.protobuf,application/json", table, table,
		table + ",application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "application/yaml;as=Table;v=v1beta1;g=meta.k8s.io",
		"application/json;" + metadata, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
		"application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/vnd.kubernetes.protobuf;" + metadata,
		"text/html", "application/cbor", "application/json;as=Nothing;v=v1;g=meta.k8s.io", "application/json;q=0.5,application/yaml;q=0.9", "garbage",
	}
}

func watchAccepts() []string {
	return []string{
		"application/json", "", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/yaml",
	}
}

// some is a kind, mostly one with objects.
func (a *asker) some() kind {
	if a.IntN(4) > 0 {
		return pick(a, a.filled)
	}
	return pick(a, a.kinds)
}

func (a *asker) maybeNamespace() string {
	return pick(a, []string{"", "", "infra-production", "kube-system", "default", "infra-production-2", "no-such-namespace"})
}

func with(path string, pairs ...string) string {
	var words []string
	for i := 0; i < len(pairs); i += 2 {
		words = append(words, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
	}
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	return path + mark + strings.Join(words, "&")
}

// one names an object, or nearly one.
func (a *asker) one() string {
	o := pick(a, a.objects)
	switch a.IntN(12) {
	case 0:
		o.name += "-not"
	case 1:
		return o.url() + "/status"
	case 2:
		return with(o.url(), "resourceVersion", pick(a, a.versions()))
	case 3:
		return with(o.url(), "includeObject", pick(a, []string{"Object", "None", "Metadata", "Nothing"}))
	case 4:
		o.namespace = "no-such-namespace"
	}
	return o.url()
}

func (a *asker) labelled() string {
	o := pick(a, a.objects)
	key, value := "app", "supercronic"
	for _, k := range slices.SortedFunc(keysOf(o.labels), cmp.Compare) {
		if key = k; a.IntN(2) == 0 {
			break
		}
	}
	if have, ok := o.labels[key]; ok {
		value = have
	}
	selector := pick(a, []string{
		"KEY=VALUE", "KEY==VALUE", "KEY!=VALUE", "KEY in (VALUE,other)", "KEY notin (VALUE)", "KEY", "!KEY", "KEY=VALUE,nothing!=x",
		"KEY=", "KEY in ()", "KEY in (", "=VALUE", "KEY>3", "KEY<x", "KEY=a b", "KEY===VALUE", "-KEY", ",", "KEY=VALUE,", "(KEY)",
	})
	selector = strings.NewReplacer("KEY", key, "VALUE", value).Replace(selector)
	return with(o.list(pick(a, []string{"", o.namespace})), "labelSelector", selector)
}

func keysOf(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

// fielded selects by a field that the kind may know, or may not.
func (a *asker) fielded() string {
	o := pick(a, a.objects)
	byKind := map[string][]string{
		"pods": {"spec.nodeName=node-1", "status.phase=Running", "status.phase!=Running", "spec.restartPolicy=Always", "spec.hostNetwork=true", "status.podIP=", "spec.serviceAccountName=default", "spec.schedulerName=default-scheduler"},
		"events": {
			"involvedObject.kind=Pod", "reason=Scheduled", "type=Warning", "regarding.kind=Pod", "reportingController=x", "source=kubelet", "reportingComponent=kubelet",
			"involvedObject.namespace=infra-production", "regarding.fieldPath=x", "deprecatedSource.component=kubelet",
		},
		"secrets": {"type=Opaque", "type!=Opaque"}, "nodes": {"spec.unschedulable=true", "spec.unschedulable!=true"},
		"namespaces": {"status.phase=Active", "name=default"}, "jobs": {"status.successful=1", "status.successful!=1"},
		"services": {"spec.clusterIP=None", "spec.type=ClusterIP"}, "replicasets": {"status.replicas=0"}, "replicationcontrollers": {"status.replicas=0"},
		"certificatesigningrequests": {"spec.signerName=x"}, "resourceslices": {"spec.driver=x", "spec.nodeName=x"},
		"customresourcedefinitions": {"metadata.name=ships.fleet.example.com", "spec.group=x"}, "ships": {"spec.tonnage=1"},
	}
	general := []string{
		"metadata.name=" + o.name, "metadata.name!=" + o.name, "metadata.namespace=" + o.namespace, "metadata.namespace!=" + o.namespace,
		"metadata.name=" + o.name + ",metadata.namespace=" + o.namespace, "metadata.uid=x", "spec.nothing=x", "metadata.name", "=", "metadata.name=a=b",
	}
	field, own := pick(a, general), byKind[o.plural]
	if len(own) > 0 && a.IntN(3) > 0 {
		field = pick(a, own)
	}
	return with(o.list(pick(a, []string{"", o.namespace})), "fieldSelector", field)
}

// versions are resource versions of all sorts.
func (a *asker) versions() []string {
	rev := a.twins.revision
	return []string{
		"", "0", "1", fmt.Sprint(1 + a.Int64N(rev)), fmt.Sprint(a.twins.booted + a.Int64N(rev-a.twins.booted)), fmt.Sprint(rev), fmt.Sprint(rev + 1_000_000), "x", "-1", "1.5",
		"18446744073709551616",
	}
}

// past asks for a list at, or not older than, a resource version.
func (a *asker) past() string {
	path := with(a.some().list(a.maybeNamespace()), "resourceVersion", pick(a, a.versions()))
	if match := pick(a, []string{"", "Exact", "Exact", "NotOlderThan", "Nearly"}); match != "" {
		path = with(path, "resourceVersionMatch", match)
	}
	switch a.IntN(4) {
	case 0:
		path = with(path, "limit", "2")
	case 1:
		path = with(path, "limit", "2", "continue", pick(a, []string{"x", "bm90LWpzb24", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTAwLCJzdGFydCI6ImEifQ", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTAwLCJzdGFydCI6Ii4uLyJ9"}))
	}
	return path
}

// watch asks what is, and what happened since the server runs.
func (a *asker) watch() string {
	history := []kind{{"/api/v1", "configmaps", "", true}, {"/api/v1", "secrets", "", true}, {"/apis/fleet.example.com/v1", "ships", "fleet.example.com", true}}
	k, namespace := a.some(), a.maybeNamespace()
	since := pick(a, []string{"", "0"})
	if a.IntN(3) > 0 {
		k, namespace = pick(a, history), pick(a, []string{"default", "default", ""})
		since = fmt.Sprint(a.twins.booted + a.Int64N(a.twins.revision-a.twins.booted+1))
	} else if a.IntN(8) == 0 {
		since = pick(a, a.versions())
	}
	path := with(k.list(namespace), "watch", pick(a, []string{"1", "true"}), "timeoutSeconds", "1", "resourceVersion", since)
	switch a.IntN(7) {
	case 0:
		path = with(path, "labelSelector", pick(a, []string{"turn=1", "turn in (0,2)", "kind=history", "turn!=1"}))
	case 1:
		path = with(path, "fieldSelector", "metadata.name=history-"+fmt.Sprint(a.IntN(8)))
	case 2:
		path = with(path, "sendInitialEvents", "true", "resourceVersionMatch", "NotOlderThan", "allowWatchBookmarks", "true")
	case 3:
		path = with(path, "sendInitialEvents", pick(a, []string{"true", "false", "maybe"}))
	case 4:
		path = with(path, "allowWatchBookmarks", "true")
	}
	return path
}

// odd asks for what is not there, in ways that people and programs do.
func (a *asker) odd() string {
	k, o := a.some(), pick(a, a.objects)
	return pick(a, []string{
		"/", "/api", "/apis", "/api/", "/apis/", "/api/v1/", "/api/v2", "/apis/apps", "/apis/apps/v1", "/apis/apps/v9", "/apis/nobody", "/apis/nobody/v1", "/healthz", "/livez", "/readyz", "/nothing",
		k.path, k.path + "/nobodies", k.path + "/namespaces/default/nobodies", k.path + "/nobodies/x", k.list("") + "/", k.list("a b"), k.list(".."), k.list("%2e%2e"), o.url() + "/nothing",
		o.url() + "/status/more", o.url() + "/", o.list(o.namespace) + "/a%2Fb", o.list(o.namespace) + "/%00", o.list(o.namespace) + "/" + strings.Repeat("a", 300), "//" + o.url()[1:],
		k.path + "/watch/" + k.plural + "?timeoutSeconds=1&watch=1", with(k.list(""), "limit", "x"), with(k.list(""), "timeoutSeconds", "x"), with(k.list(""), "watch", "maybe"),
		with(k.list(""), "pretty", "1"), with(k.list(""), "nobody", "knows"), with(k.list(""), "fieldSelector", "x", "labelSelector", "=="), k.list("") + "?limit=1&limit=2", k.list("") + "?%zz", "/api/v1/componentstatuses",
		"/api/v1/componentstatuses/x", "/api/v1/bindings", "/api/v1/namespaces/default", "/api/v1/namespaces/default/status", "/api/v1/namespaces/default/finalize",
	})
}

// certain are questions that meet every difference in the list, whatever the
// generated ones come to.
func (tw twins) certain() []question {
	const table, metadata = "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	get := func(path, accept string) question { return question{http.MethodGet, path, accept} }
	return []question{
		get("/", ""), get("/apis", "application/json"), get("/apis/apps/v1", "application/json"), get("/api/v1/componentstatuses", "application/json"),
		get("/api/v1/namespaces/default/configmaps/kube-root-ca.crt?resourceVersion=x", ""), get("/api/v1/pods", metadata),
		get(fmt.Sprint("/api/v1/pods?resourceVersion=", tw.revision+1_000_000), ""), get("/apis/rbac.authorization.k8s.io/v1/namespaces/no-such-namespace/roles", table),
		get("/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", table),
	}
}

// pages follows a list to its end, page by page.
func (p peer) pages(ctx context.Context, path string, limit int) (names []string, err error) {
	for token := ""; ; {
		a, err := p.ask(ctx, question{http.MethodGet, with(path, "limit", fmt.Sprint(limit), "continue", token), "application/json"})
		if err != nil {
			return nil, err
		}
		list, _ := a.body.(map[string]any)
		items, _ := list["items"].([]any)
		for _, item := range items {
			meta, _ := item.(map[string]any)["metadata"].(map[string]any)
			names = append(names, fmt.Sprint(meta["namespace"], "/", meta["name"]))
		}
		meta, _ := list["metadata"].(map[string]any)
		if token, _ = meta["continue"].(string); token == "" {
			return append(names, fmt.Sprint(a.code)), nil
		}
		names = append(names, fmt.Sprint(meta["remainingItemCount"]))
	}
}
