package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

// workshop is where programs are built to; TestMain removes it.
var workshop = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "lifeboat-clients-") })

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
	code := m.Run()
	if dir, err := workshop(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// program is one that the tests run: given by an environment variable, or built
// once, in the module whose go.mod pins its version.
type program func() (string, error)

var (
	lifeboat   = built("LIFEBOAT", "../..", "./cmd/lifeboat")
	newKubectl = program(os.Executable) // TestMain
	oldKubectl = built("KUBECTL_1_28", "programs/kubectl-1.28", ".")
	ownKubectl = given("LIFEBOAT_KUBECTL", buildOwnKubectl)
	helm3      = built("HELM_3", "programs/helm", "helm.sh/helm/v3/cmd/helm")
	helm4      = built("HELM_4", "programs/helm", "helm.sh/helm/v4/cmd/helm")
	k9s        = given("K9S", buildK9s)
)

// given takes the program that an environment variable names, or builds it.
func given(variable string, build func(binary string) error) program {
	return sync.OnceValues(func() (string, error) {
		if path := os.Getenv(variable); path != "" {
			return filepath.Abs(path)
		}
		dir, err := workshop()
		if err != nil {
			return "", err
		}
		binary := filepath.Join(dir, variable)
		return binary, build(binary)
	})
}

func built(variable, module, pkg string) program {
	return given(variable, func(binary string) error { return goBuild(module, binary, pkg) })
}

func goBuild(module, binary, pkg string) error {
	build := exec.Command("go", "build", "-o", binary, pkg)
	build.Dir = module
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, output)
	}
	return nil
}

// buildOwnKubectl builds lifeboat-kubectl as a release does.
func buildOwnKubectl(binary string) error {
	if output, err := exec.Command("make", "-C", "../..", "build-kubectl-to", "TO="+binary).CombinedOutput(); err != nil {
		return fmt.Errorf("building lifeboat-kubectl: %w\n%s", err, output)
	}
	return nil
}

// buildK9s builds a copy of k9s without its scanner of images, which is half of
// what it links, and with client-go of the version that is compiled anyway.
func buildK9s(binary string) error {
	download := exec.Command("go", "mod", "download", "-json", "github.com/derailed/k9s@v0.50.16")
	download.Dir = "programs/k9s"
	output, err := download.Output()
	if err != nil {
		return fmt.Errorf("downloading k9s: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(output, &module); err != nil {
		return fmt.Errorf("downloading k9s: %w", err)
	}
	source := binary + ".source"
	if err := os.CopyFS(source, os.DirFS(module.Dir)); err != nil {
		return fmt.Errorf("copying k9s: %w", err)
	}
	for from, to := range map[string]string{"go.mod": "go.mod", "go.sum": "go.sum", "vul/scan.go": "internal/vul/scan.go", "vul/scanner.go": "internal/vul/scanner.go"} {
		data, err := os.ReadFile(filepath.Join("programs/k9s", from))
		if err != nil {
			return err
		}
		to = filepath.Join(source, to)
		if err := errors.Join(os.Remove(to), os.WriteFile(to, data, 0o600)); err != nil {
			return err
		}
	}
	return goBuild(source, binary, ".")
}

func (p program) path(t *testing.T) string {
	t.Helper()
	path, err := p()
	require.NoError(t, err)
	return path
}

// as makes a folder for PATH in which the program has a name.
func (p program) as(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(p.path(t), filepath.Join(dir, name)))
	return dir
}
