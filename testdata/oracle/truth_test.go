package oracle

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// extractReport is what the test needs of `extract --report`.
type extractReport struct {
	Objects []struct {
		Kind, Namespace, Name, File string
		Changes                     []struct{ Path, Action, Rule string }
	}
	LeftOut []struct {
		Kind, Namespace, Name, Rule string
		ByRule                      bool
	}
}

// TestExtractIsTheTruth holds the files against what harbour's API server had
// said of each object (truth.json.gz), not against another extraction: each
// object is written or left out by a rule, and each field that differs stands
// in the report. A ConfigMap that every extraction loses, or a limit that it
// raises, shows here and nowhere else.
func TestExtractIsTheTruth(t *testing.T) {
	program, tmp := findLifeboat(t), t.TempDir()
	dir, reportFile := filepath.Join(tmp, "restored"), filepath.Join(tmp, "report.json")
	output, err := exec.Command(program.binary, "extract", harbour, "-A", "--to", dir, "--report", reportFile).CombinedOutput()
	require.NoError(t, err, "%s", output)
	data, err := os.ReadFile(reportFile)
	require.NoError(t, err)
	var report extractReport
	require.NoError(t, json.Unmarshal(data, &report))

	truth := readTruth(t)
	for _, o := range report.Objects {
		id := o.Kind + " " + o.Namespace + "/" + o.Name
		want := truth[id]
		require.NotNil(t, want, "%s is not of this backup", id)
		delete(truth, id)
		text, err := os.ReadFile(filepath.Join(dir, o.File))
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, yaml.Unmarshal(text, &got))
		// Versions differ where a newer one is preferred; the objects do not.
		want["apiVersion"] = got["apiVersion"]
		explained := map[string]bool{}
		for _, change := range o.Changes {
			explained[change.Path] = true
		}
		requireExplained(t, id, "", want, got, explained)
		requireExplained(t, id, "", got, want, explained)
	}
	left := map[string]int{} // by kind and rule
	for _, o := range report.LeftOut {
		require.True(t, o.ByRule, "%s %s/%s is missing", o.Kind, o.Namespace, o.Name)
		delete(truth, o.Kind+" "+o.Namespace+"/"+o.Name)
		left[o.Kind+" "+o.Rule]++
	}
	require.Empty(t, truth, "neither written nor left out")
	require.Equal(t, 9, left["ConfigMap config-map-ca"], "one for each namespace")
	for what := range left {
		switch kind, rule, _ := strings.Cut(what, " "); kind {
		case "ConfigMap":
			require.Contains(t, []string{"config-map-ca", "config-map-apiserver", "config-map-leader"}, rule)
		case "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Service", "Secret", "PersistentVolumeClaim", "PersistentVolume":
			require.Contains(t, []string{"service-kubernetes", "secret-generated-token", "secret-bootstrap-token"}, rule, what)
		}
	}
}

// requireExplained holds that what one has and the other has not, or otherwise,
// is explained by a change at that place or above it. Lists that lost items are
// explained as a whole.
func requireExplained(t *testing.T, id, path string, one, other any, explained map[string]bool) {
	t.Helper()
	if explained[path] {
		return
	}
	switch v := one.(type) {
	case map[string]any:
		o, _ := other.(map[string]any)
		for key, child := range v {
			requireExplained(t, id, below(path, key), child, o[key], explained)
		}
		return
	case []any:
		o, _ := other.([]any)
		lost := false
		for i := range v {
			lost = lost || explained[path+"["+strconv.Itoa(i)+"]"]
		}
		if lost || len(o) > len(v) && explained[path+"["+strconv.Itoa(len(v))+"]"] {
			return
		}
		for i, child := range v {
			if i < len(o) {
				requireExplained(t, id, path+"["+strconv.Itoa(i)+"]", child, o[i], explained)
				continue
			}
			requireExplained(t, id, path+"["+strconv.Itoa(i)+"]", child, nil, explained)
		}
		return
	}
	if one == nil && other == nil {
		return
	}
	require.Equal(t, one, other, "%s: %s", id, path)
}

// below is a path as the report writes it.
func below(path, key string) string {
	plain := strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" && key != ""
	switch {
	case !plain:
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// readTruth is what the API server said, by kind, namespace and name.
func readTruth(t *testing.T) map[string]map[string]any {
	t.Helper()
	packed, err := os.Open("../harbour/truth.json.gz")
	require.NoError(t, err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	require.NoError(t, err)
	var list struct{ Items []map[string]any }
	require.NoError(t, json.NewDecoder(unzipped).Decode(&list))
	truth := map[string]map[string]any{}
	for _, o := range list.Items {
		// Events' second face, and what is never stored.
		if o["apiVersion"] == "events.k8s.io/v1" || o["kind"] == "ComponentStatus" {
			continue
		}
		metadata, _ := o["metadata"].(map[string]any)
		namespace, _ := metadata["namespace"].(string)
		truth[o["kind"].(string)+" "+namespace+"/"+metadata["name"].(string)] = o
	}
	return truth
}
