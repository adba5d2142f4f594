package oracle

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestServesWhatHarbourServed holds the server against the one that harbour is
// the backup of: what this one does not serve, it cannot be asked to create.
func TestServesWhatHarbourServed(t *testing.T) {
	c := startCluster(t)
	_, lists, err := c.client.Discovery().ServerGroupsAndResources()
	require.NoError(t, err)
	created := map[schema.GroupVersionResource]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, resource := range list.APIResources {
			created[version.WithResource(resource.Name)] = slices.Contains(resource.Verbs, "create")
		}
	}

	table, err := os.Open("../harbour/storage-paths.tsv") // path, group/version/resource, outcome
	require.NoError(t, err)
	defer table.Close()
	count := 0
	for scanner := bufio.NewScanner(table); scanner.Scan(); {
		column := strings.Split(scanner.Text(), "\t")
		if column[2] != "ok" {
			continue
		}
		count++
		name := strings.Split(column[1], "/")
		require.True(t, created[schema.GroupVersionResource{Group: name[0], Version: name[1], Resource: name[2]}], "%s is served", column[1])
	}
	require.Equal(t, 85, count)
}
