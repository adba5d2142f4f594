package oracle

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// namespaces are those of harbour.
func namespaces() []string {
	return []string{
		"d8-system", "default", "etcdstoragepathtestnamespace", "infra-production", "infra-production-2",
		"kube-node-lease", "kube-public", "kube-system", "namespace1",
	}
}

// TestRecreate is the main job to its end, for every namespace of harbour:
// extract, kubectl create, and nothing is refused. The snapshot of the cluster
// that came out of it is extracted again, and gives the same bytes: nothing
// got lost, and nothing that servers and controllers add is in a manifest.
func TestRecreate(t *testing.T) {
	program, c := findLifeboat(t), startCluster(t)
	require.True(t, c.exists(t, "default"))

	restored := map[string]string{} // namespace → folder
	for _, namespace := range namespaces() {
		dir, next := program.extract(t, harbour, "-n", namespace)
		restored[namespace] = dir
		if refused := c.runAll(t, next); len(refused) > 0 {
			t.Errorf("refused of namespace %s:\n%s", namespace, strings.Join(refused, "\n"))
		}
	}

	c.settle(t)
	snapshot := c.snapshot(t)
	for _, namespace := range namespaces() {
		again, _ := program.extract(t, snapshot, "-n", namespace, "--encryption-config", c.host.path("encryption.yaml"))
		assert.Equal(t, readTree(t, restored[namespace]), readTree(t, again), "of namespace %s", namespace)
	}
}

// TestRefusalsAreSeen shows that the oracle can say no: the same way as in
// TestRecreate, manifests as they come out of etcd are refused.
func TestRefusalsAreSeen(t *testing.T) {
	c := startCluster(t)
	dir := writeManifest(t, `
apiVersion: v1
kind: ConfigMap
metadata: {name: first, namespace: default}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second, namespace: default, resourceVersion: "1485"}
---
apiVersion: v1
kind: Service
metadata: {name: third, namespace: default}
spec: {clusterIPs: [10.222.0.99], ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fourth, namespace: default}
dada: {}
---
apiVersion: fleet.example.com/v1
kind: Ship
metadata: {name: fifth, namespace: default}
`)
	refused := c.run(t, "kubectl create -R -f "+dir)
	require.Len(t, refused, 4, strings.Join(refused, "\n"))
	require.Contains(t, refused[0], "resourceVersion should not be set on objects to be created")
	require.Contains(t, refused[1], "spec.clusterIP")
	require.Contains(t, refused[2], `unknown field "dada"`)
	require.Contains(t, refused[3], `no matches for kind "Ship"`)
	require.Empty(t, c.run(t, "kubectl get configmap first"))
}

// TestServesWhatHarbourServed holds the server against the one that harbour is
// the backup of: a kind that this one does not serve could not be created.
func TestServesWhatHarbourServed(t *testing.T) {
	c := startCluster(t)
	lists, err := c.client.Discovery().ServerPreferredResources()
	require.NoError(t, err)
	_, all, err := c.client.Discovery().ServerGroupsAndResources()
	require.NoError(t, err)
	served := map[schema.GroupVersionResource]bool{}
	for _, list := range append(lists, all...) {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, resource := range list.APIResources {
			served[gv.WithResource(resource.Name)] = slices.Contains(metav1.Verbs(resource.Verbs), "create")
		}
	}

	table, err := os.Open("../harbour/storage-paths.tsv")
	require.NoError(t, err)
	defer table.Close()
	count := 0
	for scanner := bufio.NewScanner(table); scanner.Scan(); {
		column := strings.Split(scanner.Text(), "\t")
		parts := strings.Split(column[1], "/") // group/version/resource
		if column[2] != "ok" {
			continue
		}
		count++
		require.True(t, served[schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}], "%s is served", column[1])
	}
	require.Equal(t, 85, count)
}
