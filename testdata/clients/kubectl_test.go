package clients

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const backup = "../harbour/kube-backup.tar.gz"

// bench is a program on a backup, by way of lifeboat.
type bench struct {
	lifeboat string
	source   string
	home     string
	env      []string
	old      bool // of Kubernetes 1.28
}

// newBench has a client in PATH under a name, and a home of its own.
func newBench(t *testing.T, client program, name string) *bench {
	t.Helper()
	home := t.TempDir()
	return &bench{
		lifeboat: lifeboat.path(t), source: backup, home: home,
		env: append(os.Environ(), "PATH="+client.as(t, name)+string(os.PathListSeparator)+os.Getenv("PATH"),
			"HOME="+home, "TMPDIR="+t.TempDir(), "XDG_RUNTIME_DIR=", "TZ=UTC", "KUBECTL_ENABLE_CMD_SHADOW=false"),
	}
}

// eachKubectl runs a test with the newest kubectl and with an old one.
func eachKubectl(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	for name, client := range map[string]program{"newest": newKubectl, "1.28": oldKubectl} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, client, "kubectl")
			b.old = name == "1.28"
			test(t, b)
		})
	}
}

// result is what a command line came to.
type result struct {
	code           int
	stdout, stderr string
}

// kubectl runs `lifeboat kubectl SRC args`.
func (b *bench) kubectl(t *testing.T, args ...string) result {
	t.Helper()
	return b.run(t, append([]string{"kubectl", b.source}, args...)...)
}

// serve runs `lifeboat serve SRC -- args`.
func (b *bench) serve(t *testing.T, args ...string) result {
	t.Helper()
	return b.run(t, append([]string{"serve", b.source, "--"}, args...)...)
}

func (b *bench) run(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.lifeboat, args...)
	cmd.Env = b.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	var lines []string
	for line := range strings.Lines(stderr.String()) {
		if !strings.HasPrefix(line, "lifeboat: note: ") {
			lines = append(lines, line)
		}
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), strings.Join(lines, "")}
}

// quiet is the standard output of a command that must say nothing else.
func (b *bench) quiet(t *testing.T, args ...string) string {
	t.Helper()
	r := b.kubectl(t, args...)
	require.Equal(t, 0, r.code, "%q: %s", args, r.stderr)
	require.Empty(t, r.stderr, "%q", args)
	return r.stdout
}

// All kinds, all objects, in three forms, each described: no error and no
// warning but the one that describe counts ages from today.
func TestKubectlReadsEverything(t *testing.T) {
	t.Parallel()
	eachKubectl(t, kubectlReadsEverything)
}

func kubectlReadsEverything(t *testing.T, b *bench) {
	kinds := strings.Fields(b.quiet(t, "api-resources", "--verbs=list", "-o", "name"))
	require.Greater(t, len(kinds), 65)
	all := strings.Join(kinds, ",")
	for _, form := range [][]string{{"-o", "wide"}, {"-o", "yaml"}, {"-o", "json"}, {"-o", "name"}} {
		r := b.kubectl(t, append([]string{"get", all, "-A", "--ignore-not-found"}, form...)...)
		require.Equal(t, 0, r.code, "%q: %s", form, r.stderr)
		for line := range strings.Lines(r.stderr) {
			require.Regexp(t, `^Warning: \S+ \S+ is deprecated in v1\.`, line) // as an API server says it
		}
		require.Contains(t, r.stdout, "supercronic")
	}
	for _, kind := range kinds {
		if b.old && kind == "ipaddresses.networking.k8s.io" {
			continue // 1.28 describes them in v1alpha1, which no API server of 1.37 serves
		}
		r := b.kubectl(t, "describe", kind, "-A")
		require.Equal(t, 0, r.code, "%s: %s", kind, r.stderr)
		for line := range strings.Lines(r.stderr) {
			require.Regexp(t, `^(Warning: kubectl describe counts ages from today's clock|Warning: \S+ \S+ is deprecated in v1\.|No resources found)`, line, kind)
		}
	}
}

func TestKubectlFindsItsWay(t *testing.T) {
	t.Parallel()
	eachKubectl(t, kubectlFindsItsWay)
}

func kubectlFindsItsWay(t *testing.T, b *bench) {
	require.Contains(t, b.quiet(t, "api-versions"), "apps/v1\n")
	require.Contains(t, b.quiet(t, "get", "--raw", "/"), `"/apis/apps/v1"`)
	require.Contains(t, b.quiet(t, "explain", "pods.spec.containers"), "FIELDS:")
	require.Contains(t, b.quiet(t, "explain", "moduleconfigs"), "ModuleConfig")
	if b.old {
		require.Contains(t, b.kubectl(t, "get", "--raw", "/api/v1/nodes").stderr, "which kubectl 1.28 leaves out of get --raw")
		require.Contains(t, b.quiet(t, "explain", "moduleconfigs", "--output=plaintext-openapiv2"), "metadata\t<")
	}
	require.Equal(t, "yes\n", b.quiet(t, "auth", "can-i", "list", "pods"))
	require.Regexp(t, "^no - this is a backup", b.kubectl(t, "auth", "can-i", "delete", "pods").stdout)
	require.Contains(t, b.quiet(t, "auth", "whoami"), "lifeboat")
	require.Contains(t, b.quiet(t, "rollout", "history", "deploy/supercronic", "-n", "infra-production", "--v=0"), "REVISION")
	require.Contains(t, b.quiet(t, "get", "--raw", "/version"), "v1.37.1+lifeboat")
	require.NotEmpty(t, b.kubectl(t, "events", "-n", "infra-production", "--for", "deploy/supercronic").stdout)
	pods := strings.Fields(b.quiet(t, "get", "pods", "-n", "infra-production", "-l", "app=supercronic", "-o", "name"))
	require.Len(t, pods, 4)
	paged := b.quiet(t, "get", "events", "-A", "--chunk-size=7", "--no-headers")
	require.Equal(t, 169, strings.Count(paged, "\n"))
	sorted := b.quiet(t, "get", "pods", "-A", "--sort-by=.metadata.creationTimestamp", "--field-selector=status.phase=Running", "--no-headers")
	require.NotEmpty(t, sorted)
}

// kubectl waits and follows rollouts of the dead; it has to say so.
func TestKubectlSaysThatNothingIsAlive(t *testing.T) {
	t.Parallel()
	eachKubectl(t, kubectlSaysThatNothingIsAlive)
}

func kubectlSaysThatNothingIsAlive(t *testing.T, b *bench) {
	for _, args := range [][]string{
		{"wait", "--for=condition=Ready", "pod/db-0", "-n", "infra-production", "--timeout=2s"},
		{"rollout", "status", "deploy/supercronic", "-n", "infra-production", "--timeout=5s"},
	} {
		r := b.kubectl(t, args...)
		require.Contains(t, r.stderr, "no object in it is alive", "%q", args)
	}
}

// What would change something prints the whole refusal, with the command that
// brings the object back.
func TestKubectlIsRefusedWhole(t *testing.T) {
	t.Parallel()
	eachKubectl(t, kubectlIsRefusedWhole)
}

func kubectlIsRefusedWhole(t *testing.T, b *bench) {
	manifest := filepath.Join(t.TempDir(), "cm.yaml")
	require.NoError(t, os.WriteFile(manifest, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flip, namespace: infra-production}\ndata: {v: x}\n"), 0o600))
	back := regexp.MustCompile(`nothing can be (changed|scaled) in it.*To bring the object back: lifeboat extract \S*kube-backup.tar.gz .*--to DIR`)
	for _, args := range [][]string{
		{"delete", "pod", "db-0", "-n", "infra-production"},
		{"apply", "-f", manifest},
		{"apply", "-f", manifest, "--server-side", "--dry-run=server"},
		{"create", "ns", "new"},
		{"label", "node", "node-1", "a=b"},
		{"scale", "deploy/supercronic", "--replicas=1", "-n", "infra-production"},
		{"cordon", "node-1"},
		{"drain", "node-1", "--ignore-daemonsets", "--force", "--delete-emptydir-data"},
		{"rollout", "restart", "deploy/supercronic", "-n", "infra-production"},
	} {
		r := b.kubectl(t, args...)
		require.True(t, r.code != 0 || args[0] == "cordon", "%q", args) // kubectl cordon prints its errors and exits with 0
		require.Regexp(t, back, r.stderr+r.stdout, "%q", args)
	}
	require.Contains(t, b.kubectl(t, "logs", "db-0", "-n", "infra-production").stderr, "it holds no logs")
	for _, args := range [][]string{{"exec", "db-0", "-n", "infra-production", "--", "true"}, {"port-forward", "db-0", "1234", "-n", "infra-production"}} {
		r := b.kubectl(t, args...)
		require.NotEqual(t, 0, r.code, "%q", args)
		require.Contains(t, r.stderr, "nothing runs in it", "%q", args)
	}
}

func TestTwoMomentsBesideEachOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, newKubectl, "kubectl")
	script := `kubectl --context rev-1211 get cm flip -n infra-production -o jsonpath='{.data.w}'
kubectl --context now get cm flip -n infra-production -o jsonpath='{.data.w}'
kubectl --context rev-1212 get cm flip -n infra-production`
	r := b.run(t, "serve", backup, "--rev", "1211", "--rev", "1212", "--", "sh", "-c", script)
	require.Equal(t, "13", r.stdout)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, `configmaps "flip" not found`)
}

// What `lifeboat get` takes over from kubectl it prints as kubectl does, byte for
// byte. Where two objects compare alike, kubectl's order is none.
func TestFormsAreKubectls(t *testing.T) {
	t.Parallel()
	b := newBench(t, newKubectl, "kubectl")
	for _, line := range [][]string{
		{"pods", "-A", "-o", "jsonpath={.items[*].metadata.name}"},
		{"pods", "-n", "infra-production", "-o", `jsonpath={range .items[*]}{.metadata.name}{"\t"}{.status.phase}{"\n"}{end}`},
		{"cm", "flip", "-n", "infra-production", "-o", "jsonpath={.data}"},
		{"cm", "flip", "-n", "infra-production", "-o", "jsonpath-as-json={.data}"},
		{"svc", "-n", "infra-production", "-o", "custom-columns=NAME:.metadata.name,PORTS:.spec.ports[*].port,IP:.spec.clusterIP,NO:.no"},
		{"deploy,sts", "-n", "infra-production", "-o", "custom-columns=KIND:.kind,NAME:metadata.name"},
		{"pods", "-A", "-o", `go-template={{range .items}}{{.metadata.name}} {{.spec.nodeName}}{{"\n"}}{{end}}`},
		{"pods", "-n", "infra-production", "--sort-by=.metadata.name"},
		{"pv", "--sort-by=.metadata.name"},
		{"nodes", "--show-labels"},
		{"nodes", "-o", "wide"},
		{"pods", "-n", "infra-production", "-L", "app,tier", "--show-labels"},
		{"events", "-n", "infra-production", "--sort-by=.lastTimestamp", "-o", "custom-columns=T:.lastTimestamp"},
		{"pods", "-A", "--field-selector=status.phase=Running,spec.nodeName!=node-1", "-o", "name"},
		{"secrets", "-n", "infra-production", "--field-selector=type=Opaque", "-o", "name"},
		{"ships", "-n", "infra-production", "-o", "custom-columns=N:.spec.tonnage"},
		{"jobs", "-n", "infra-production-2", "-o", "custom-columns=N:.metadata.name"},
		{"jobs", "-n", "infra-production-2", "-o", "jsonpath={.items}"},
		{"cm", "flip", "-n", "infra-production", "-o", "custom-columns=N:.metadata.name", "--no-headers"},
		{"all", "-n", "infra-production", "-o", "name"},
	} {
		theirs := b.quiet(t, append([]string{"get"}, line...)...)
		ours := b.run(t, append([]string{"get", backup}, line...)...)
		require.Equal(t, 0, ours.code, "%q: %s", line, ours.stderr)
		require.Equal(t, theirs, ours.stdout, "%q", line)
	}
}
