package oracle

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// TestMain makes the test binary the programs under which it is called. One
// binary, because each of them alone is 100 MB and a minute of linking.
//
// The four calls are those of k8s.io/kubernetes/cmd/*/*.go.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "kube-apiserver":
		go exitWithParent()
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		go exitWithParent()
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		go exitWithParent()
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubectl":
		_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) // as kubectl does: a bad -v is reported by the command
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// exitWithParent ends a server when the test that started it is gone, even if
// that was killed: then the pipe that is its standard input ends. What lifeboat
// starts in a sandbox has none, and ends with that.
func exitWithParent() {
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// linkPrograms makes a folder for PATH with the programs in it.
func linkPrograms(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link(t, self, dir, "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
	return dir
}

// link gives a program names in a folder.
func link(t *testing.T, program, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}
