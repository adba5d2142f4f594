package apiserver_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const secretsPath = "/api/v1/namespaces/infra-production/secrets"

// Without the keys at rest, no list of Secrets is short in silence.
func TestLockedSecretsAreNamed(t *testing.T) {
	t.Parallel()
	opts := harbourOptions(t)
	opts.Registry.Keyring = nil
	s := serve(t, opts)

	list := s.get(t, secretsPath)
	require.Empty(t, list.items(t))
	warning := list.header.Get("Warning")
	require.Contains(t, warning, "of the secrets are left out, locked: infra-production/")
	require.Contains(t, warning, "key1")

	table := s.get(t, secretsPath, "Accept", asTable)
	rows := table.json(t)["rows"].([]any)
	require.NotEmpty(t, rows)
	cells := rows[0].(map[string]any)["cells"].([]any)
	require.Equal(t, "<locked>", cells[1])
	require.NotEmpty(t, table.header.Get("Warning"))

	message := s.get(t, secretsPath+"/"+cells[0].(string)).message(t, http.StatusInternalServerError)
	require.Contains(t, message, "cannot be shown: locked: ")
	require.Contains(t, message, "--encryption-config FILE")
	require.Empty(t, s.get(t, pods).header.Get("Warning"))
}

func TestRedactedSecretsShowDigestsOnly(t *testing.T) {
	t.Parallel()
	plain := serveHarbour(t)
	opts := harbourOptions(t)
	opts.RedactSecrets = true
	s := serve(t, opts)

	open := plain.get(t, secretsPath).items(t)
	redacted := s.get(t, secretsPath)
	require.Equal(t, names(open), names(redacted.items(t)))
	values := 0
	for _, secret := range open {
		data, _ := secret["data"].(map[string]any)
		for _, value := range data {
			if len(value.(string)) > 8 {
				values++
				require.NotContains(t, string(redacted.body), value.(string))
			}
		}
	}
	require.Positive(t, values)
	for _, secret := range redacted.items(t) {
		data, _ := secret["data"].(map[string]any)
		for _, value := range data {
			text, err := base64.StdEncoding.DecodeString(value.(string))
			require.NoError(t, err)
			require.Regexp(t, "^redacted:[0-9a-f]{16}$", string(text))
		}
	}
	applied := 0
	for i, secret := range redacted.items(t) {
		const name = "kubectl.kubernetes.io/last-applied-configuration" // has the whole Secret again
		annotations, _ := secret["metadata"].(map[string]any)["annotations"].(map[string]any)
		if text, ok := annotations[name].(string); ok {
			applied++
			require.Regexp(t, "^redacted:[0-9a-f]{16}$", text)
			require.Contains(t, open[i]["metadata"].(map[string]any)["annotations"].(map[string]any)[name], `ata":{"`)
		}
	}
	require.Positive(t, applied)
	whole := s.get(t, secretsPath+"?includeObject=Object", "Accept", asTable)
	require.NotContains(t, string(whole.body), open[0]["data"])
	require.Contains(t, string(whole.body), base64.StdEncoding.EncodeToString([]byte("redacted:"))[:10])
}

func TestWritesAreRefusedWithTheWayBack(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for _, c := range []struct{ method, path, want string }{
		{"DELETE", pods + "/db-0", "nothing can be changed in it. To bring the object back: lifeboat extract kube-backup.tar.gz -n infra-production pods/db-0 --to DIR"},
		{"PATCH", "/apis/apps/v1/namespaces/infra-production/deployments/supercronic?dryRun=All", "nor tried with --dry-run=server. To bring the object back: lifeboat extract kube-backup.tar.gz -n infra-production deployments.apps/supercronic --to DIR"},
		{"POST", "/api/v1/namespaces", "lifeboat extract kube-backup.tar.gz --cluster namespaces --to DIR"},
		{"DELETE", "/api/v1/namespaces/infra-production", "lifeboat extract kube-backup.tar.gz -n infra-production --to DIR"},
		{"PUT", "/api/v1/nodes/node-1", "lifeboat extract kube-backup.tar.gz nodes/node-1 --to DIR"},
		{"DELETE", "/apis/fleet.example.com/v1/namespaces/infra-production/ships/aurora", "-n infra-production ships.fleet.example.com/aurora --to DIR"},
		{"GET", pods + "/db-0/log", "it holds no logs"},
		{"POST", pods + "/db-0/exec", "nothing runs in it"},
		{"GET", pods + "/db-0/exec", "nothing runs in it"},
		{"GET", "/apis/apps/v1/namespaces/infra-production/deployments/supercronic/scale", "nothing can be scaled in it"},
		{"POST", "/version", "nothing can be changed"},
		{"DELETE", "/rev/1211/api/v1/namespaces/infra-production/configmaps/flip", "lifeboat extract kube-backup.tar.gz --rev 1211 -n infra-production configmaps/flip --to DIR"},
		{"DELETE", "/api/v1/namespaces/a'b%20c/pods/x", `-n 'a'\''b c' pods/x --to DIR`},
	} {
		answer := s.do(t, c.method, c.path)
		message := answer.message(t, http.StatusMethodNotAllowed)
		require.Contains(t, message, "this is a backup of 2026-11-2")
		require.Contains(t, message, c.want, "%s %s", c.method, c.path)
		require.Contains(t, string(answer.body), `"reason":"MethodNotAllowed"`)
	}
}

// Clients that wait for something are told that nothing will happen; those
// that count from today's clock, from when to count.
func TestCommandsThatTrustTheClockAreWarned(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for command, want := range map[string]string{
		"kubectl wait": "no object in it is alive", "kubectl rollout status": "no object in it is alive",
		"kubectl describe": "counts ages from today's clock", "kubectl get": "", "kubectl rollout history": "",
	} {
		warning := strings.Join(s.get(t, pods, "Kubectl-Command", command).header.Values("Warning"), "\n")
		if want == "" {
			require.Empty(t, warning)
		}
		require.Contains(t, warning, want)
	}
}
