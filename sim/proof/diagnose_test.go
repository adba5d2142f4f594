package proof_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim/proof"
)

// The lines are what kube-apiserver 1.37.1 and etcd 3.7.3 wrote.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ log, line, meaning string }{
		{"I1128 22:00:00.000000 1 options.go:249] ok\n", "I1128", ""},
		{"", "", ""},
		{"Error: unknown flag: --insecure-port\n", "Error: unknown", "does not know --insecure-port"},
		{`E1128 22:00:00.000000    1 run.go:72] "command failed" err="failed to read authentication config: open /etc/kubernetes/extra/authn.yaml: no such file or directory"`, "E1128", "/etc/kubernetes/extra/authn.yaml is not in the backup"},
		{"E1128 22:00:00.000000 1 run.go:72] \"command failed\" err=\"stat /etc/kubernetes/x: no such file or directory\"\nI1128 22:00:01.000000 1 last words\n", "E1128", "/etc/kubernetes/x is not in the backup"},
		{`E1128 22:00:00.000000 1 run.go:72] "command failed" err="tls: private key does not match public key"`, "E1128", "do not belong together"},
		{`W1128 22:00:00.000000 1 logging.go:55] [core] grpc: addrConn.createTransport failed to connect. Err: connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"`, "W1128", "another CA"},
		{`W1128 22:00:00.000000 1 logging.go:55] [core] Err: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time"`, "W1128", "has expired"},
		{`E1128 22:00:00.000000 1 reflector.go:204] "Failed to watch" err="failed to list *core.Secret: unable to transform key \"/registry/secrets/x\": identity transformer tried to read encrypted data"`, "E1128", "does not have"},
		{`fatal open /etc/kubernetes/pki/etcd/server.crt: no such file or directory`, "fatal", "/etc/kubernetes/pki/etcd/server.crt is not in the backup"},
		{"Error: unknown flag: --insecure-port\n" + `W1128 22:00:01.000000 1 logging.go:55] [core] Err: "connection refused"`, "Error: unknown", "does not know --insecure-port"},
		{`W1128 22:00:00.000000 1 logging.go:55] [core] Err: connection error: desc = "transport: Error while dialing: dial unix /var/run/kms/vault.sock: connect: no such file or directory"`, "W1128", "the KMS that holds the key"},
		{`E1128 22:00:00.000000 1 run.go:72] "command failed" err="write /var/log/audit.log: no space left on device"`, "E1128", "this host has no room"},
		{"E1128 22:00:00.000000 1 a.go:1] context\nsomething else\n", "E1128", ""},
	} {
		cause := proof.Diagnose([]byte(tc.log))
		require.Contains(t, cause.Line, tc.line)
		require.Contains(t, cause.Meaning, tc.meaning, tc.log)
		require.Equal(t, tc.meaning == "", cause.Meaning == "", tc.log)
	}
}
