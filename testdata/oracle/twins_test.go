package oracle

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// peer is a server that questions are put to.
type peer struct {
	client *http.Client
	url    string
}

// twins are a real kube-apiserver and `lifeboat serve` over the same keyspace.
type twins struct {
	theirs, ours peer
	booted       int64 // the revision at which the real one was ready
	revision     int64 // that of the snapshot that ours serves
}

// startTwins restores harbour, starts kube-apiserver on it, has it write some
// history, and serves a snapshot of all that. What the server writes when it
// starts is in the snapshot, too.
func startTwins(t *testing.T) twins {
	t.Helper()
	program, dir := findLifeboat(t), filepath.Join(t.TempDir(), "etcd")
	output, err := exec.Command(program.binary, "etcd", "restore", harbour, "--to", dir, "--bump-revision", "off", "--no-boot-check",
		"--name", "default", "--initial-advertise-peer-urls", "http://127.0.0.1:2380").CombinedOutput()
	require.NoError(t, err, "%s", output)
	c := &cluster{host: unpackHost(t)}
	c.startAPIServer(t, findAPIServer(t), c.startEtcd(t, dir), "--etcd-compaction-interval=0")
	c.settle(t)
	twins := twins{theirs: newPeer(t, c.kubeconfig), booted: c.revision(t)}
	c.writeHistory(t)
	twins.revision = c.revision(t)
	kubeconfig, _ := serve(t, program, c.snapshot(t), c.host.path("encryption.yaml"))
	twins.ours = newPeer(t, kubeconfig)
	return twins
}

// findAPIServer takes the binary that the environment variable LIFEBOAT_KUBE_APISERVER
// names, or this one.
func findAPIServer(t *testing.T) string {
	t.Helper()
	if program := os.Getenv("LIFEBOAT_KUBE_APISERVER"); program != "" {
		return program
	}
	return filepath.Join(linkPrograms(t), "kube-apiserver")
}

// serve runs `lifeboat serve` until the test ends, and returns its kubeconfig.
func serve(t *testing.T, program lifeboat, source, encryption string) (kubeconfig string, server *os.Process) {
	t.Helper()
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	cmd := exec.Command(program.binary, "serve", source, "--encryption-config", encryption, "--kubeconfig", kubeconfig)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		_ = cmd.Wait() // its exit code is that of an interruption
		require.NoFileExists(t, kubeconfig)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "export KUBECONFIG=")
	return kubeconfig, cmd.Process
}

func newPeer(t *testing.T, kubeconfig string) peer {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	client.Timeout = time.Minute
	return peer{client, config.Host}
}

func (c *cluster) revision(t *testing.T) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	response, err := c.etcd.Get(ctx, "/registry/")
	require.NoError(t, err)
	return response.Header.Revision
}

// writeHistory makes changes for watches to tell: objects come, change their
// labels, and go; one kind is encrypted at rest, one is a custom resource.
func (c *cluster) writeHistory(t *testing.T) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	require.NoError(t, err)
	custom, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	ctx, maps, secrets := t.Context(), c.client.CoreV1().ConfigMaps("default"), c.client.CoreV1().Secrets("default")
	ships := custom.Resource(schema.GroupVersionResource{Group: "fleet.example.com", Version: "v1", Resource: "ships"}).Namespace("default")
	for i := range 8 {
		labels := map[string]string{"turn": strconv.Itoa(i % 3), "kind": "history"}
		meta := metav1.ObjectMeta{Name: fmt.Sprint("history-", i), Labels: labels}
		_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"v": "1"}}, metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = secrets.Create(ctx, &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"v": "1"}}, metav1.CreateOptions{})
		require.NoError(t, err)
		ship := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "fleet.example.com/v1", "kind": "Ship", "metadata": map[string]any{"name": meta.Name}, "spec": map[string]any{"tonnage": int64(i)},
		}}
		_, err = ships.Create(ctx, ship, metav1.CreateOptions{})
		require.NoError(t, err)
		labels["turn"] = strconv.Itoa((i + 1) % 3)
		_, err = maps.Update(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"v": "2"}}, metav1.UpdateOptions{})
		require.NoError(t, err)
		if i%2 == 0 {
			require.NoError(t, maps.Delete(ctx, meta.Name, metav1.DeleteOptions{}))
			require.NoError(t, secrets.Delete(ctx, meta.Name, metav1.DeleteOptions{}))
			require.NoError(t, ships.Delete(ctx, meta.Name, metav1.DeleteOptions{}))
		}
	}
}
