package clients

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// releases is the database of a cluster in which Helm had
// installed, upgraded and rolled back; testdata/make-releases.sh made it.
const releases = "testdata/releases.db.gz"

// installed is the revision at which storm was there for the first time.
const installed = "80"

// TestHelmScript: what Helm 3 prints of the releases in a backup, whole; and what
// it is told when it wants to change one.
func TestHelmScript(t *testing.T) {
	t.Parallel()
	b := newBench(t, helm3, "helm")
	b.source = unzipped(t, releases)
	var got strings.Builder
	for _, line := range []string{
		"list -A", "list -A --all -o json", "list -n sea", "list -A --filter storm -q", "list -A --superseded",
		"history storm -n sea", "history calm -n lake", "get values storm -n sea", "get values storm -n sea --revision 1 -o yaml", "get values calm -n lake --all",
		"get manifest storm -n sea", "get notes storm -n sea", "get metadata storm -n sea", "status storm -n sea", "get all calm -n lake",
		"history nobody -n sea", "rollback storm 1 -n sea", "uninstall calm -n lake", "upgrade storm testdata/weather -n sea",
	} {
		r := b.serve(t, append([]string{"helm"}, strings.Fields(line)...)...)
		fmt.Fprintf(&got, "$ helm %s\n%s%s[%d]\n\n", line, r.stdout, r.stderr, r.code)
	}
	requireGolden(t, "helm3.txt", settled(strings.ReplaceAll(got.String(), b.source, "BACKUP"), "cm.yaml"))
}

// TestHelm4ReadsReleases: the next version of Helm finds the same.
func TestHelm4ReadsReleases(t *testing.T) {
	t.Parallel()
	b := newBench(t, helm4, "helm")
	b.source = unzipped(t, releases)
	for line, want := range map[string]string{
		"list -A -q": `(?s)calm.*storm`, "history storm -n sea": `(?s)superseded.*superseded.*deployed`, "get values storm -n sea -o yaml": `(?m)^wind: north$`,
		"get manifest calm -n lake": `wind: "breeze"`, "status storm -n sea": `The wind is north\.`,
	} {
		r := b.serve(t, append([]string{"helm"}, strings.Fields(line)...)...)
		require.Equal(t, 0, r.code, "%s: %s", line, r.stderr)
		require.Regexp(t, want, r.stdout, line)
	}
	r := b.serve(t, "helm", "rollback", "storm", "1", "-n", "sea")
	require.NotEqual(t, 0, r.code)
	require.Contains(t, r.stderr, "this is a backup; nothing can be changed in it")
}

// TestHelmSeesThePast: at an older revision, the release is as it was.
func TestHelmSeesThePast(t *testing.T) {
	t.Parallel()
	b := newBench(t, helm3, "helm")
	b.source = unzipped(t, releases)
	for revision, want := range map[string]int{"now": 3, "rev-" + installed: 1} {
		r := b.run(t, "serve", b.source, "--rev", installed, "--", "helm", "--kube-context", revision, "history", "storm", "-n", "sea", "-o", "json")
		require.Equal(t, 0, r.code, r.stderr)
		require.Equal(t, want, strings.Count(r.stdout, `"revision"`), r.stdout)
	}
}

func unzipped(t *testing.T, name string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(name), ".gz"))
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	reader, err := gzip.NewReader(file)
	require.NoError(t, err)
	data, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o600))
	return to
}
