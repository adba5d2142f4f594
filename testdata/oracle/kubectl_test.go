package oracle

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// run runs a command line as the operator's shell does, kubectl in PATH, and
// returns what was refused: the lines that say so, or all of the output when
// the command failed without such a line.
func (c *cluster) run(t *testing.T, commandLine string) (refused []string) {
	t.Helper()
	shell := exec.Command("sh", "-c", commandLine)
	shell.Env = append(os.Environ(), "PATH="+c.path, "KUBECONFIG="+c.kubeconfig, "HOME="+t.TempDir())
	output, err := shell.CombinedOutput()
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "Error from server") || strings.HasPrefix(line, "error:") ||
			strings.HasPrefix(line, "resource mapping not found") || strings.HasPrefix(line, "The ") {
			refused = append(refused, strings.TrimSpace(line))
		}
	}
	if err != nil && refused == nil {
		refused = append(refused, commandLine+": "+err.Error()+"\n"+string(output))
	}
	return refused
}

// runAll types the commands one after the other, whatever comes of them.
func (c *cluster) runAll(t *testing.T, commands []string) (refused []string) {
	t.Helper()
	for _, command := range commands {
		refused = append(refused, c.run(t, command)...)
	}
	return refused
}

// writeManifest writes one hand-made manifest into a folder of its own.
func writeManifest(t *testing.T, manifest string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(manifest), 0o600))
	return dir
}
