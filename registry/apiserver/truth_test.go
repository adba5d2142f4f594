package apiserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every object, asked for one by one and in the list of its kind, is what
// kube-apiserver answered; so is each one's YAML.
func TestEveryObjectIsTheAnswerOfTheAPIServer(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	resources := s.resources(t)
	listed := map[string]map[string]map[string]any{} // by list, by namespace/name
	compared := 0
	for _, want := range truth(t) {
		kind := fmt.Sprint(want["apiVersion"], " ", want["kind"])
		if want["kind"] == "ComponentStatus" {
			continue // never stored
		}
		r, ok := resources[kind]
		require.True(t, ok, kind)
		metadata := want["metadata"].(map[string]any)
		namespace, _ := metadata["namespace"].(string)
		name := metadata["name"].(string)

		got := withoutManagedFields(s.get(t, r.url(namespace, name)).json(t))
		require.Equal(t, want, got, kind)

		if listed[kind] == nil {
			listed[kind] = map[string]map[string]any{}
			for _, item := range s.get(t, r.path+"/"+r.plural).items(t) {
				m := item["metadata"].(map[string]any)
				listed[kind][fmt.Sprint(m["namespace"], "/", m["name"])] = item
			}
		}
		item := withoutManagedFields(listed[kind][fmt.Sprint(metadata["namespace"], "/", name)])
		item["apiVersion"], item["kind"] = want["apiVersion"], want["kind"] // which items of a list do not have
		require.Equal(t, want, item, kind)
		delete(listed[kind], fmt.Sprint(metadata["namespace"], "/", name))
		compared++
	}
	require.Equal(t, 790-3, compared)
	for kind, left := range listed {
		require.Empty(t, left, kind) // no list has more than the API server's
	}
}

// Each object is there in every version that its kind is served in, and says
// which one it is in.
func TestEveryServedVersionHasEveryObject(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	counts := map[string]int{} // by plural and last part of the group
	versions := map[string][]string{}
	for kind, r := range s.resources(t) {
		if !strings.Contains(r.verbs, "list") {
			continue
		}
		gv, word, _ := strings.Cut(kind, " ")
		group := strings.TrimPrefix(r.path, "/apis/")
		group, _, _ = strings.Cut(group, "/v")
		items := s.get(t, r.path+"/"+r.plural).items(t)
		for _, item := range items {
			metadata := item["metadata"].(map[string]any)
			namespace, _ := metadata["namespace"].(string)
			one := s.get(t, r.url(namespace, metadata["name"].(string))).json(t)
			require.Equal(t, gv, one["apiVersion"])
			require.Equal(t, word, one["kind"])
			if len(items) > 20 {
				break
			}
		}
		id := group + "/" + r.plural
		if have, ok := counts[id]; ok {
			require.Equal(t, have, len(items), "%s in %v and %s", id, versions[id], gv)
		}
		counts[id] = len(items)
		versions[id] = append(versions[id], gv)
	}
	require.Equal(t, counts["events.k8s.io/events"], 169)
	require.Len(t, versions["resource.k8s.io/resourceslices"], 3)
}
