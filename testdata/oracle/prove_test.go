package oracle

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proofReport is what the test needs of report.json.
type proofReport struct {
	Verdict, Reason, Way string
	Weaker               []string
	Missing, Unreadable  []string
	Unexpected           []string
	Differing, NotServed []any
	Resources            []struct{ Stored, Same, Compared int }
	NotProvable          []string
	OwnWrites            []struct{ Object, What, Why string }
	Controllers          struct {
		Deleted                     []struct{ Object, What, Why string }
		Unexplained, NotReady, Jobs []string
	}
	Checks []struct{ Name, State, Detail string }
}

// prove runs `lifeboat prove` with the real kube-apiserver.
func (l lifeboat) prove(t *testing.T, source string, args ...string) (proofReport, int) {
	t.Helper()
	return l.proveWith(t, linkPrograms(t), source, args...)
}

// proveWith is prove with the programs of a folder.
func (l lifeboat) proveWith(t *testing.T, bin, source string, args ...string) (proofReport, int) {
	t.Helper()
	work := t.TempDir()
	to := filepath.Join(work, "proof")
	server := filepath.Join(bin, "kube-apiserver")
	cmd := exec.Command(l.binary, append([]string{"prove", source, "--kube-apiserver", server, "--to", to, "--all"}, args...)...)
	output, err := cmd.CombinedOutput()
	var report proofReport
	data, readErr := os.ReadFile(filepath.Join(to, "report.json"))
	require.NoError(t, readErr, "%v: %s", err, output)
	require.NoError(t, json.Unmarshal(data, &report))
	entries, err := os.ReadDir(work)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing but the report is left")
	t.Logf("%s: %s", report.Verdict, report.Reason)
	return report, cmd.ProcessState.ExitCode()
}

// TestProveHarbour: the real API server starts from the archive, with the
// archived commands, and serves what the backup holds, each object field by
// field.
func TestProveHarbour(t *testing.T) {
	r, code := findLifeboat(t).prove(t, harbour)
	require.Equal(t, 0, code, r.Reason)
	require.Equal(t, "proven", r.Verdict)
	require.Contains(t, r.Way, "namespaces")
	require.Empty(t, r.Missing)
	require.Empty(t, r.Differing)
	require.Len(t, r.NotServed, 3, "APIs that harbour's flags do not serve")
	same, compared := 0, 0
	for _, n := range r.Resources {
		same += n.Same
		compared += n.Compared
	}
	require.Greater(t, same, 600)
	require.Equal(t, same, compared)
	for _, w := range r.OwnWrites {
		require.NotContains(t, w.Why, "not known", w.Object)
	}
}

// TestProveWhatVerifyNames: archives that are whole, and from which no API
// server starts as that cluster. verify names what is wrong; so does a start,
// to which verify's checks are not known.
func TestProveWhatVerifyNames(t *testing.T) {
	program := findLifeboat(t)
	const flag = "    - --authorization-mode=Node,RBAC\n"
	for name, tc := range map[string]struct {
		from, to     string
		named, words string // by verify, by the start
	}{
		"a file that nobody packed":    {flag, flag + "    - --authentication-config=/etc/kubernetes/extra/authn.yaml\n", `names "/etc/kubernetes/extra/authn.yaml" with --authentication-config`, "/etc/kubernetes/extra/authn.yaml is not in the backup"},
		"no encryption configuration":  {"    - --encryption-provider-config=/etc/kubernetes/encryption.yaml\n", "", "--encryption-provider-config", "values are encrypted with a key that"},
		"another prefix":               {flag, flag + "    - --etcd-prefix=/elsewhere\n", "would start as an empty cluster", "as an empty cluster"},
		"a flag that this one dropped": {flag, flag + "    - --insecure-port=0\n", "--insecure-port", "does not know --insecure-port"},
	} {
		source := editHarbour(t, tc.from, tc.to)
		require.Contains(t, program.run(t, 3, "archive", "verify", source), tc.named, name)
		r, code := program.prove(t, source, "--timeout", "40s")
		require.Equal(t, 5, code, "%s: %s", name, r.Reason)
		require.Contains(t, r.Reason, tc.words, name)
	}
}

// editHarbour is harbour with another kube-apiserver manifest, packed by tar.
func editHarbour(t *testing.T, from, to string) string {
	t.Helper()
	dir := unpacked(t)
	path := filepath.Join(dir, "kubernetes", "manifests", "kube-apiserver.yaml")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), from)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o600))
	return packed(t, dir)
}
