package oracle

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// olderKube is the version of Kubernetes in programs/kube-1.34/go.mod.
const olderKube = "v1.34.4"

// linkOlderPrograms makes a folder for PATH with the programs of Kubernetes 1.34
// in it, and this module's kubectl. They are one binary, which the environment
// variable LIFEBOAT_KUBE_1_34 names, or which is built: for minutes, and for half
// an hour where nothing of it is in the build cache and the machine is busy.
func linkOlderPrograms(t *testing.T) string {
	t.Helper()
	program := os.Getenv("LIFEBOAT_KUBE_1_34")
	if program == "" {
		program = buildOlder(t)
	}
	program, err := filepath.Abs(program)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	link(t, program, dir, "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	link(t, self, dir, "kubectl")
	return dir
}

func buildOlder(t *testing.T) string {
	t.Helper()
	t.Logf("building Kubernetes %s, which takes a quarter of an hour from cold (LIFEBOAT_KUBE_1_34 names a binary that is there already)", olderKube)
	begun := time.Now()
	binary := filepath.Join(t.TempDir(), "kube")
	const version = "k8s.io/component-base/version."
	build := exec.Command("go", "build", "-ldflags", fmt.Sprintf("-X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=1 -X %[1]sgitMinor=34", version, olderKube), "-o", binary, ".")
	build.Dir = "programs/kube-1.34"
	output, err := build.CombinedOutput()
	require.NoError(t, err, "building Kubernetes %s:\n%s", olderKube, output)
	t.Logf("built after %s", time.Since(begun).Round(time.Second))
	return binary
}

// TestProveOlder: a backup that Kubernetes 1.34 has written, proven with 1.34,
// whose types are not those that lifeboat links; and one of 1.37, proven with a
// server that is older than what it has.
func TestProveOlder(t *testing.T) {
	program, bin := findLifeboat(t), linkOlderPrograms(t)
	c := &cluster{host: unpackHost(t), plain: true}
	c.startAll(t, bin)
	out := c.run(t,
		"kubectl apply -f testdata/shipyard.yaml",
		"kubectl wait --for=condition=Established --timeout=60s crd/cranes.yard.example.com",
		"kubectl apply -f testdata/cranes.yaml",
	)
	require.Empty(t, out.refused)
	c.settle(t)
	dir := unpacked(t)
	require.NoError(t, os.Rename(c.snapshot(t), filepath.Join(dir, "etcd-backup.snapshot")))
	older(t, dir)
	source := packed(t, dir)

	r, code := program.proveWith(t, bin, source)
	require.Equal(t, 0, code, r.Reason)
	require.Equal(t, "proven", r.Verdict)
	require.Empty(t, r.Differing)
	require.Empty(t, r.NotServed)
	require.NotContains(t, strings.Join(r.Weaker, "\n"), "kube-apiserver is")
	same, compared := 0, 0
	for _, n := range r.Resources {
		same += n.Same
		compared += n.Compared
	}
	require.Greater(t, same, 200)
	require.Equal(t, same, compared)
	for _, w := range r.OwnWrites {
		require.NotContains(t, w.Why, "not known", w.Object)
	}

	r, code = program.proveWith(t, bin, program.changed(t, source, tearConfigMap(t)))
	require.Equal(t, 3, code, r.Reason)
	require.Contains(t, strings.Join(r.Unreadable, "\n"), "configmaps infra-production/torn")
	r, code = program.proveWith(t, bin, program.changed(t, source, lockKind(t, "limitranges")), "--timeout", "30s")
	require.Equal(t, 5, code, r.Reason)
	require.Contains(t, r.Reason, "values are encrypted with a key that")

	host{dir: filepath.Join(dir, "kubernetes")}.reissue(t, "pki/apiserver", time.Now().Add(-time.Hour))
	expired := packed(t, dir)
	r, code = program.proveWith(t, bin, expired)
	require.Equal(t, 5, code, r.Reason)
	require.Contains(t, r.Reason, "expired")
	r, code = program.proveWith(t, bin, expired, "--reissue-expired")
	require.Equal(t, 0, code, r.Reason)

	r, code = program.proveWith(t, bin, source, "--controllers", "--controllers-for", "30s",
		"--kube-controller-manager", filepath.Join(bin, "kube-controller-manager"), "--kube-scheduler", filepath.Join(bin, "kube-scheduler"))
	require.Equal(t, 0, code, r.Reason)
	require.Empty(t, r.Controllers.Unexplained)

	// The wrong binary.
	r, code = program.proveWith(t, bin, harbour)
	require.Equal(t, 3, code, r.Reason)
	require.Contains(t, r.Reason, "this kube-apiserver, which is of another version than the manifest's image, does not serve their API: clustertrustbundles")
	require.Empty(t, r.Differing)
	require.Empty(t, r.Missing)
	require.Contains(t, strings.Join(r.Weaker, "\n"), `kube-apiserver is "Kubernetes `+olderKube+`", and the manifest's image is "registry.k8s.io/kube-apiserver:v1.37.1"`)
}

// older has the manifests of a host name the images of 1.34.
func older(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		path := filepath.Join(dir, "kubernetes", "manifests", name+".yaml")
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(data), ":v1.37.1\n")
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(data), ":v1.37.1\n", ":"+olderKube+"\n")), 0o600))
	}
}
