package apiserver_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// config is a client's, in JSON or protobuf; path is a prefix of the API.
func (s *served) config(path string, protobuf bool) *rest.Config {
	c := &rest.Config{Host: s.URL + path, QPS: -1}
	if protobuf {
		c.ContentType, c.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	}
	return c
}

func (s *served) clientset(t testing.TB, protobuf bool) *kubernetes.Clientset {
	client, err := kubernetes.NewForConfig(s.config("", protobuf))
	require.NoError(t, err)
	return client
}

// What client-go discovers in one piece and group by group is the same, and is
// all that can be listed.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	client := s.clientset(t, false).Discovery()
	groups, lists, err := client.ServerGroupsAndResources()
	require.NoError(t, err)
	require.Greater(t, len(groups), 20)
	plain := client.WithLegacy()
	_, plainLists, err := plain.ServerGroupsAndResources()
	require.NoError(t, err)
	require.Equal(t, len(lists), len(plainLists))
	listable, counts := 0, map[string]int{}
	for _, list := range plainLists {
		counts[list.GroupVersion] = len(list.APIResources)
	}
	for _, list := range lists {
		require.Equal(t, len(list.APIResources), counts[list.GroupVersion], list.GroupVersion)
		for _, r := range list.APIResources {
			for _, verb := range r.Verbs {
				require.Contains(t, []string{"get", "list", "watch", "create"}, verb)
				require.True(t, verb != "create" || strings.HasPrefix(r.Name, "selfsubject"), r.Name)
				if verb == "list" {
					listable++
				}
			}
		}
	}
	require.Greater(t, listable, 90)
}

func TestReviewsAllowReadingAlone(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for _, protobuf := range []bool{false, true} {
		client := s.clientset(t, protobuf)
		for verb, want := range map[string]bool{"list": true, "get": true, "delete": false, "create": false} {
			review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: "pods"}},
			}, metav1.CreateOptions{})
			require.NoError(t, err)
			require.Equal(t, want, review.Status.Allowed, verb)
		}
		into, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods", Subresource: "exec"}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		require.False(t, into.Status.Allowed)
		rules, err := client.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"get", "list", "watch"}, rules.Status.ResourceRules[0].Verbs)
		self, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		require.NoError(t, err)
		require.Equal(t, "lifeboat", self.Status.UserInfo.Username)
	}
}

// What a client posts is read as far as a review is long.
func TestReviewsAreShort(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for size, code := range map[int]int{60 << 10: http.StatusCreated, 64<<10 + 1: http.StatusRequestEntityTooLarge, 100 << 10: http.StatusRequestEntityTooLarge} {
		const head, tail = `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"nonResourceAttributes":{"verb":"get","path":"`, `"}}}`
		body := head + strings.Repeat("x", size-len(head)-len(tail)) + tail
		resp, err := s.Client().Post(s.URL+"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "application/json", strings.NewReader(body)) //nolint:noctx // it is answered at once
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, code, resp.StatusCode, "%d bytes", size)
	}
}

// Informers fill their caches from an initial list and from a streaming one,
// in both wire forms.
func TestInformersSync(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for _, protobuf := range []bool{false, true} {
		factory := informers.NewSharedInformerFactory(s.clientset(t, protobuf), 0)
		pods, secrets := factory.Core().V1().Pods().Lister(), factory.Core().V1().Secrets().Lister()
		events := factory.Events().V1().Events().Lister()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		factory.Start(ctx.Done())
		for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
			require.True(t, ok, kind)
		}
		all, err := pods.Pods("infra-production").List(labels.Everything())
		require.NoError(t, err)
		require.Len(t, all, len(s.get(t, podsURL).items(t)))
		some, err := secrets.List(labels.Everything())
		require.NoError(t, err)
		require.NotEmpty(t, some)
		past, err := events.List(labels.Everything())
		require.NoError(t, err)
		require.Len(t, past, 169)
	}
}

// The dynamic client has an informer for every kind in every version, and each
// holds what a list has.
func TestDynamicInformersSync(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	client, err := dynamic.NewForConfig(s.config("", false))
	require.NoError(t, err)
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	listers := map[string]cache.GenericLister{} // by the list's path
	for _, r := range s.resources(t) {
		if strings.Contains(r.verbs, "watch") {
			gv, err := schema.ParseGroupVersion(strings.TrimPrefix(strings.TrimPrefix(r.path, "/apis/"), "/api/"))
			require.NoError(t, err)
			listers[r.path+"/"+r.plural] = factory.ForResource(gv.WithResource(r.plural)).Lister()
		}
	}
	require.Greater(t, len(listers), 90)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	factory.Start(ctx.Done())
	for gvr, ok := range factory.WaitForCacheSync(ctx.Done()) {
		require.True(t, ok, gvr)
	}
	for path, lister := range listers {
		all, err := lister.List(labels.Everything())
		require.NoError(t, err)
		require.Len(t, all, len(s.get(t, path).items(t)), path)
	}
}

const podsURL = pods

// A watch from a revision tells what happened after it, in etcd's order, and
// then nothing.
func TestWatchTellsTheHistory(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for _, protobuf := range []bool{false, true} {
		client := s.clientset(t, protobuf).CoreV1().ConfigMaps("infra-production")
		seconds := int64(1)
		w, err := client.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1", FieldSelector: "metadata.name=flip", TimeoutSeconds: &seconds})
		require.NoError(t, err)
		var told []string
		started, revision := time.Now(), 1
		for event := range w.ResultChan() {
			told = append(told, string(event.Type))
			now, err := strconv.Atoi(event.Object.(*corev1.ConfigMap).ResourceVersion)
			require.NoError(t, err)
			require.Greater(t, now, revision, "%s: a deletion has a revision of its own", event.Type)
			revision = now
		}
		require.Less(t, time.Since(started), 20*time.Second)
		require.Equal(t, []string{"ADDED", "DELETED", "ADDED", "DELETED", "ADDED"}, drop(told, string(watch.Modified)))

		w, err = client.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=flip", TimeoutSeconds: &seconds})
		require.NoError(t, err)
		told = nil
		for event := range w.ResultChan() {
			told = append(told, string(event.Type))
		}
		require.Equal(t, []string{"ADDED"}, told)
	}
}

func drop(all []string, word string) (rest []string) {
	for _, s := range all {
		if s != word {
			rest = append(rest, s)
		}
	}
	return rest
}

func TestWatchOfStateEndsWithItsBookmark(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	body := string(s.get(t, pods+"?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1").body)
	lines := strings.Split(strings.TrimSpace(body), "\n")
	require.Len(t, lines, len(s.get(t, pods).items(t))+1)
	last := lines[len(lines)-1]
	require.Contains(t, last, `"type":"BOOKMARK"`)
	require.Contains(t, last, `"k8s.io/initial-events-end":"true"`)
	require.Contains(t, last, `"resourceVersion":"1485"`)
	table := string(s.get(t, pods+"?watch=1&timeoutSeconds=1", "Accept", asTable).body)
	require.Equal(t, 1, strings.Count(table, "columnDefinitions\":[{")) // with the first event only
	require.Contains(t, table, `"cells":["`)
}
