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

// releases is the database of a cluster in which both versions of Helm had
// installed, upgraded and rolled back; testdata/make-releases.sh made it.
const releases = "testdata/releases.db.gz"

// installed is the revision at which storm was there for the first time.
const installed = "0"

// TestHelmScript: what Helm prints of the releases in a backup, whole; and what
// it is told when it wants to change one.
func TestHelmScript(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]program{"helm3": helm3, "helm4": helm4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, client, "helm")
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
			requireGolden(t, name+".txt", strings.ReplaceAll(settled(got.String(), ""), b.source, "BACKUP"))
		})
	}
}

// TestHelmSeesThePast: at an older revision, the release is as it was.
func TestHelmSeesThePast(t *testing.T) {
	t.Parallel()
	b := newBench(t, helm4, "helm")
	b.source = unzipped(t, releases)
	for revision, want := range map[string]int{"now": 3, installed: 1} {
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
