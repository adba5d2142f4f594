package clients

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// TestControllerRuntimesCacheFills: the cache that operators are written over
// has an informer for each kind, all of which sync and hold what kubectl lists;
// nothing is logged.
func TestControllerRuntimesCacheFills(t *testing.T) {
	said := &lines{}
	logger := funcr.New(func(prefix, args string) { said.add(prefix + " " + args) }, funcr.Options{})
	ctrllog.SetLogger(logger)
	klog.SetLogger(logger)
	b := newBench(t, newKubectl, "kubectl")
	config := b.serving(t)
	kinds := kindsOf(t, config)
	filled, err := cache.New(config, cache.Options{})
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	done := make(chan error, 1)
	go func() { done <- filled.Start(ctx) }()
	for _, kind := range kinds {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind)
		_, err := filled.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		require.NoError(t, err, kind)
	}
	require.True(t, filled.WaitForCacheSync(ctx))
	direct, err := client.New(config, client.Options{})
	require.NoError(t, err)
	total := 0
	for _, kind := range kinds {
		cached, asked := listOf(kind), listOf(kind)
		require.NoError(t, filled.List(ctx, cached), kind)
		require.NoError(t, direct.List(ctx, asked), kind)
		require.ElementsMatch(t, names(asked), names(cached), kind)
		total += len(cached.Items)
	}
	require.Greater(t, total, 600)
	var pod corev1.Pod
	require.NoError(t, filled.Get(ctx, client.ObjectKey{Namespace: "infra-production", Name: "db-0"}, &pod))
	require.NotEmpty(t, pod.Spec.Containers)
	stop()
	require.NoError(t, <-done)
	for _, line := range said.all() {
		require.Regexp(t, `is deprecated in v1\.`, line) // as an API server says it
	}
}

func listOf(kind schema.GroupVersionKind) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	return list
}

func names(list *unstructured.UnstructuredList) (all []string) {
	for _, item := range list.Items {
		all = append(all, item.GetNamespace()+"/"+item.GetName()+" "+item.GetResourceVersion())
	}
	return all
}

// kindsOf are all kinds that can be watched, in the preferred version.
func kindsOf(t *testing.T, config *rest.Config) (kinds []schema.GroupVersionKind) {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	require.NoError(t, err)
	lists, err := client.ServerPreferredResources()
	require.NoError(t, err)
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "watch") && !strings.Contains(r.Name, "/") {
				kinds = append(kinds, gv.WithKind(r.Kind))
			}
		}
	}
	require.Greater(t, len(kinds), 60)
	return kinds
}

// serving runs `lifeboat serve SRC` until the test ends, and returns how a
// client finds it.
func (b *bench) serving(t *testing.T) *rest.Config {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	cmd := exec.Command(b.lifeboat, "serve", b.source, "--kubeconfig", kubeconfig)
	cmd.Env, cmd.Stderr = b.env, os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		_ = cmd.Wait() // its exit code is that of an interruption
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.QPS = -1
	return config
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	said []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, line)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.said)
}
