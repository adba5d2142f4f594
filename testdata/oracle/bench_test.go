package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// TestServeBesideKubeAPIServer lists LIFEBOAT_BENCH_KEYS Pods, as `make bench`
// sets it, with kubectl from `lifeboat serve` and from a kube-apiserver whose
// cache is warm, in turn, and prints the medians. Ours may take half as long
// again, and 300 MB of memory for 100,000 objects.
func TestServeBesideKubeAPIServer(t *testing.T) {
	keys, err := strconv.Atoi(os.Getenv("LIFEBOAT_BENCH_KEYS"))
	if err != nil {
		t.Skip("a benchmark, which make bench runs: LIFEBOAT_BENCH_KEYS is how many Pods")
	}
	program, bin := findLifeboat(t), linkPrograms(t)
	c := &cluster{host: unpackHost(t)}
	endpoint := c.startEtcd(t, filepath.Join(t.TempDir(), "etcd"))
	c.putPods(t, keys)
	c.startAPIServer(t, findAPIServer(t), endpoint, "--etcd-compaction-interval=0")
	ours, server := serve(t, program, c.snapshot(t), c.host.path("encryption.yaml"))
	list := func(kubeconfig string) (time.Duration, int) {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(filepath.Join(bin, "kubectl"), "--kubeconfig", kubeconfig, "--cache-dir", t.TempDir(), "get", "pods", "-A", "--no-headers")
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		started := time.Now()
		require.NoError(t, cmd.Run(), "%s", &stderr)
		return time.Since(started), bytes.Count(stdout.Bytes(), []byte("\n"))
	}
	const rounds = 5
	times := map[string][]time.Duration{}
	for round := range rounds + 1 { // the first warms up and does not count
		for _, kubeconfig := range []string{ours, c.kubeconfig} {
			took, count := list(kubeconfig)
			require.Equal(t, keys, count)
			if round > 0 {
				times[kubeconfig] = append(times[kubeconfig], took)
			}
		}
	}
	page := median(t, rounds, func() {
		_, err := newPeer(t, ours).ask(t.Context(), question{http.MethodGet, "/api/v1/pods?limit=500", "application/json;as=Table;v=v1;g=meta.k8s.io"})
		require.NoError(t, err)
	})
	a, b := middle(times[ours]), middle(times[c.kubeconfig])
	memory := anonymous(t, server.Pid)
	t.Logf("kubectl get pods -A, %d Pods, GOMAXPROCS %d: lifeboat serve %s, kube-apiserver %s, ratio %.2f; a page of 500 Pods %s; anonymous memory %d MB",
		keys, runtime.GOMAXPROCS(0), a.Round(time.Millisecond), b.Round(time.Millisecond), float64(a)/float64(b), page.Round(time.Millisecond), memory>>20)
	require.Less(t, float64(a)/float64(b), 1.5)
	require.Less(t, page, 100*time.Millisecond)
	require.Less(t, memory, max(300<<20, keys*3000), "300 MB of memory for 100,000 objects")
}

func median(t *testing.T, rounds int, do func()) time.Duration {
	t.Helper()
	var times []time.Duration
	for range rounds {
		started := time.Now()
		do()
		times = append(times, time.Since(started))
	}
	return middle(times)
}

func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// anonymous is the memory of a process that is no file's.
func anonymous(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	match := regexp.MustCompile(`RssAnon:\s*(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, match)
	kilobytes, err := strconv.Atoi(string(match[1]))
	require.NoError(t, err)
	return kilobytes << 10
}

// putPods writes Pods, made of one of harbour's, to etcd as an API server stores
// them.
func (c *cluster) putPods(t *testing.T, count int) {
	t.Helper()
	text, err := json.Marshal(readTruth(t)["Pod infra-production/db-0"])
	require.NoError(t, err)
	var pod corev1.Pod
	require.NoError(t, json.Unmarshal(text, &pod))
	pod.ResourceVersion = ""
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	stored := protobuf.NewSerializer(clientscheme.Scheme, clientscheme.Scheme)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	const batch = 100
	for from := 0; from < count; from += batch {
		var puts []clientv3.Op
		for i := from; i < min(from+batch, count); i++ {
			pod.Namespace, pod.Name = fmt.Sprintf("team-%03d", i%200), fmt.Sprintf("web-%07d", i)
			pod.UID = types.UID(fmt.Sprintf("5f0c0000-0000-4000-8000-%012d", i))
			pod.Spec.NodeName = fmt.Sprintf("node-%d", i%500)
			var value bytes.Buffer
			require.NoError(t, stored.Encode(&pod, &value))
			puts = append(puts, clientv3.OpPut("/registry/pods/"+pod.Namespace+"/"+pod.Name, value.String()))
		}
		_, err := c.etcd.Txn(ctx).Then(puts...).Commit()
		require.NoError(t, err)
	}
}
