package clients

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// script are the commands whose whole output stands in testdata/kubectl.txt.
func script(manifest string) [][]string {
	infra := func(args ...string) []string { return append(args, "-n", "infra-production") }
	return [][]string{
		{"api-resources"},
		{"api-versions"},
		{"get", "--raw", "/"},
		{"explain", "cronjobs.spec.schedule"},
		{"explain", "ships.spec"},
		infra("get", "all"),
		infra("get", "cm", "flip", "-o", "yaml"),
		infra("events", "--for", "deploy/supercronic"),
		infra("rollout", "history", "deploy/supercronic"),
		infra("rollout", "status", "deploy/supercronic"),
		infra("wait", "--for=condition=Available", "deploy/supercronic", "--timeout=2s"),
		infra("wait", "--for=delete", "deploy/supercronic", "--timeout=1s"),
		infra("auth", "can-i", "get", "secrets"),
		infra("auth", "can-i", "create", "pods"),
		infra("auth", "can-i", "--list"),
		infra("get", "pod", "no-such-pod"),
		infra("get", "pods", "--field-selector", "spec.nothing=x"),
		infra("get", "pods", "-l", "a in ("),
		infra("logs", "db-0"),
		{"exec", "-n", "infra-production", "db-0", "--", "ls"},
		infra("cp", "db-0:/etc/passwd", "passwd"),
		infra("port-forward", "db-0", "5432"),
		infra("attach", "db-0"),
		infra("delete", "pod", "db-0"),
		infra("apply", "-f", manifest),
		infra("edit", "cm", "flip"),
		infra("scale", "deploy/supercronic", "--replicas=0"),
		{"top", "nodes"},
		{"cluster-info"},
	}
}

// TestKubectlScript: what kubectl prints of commands that people type, whole, and
// of the first object of each kind described. Read the file: it is what they see.
func TestKubectlScript(t *testing.T) {
	t.Parallel()
	b := newBench(t, newKubectl, "kubectl")
	b.env = append(b.env, "KUBE_EDITOR=sed -i s/v:/other:/")
	manifest := filepath.Join(t.TempDir(), "cm.yaml")
	require.NoError(t, os.WriteFile(manifest, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flip}\ndata: {v: x}\n"), 0o600))
	commands := script(manifest)
	for _, kind := range strings.Fields(b.quiet(t, "api-resources", "--verbs=list", "-o", "name")) {
		r := b.kubectl(t, "get", kind, "-A", "-o", `jsonpath={.items[0].metadata.namespace} {.items[0].metadata.name}`)
		switch words := strings.Fields(r.stdout); len(words) {
		case 1:
			commands = append(commands, []string{"describe", kind, words[0]})
		case 2:
			commands = append(commands, []string{"describe", kind, words[1], "-n", words[0]})
		}
	}
	var got strings.Builder
	for _, args := range commands {
		r := b.kubectl(t, args...)
		fmt.Fprintf(&got, "$ kubectl %s\n%s%s[%d]\n\n", strings.Join(args, " "), r.stdout, r.stderr, r.code)
	}
	requireGolden(t, "kubectl.txt", settled(got.String(), manifest))
}

// requireGolden holds a text against a file in testdata, which -update rewrites.
func requireGolden(t *testing.T, name, text string) {
	t.Helper()
	golden := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

var (
	address = regexp.MustCompile(`127\.0\.0\.1:\d+(/[0-9a-f]{16})?`)
	counted = regexp.MustCompile(`\b(\d+[ydhms])+( ago)?( \(x\d+ over (\d+[ydhms])+\))?`) // from today's clock
	edited  = regexp.MustCompile(`\S*/kubectl-edit-\d+\.yaml`)
	blanks  = regexp.MustCompile(` +`)
	stamped = regexp.MustCompile(`\b[EIW]\d{4} [0-9:.]+ +\d+ `) // klog
)

// settled takes out of a text what hangs on this run: addresses, names of files,
// ages that the client counts to today.
func settled(text, manifest string) string {
	text = strings.ReplaceAll(text, manifest, "cm.yaml")
	text = address.ReplaceAllString(text, "ADDRESS")
	text = edited.ReplaceAllString(text, "EDITED")
	text = stamped.ReplaceAllString(text, "KLOG ")
	var out strings.Builder
	fromToday := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "$ ") {
			fromToday = strings.HasPrefix(line, "$ kubectl describe") || strings.HasPrefix(line, "$ kubectl events")
		} else if fromToday {
			line = blanks.ReplaceAllString(counted.ReplaceAllString(line, "AGE"), " ")
		}
		out.WriteString(line)
	}
	return out.String()
}
