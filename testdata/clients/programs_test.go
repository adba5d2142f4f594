package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

// TestMain makes the test binary kubectl when it is called so. The call is
// that of k8s.io/kubernetes/cmd/kubectl.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "kubectl" {
		_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// linkPrograms makes a folder for PATH with kubectl in it.
func linkPrograms(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "kubectl")))
	return dir
}

// findLifeboat takes the binary that the environment variable LIFEBOAT names,
// or builds the one of this checkout.
func findLifeboat(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("LIFEBOAT"); binary != "" {
		absolute, err := filepath.Abs(binary)
		require.NoError(t, err)
		return absolute
	}
	binary := filepath.Join(t.TempDir(), "lifeboat")
	build := exec.Command("go", "build", "-o", binary, "./cmd/lifeboat")
	build.Dir = "../.."
	output, err := build.CombinedOutput()
	require.NoError(t, err, "building lifeboat:\n%s", output)
	return binary
}
