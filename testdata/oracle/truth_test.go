package oracle

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
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
// raises, shows here and in TestBrokenBuild.
func TestExtractIsTheTruth(t *testing.T) {
	findings, left := findLifeboat(t).untrue(t)
	require.Empty(t, findings)
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

// untrue extracts all of harbour and says what of it is not so; left counts what
// rules have left out, by kind and rule.
func (l lifeboat) untrue(t *testing.T) (findings []string, left map[string]int) {
	t.Helper()
	tmp := t.TempDir()
	dir, reportFile := filepath.Join(tmp, "restored"), filepath.Join(tmp, "report.json")
	output, err := exec.Command(l.binary, "extract", harbour, "-A", "--to", dir, "--report", reportFile).CombinedOutput()
	require.NoError(t, err, "%s", output)
	data, err := os.ReadFile(reportFile)
	require.NoError(t, err)
	var report extractReport
	require.NoError(t, json.Unmarshal(data, &report))

	truth := readTruth(t)
	for _, o := range report.Objects {
		id := o.Kind + " " + o.Namespace + "/" + o.Name
		want := truth[id]
		if want == nil {
			findings = append(findings, id+" is not of this backup")
			continue
		}
		delete(truth, id)
		text, err := os.ReadFile(filepath.Join(dir, o.File))
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, yaml.Unmarshal(text, &got))
		// Versions differ where a newer one is preferred; the objects do not.
		want["apiVersion"] = got["apiVersion"]
		e := explainer{id: id, explained: serverAdds()}
		for _, change := range o.Changes {
			e.explained[change.Path] = true
		}
		e.compare("", want, got)
		e.compare("", got, want)
		findings = append(findings, e.findings...)
	}
	left = map[string]int{}
	for _, o := range report.LeftOut {
		id := o.Kind + " " + o.Namespace + "/" + o.Name
		if !o.ByRule {
			findings = append(findings, id+" is missing")
		}
		delete(truth, id)
		left[o.Kind+" "+o.Rule]++
	}
	for id := range truth {
		findings = append(findings, id+" is neither written nor left out")
	}
	return findings, left
}

// serverAdds are the fields that are not stored: the API server adds them to what
// it answers.
func serverAdds() map[string]bool {
	return map[string]bool{
		"metadata.resourceVersion": true, "spec.volumeClaimTemplates[0].apiVersion": true, "spec.volumeClaimTemplates[0].kind": true,
	}
}

// explainer finds what differs between two forms of an object without a change
// that says so.
type explainer struct {
	id        string
	explained map[string]bool // paths
	findings  []string
}

// compare holds that what one has and the other has not, or otherwise, is
// explained by a change at that place or above it. Lists that lost items are
// explained as a whole.
func (e *explainer) compare(path string, one, other any) {
	if e.explained[path] {
		return
	}
	switch v := one.(type) {
	case map[string]any:
		o, _ := other.(map[string]any)
		for key, child := range v {
			e.compare(below(path, key), child, o[key])
		}
		return
	case []any:
		o, _ := other.([]any)
		lost := false
		for i := range v {
			lost = lost || e.explained[path+"["+strconv.Itoa(i)+"]"]
		}
		if lost || len(o) > len(v) && e.explained[path+"["+strconv.Itoa(len(v))+"]"] {
			return
		}
		for i, child := range v {
			if i < len(o) {
				e.compare(path+"["+strconv.Itoa(i)+"]", child, o[i])
				continue
			}
			e.compare(path+"["+strconv.Itoa(i)+"]", child, nil)
		}
		return
	}
	if !assert.ObjectsAreEqual(one, other) {
		e.findings = append(e.findings, fmt.Sprintf("%s: %s is %v, and %v", e.id, path, one, other))
	}
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
