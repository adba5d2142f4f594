package backup_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/backup"
)

const harbour = "../../testdata/harbour/kube-backup.tar.gz"

func ExampleRead() {
	ctx := context.Background()
	b, err := lifeboat.Open(ctx, harbour, lifeboat.Options{})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	cluster, err := backup.Read(ctx, b)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(cluster.Objects.Nodes), "nodes, Kubernetes", cluster.Version.Version)
	// Output: 7 nodes, Kubernetes v1.37.1
}

func open(t *testing.T, opts lifeboat.Options) *lifeboat.Backup {
	t.Helper()
	b, err := lifeboat.Open(t.Context(), harbour, opts)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func TestTuning(t *testing.T) {
	t.Parallel()
	cluster, err := backup.Read(t.Context(), open(t, lifeboat.Options{}))
	require.NoError(t, err)
	require.NoError(t, cluster.Verdict())
	tuning, notes, err := cluster.Tuning(cluster.Version.Version)
	require.NoError(t, err)
	require.Equal(t, "as ModuleConfig control-plane-manager says", tuning.Name)
	require.Equal(t, 10*time.Second, tuning.Grace)
	require.Len(t, notes, 1)

	cluster.Flags = map[string]string{"node-monitor-grace-period": "50s"} // the manifest goes before
	tuning, _, err = cluster.Tuning(cluster.Version.Version)
	require.NoError(t, err)
	require.Equal(t, 50*time.Second, tuning.Grace)
	cluster.Flags["node-eviction-rate"] = "often"
	_, _, err = cluster.Tuning("")
	require.ErrorContains(t, err, `--node-eviction-rate: "often" is not a number`)
}

// A drill writes to objects by name; its own values it never sees.
func TestKeys(t *testing.T) {
	t.Parallel()
	objects, err := backup.Keys(t.Context(), open(t, lifeboat.Options{}))
	require.NoError(t, err)
	require.Greater(t, len(objects), 400)
	for _, o := range objects {
		require.NotEmpty(t, o.Name)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	cluster, err := backup.Read(t.Context(), open(t, lifeboat.Options{}))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "pods.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: i}]}}\n")
	pods, err := cluster.PodsInFile(path, "infra-production", 3)
	require.NoError(t, err)
	require.Len(t, pods, 3)
	require.Equal(t, "infra-production", pods[0].Namespace)
	_, err = backup.ReadNodes(path)
	require.ErrorContains(t, err, "only Nodes are looked for")
	write("{")
	_, err = backup.ReadNodes(path)
	require.ErrorContains(t, err, "document 1 is neither YAML nor JSON")

	before := len(cluster.Objects.Pods)
	_, err = cluster.TakeNamed("infra-production", []string{"nobody"})
	require.ErrorContains(t, err, `pods "nobody" not found in namespace "infra-production"`)
	require.Len(t, cluster.Objects.Pods, before)
}
