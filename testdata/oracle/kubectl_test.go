package oracle

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outcome is what kubectl said to some commands.
type outcome struct {
	done     int      // objects created, or merged by apply
	refused  []string // lines
	warnings []string // lines; the server did what it was asked to
}

// run types command lines into a shell as the operator does, kubectl in PATH,
// one after the other, whatever comes of them.
//
// Any line that does not say that something was done counts as a refusal: so
// no kind of refusal is overlooked for the words that it uses.
func (c *cluster) run(t *testing.T, commands ...string) outcome {
	t.Helper()
	var out outcome
	for _, command := range commands {
		shell := exec.Command("sh", "-c", command)
		shell.Env = append(os.Environ(), "PATH="+c.path, "KUBECONFIG="+c.kubeconfig, "HOME="+t.TempDir())
		output, err := shell.CombinedOutput()
		refused := len(out.refused)
		for line := range strings.Lines(string(output)) {
			switch line = strings.TrimSpace(line); {
			case strings.HasSuffix(line, " created"), strings.HasSuffix(line, " configured"):
				out.done++
			case strings.HasSuffix(line, " condition met"), strings.HasSuffix(line, " patched"):
			case strings.HasPrefix(line, "Warning: "):
				out.warnings = append(out.warnings, line)
			default:
				out.refused = append(out.refused, line)
			}
		}
		if err != nil && len(out.refused) == refused {
			out.refused = append(out.refused, command+": "+err.Error())
		}
	}
	return out
}

// recreate runs the commands that extract printed. Each file below dir is an
// object that has to be created, and nothing may be refused.
func (c *cluster) recreate(t *testing.T, dir string, commands []string) {
	t.Helper()
	out := c.run(t, commands...)
	for _, line := range out.refused {
		t.Errorf("refused: %s", line)
	}
	for _, line := range out.warnings {
		t.Log(line)
	}
	require.Equal(t, len(readTree(t, dir)), out.done, "objects created of those extracted")
}

// writeManifests writes hand-made manifests into a folder of their own.
func writeManifests(t *testing.T, manifests string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifests.yaml"), []byte(manifests), 0o600))
	return dir
}
