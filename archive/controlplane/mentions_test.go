package controlplane_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// apiServer is a view with one manifest, whose command is kube-apiserver with
// the flags given, a mount of /etc/kubernetes/pki, one of a Deckhouse folder,
// and the other files.
func apiServer(t *testing.T, flags []string, files ...string) *controlplane.View {
	t.Helper()
	var b strings.Builder
	b.WriteString("kind: Pod\nmetadata: {name: kube-apiserver}\nspec:\n  containers:\n  - name: kube-apiserver\n    command:\n    - kube-apiserver\n")
	for _, f := range flags {
		fmt.Fprintf(&b, "    - %s\n", f)
	}
	b.WriteString(`    volumeMounts:
    - {name: pki, mountPath: /certs}
    - {name: extra, mountPath: /etc/kubernetes/deckhouse/extra-files}
  volumes:
  - {name: pki, hostPath: {path: /etc/kubernetes/pki}}
  - {name: extra, hostPath: {path: /etc/kubernetes/deckhouse/extra-files}}
`)
	builder := controlplane.New()
	require.NoError(t, builder.Add("kubernetes/manifests/kube-apiserver.yaml", strings.NewReader(b.String())))
	for _, name := range files {
		require.NoError(t, builder.Add(name, strings.NewReader("x")))
	}
	return builder.View()
}

// Each flag that names a file is looked up through the Pod's mounts, and none
// that only looks like one.
func TestMentions(t *testing.T) {
	t.Parallel()
	view := apiServer(t, []string{
		"--client-ca-file=/certs/ca.crt",
		"--authentication-config=/etc/kubernetes/deckhouse/extra-files/authn.yaml",
		"--admission-control-config-file=/etc/kubernetes/deckhouse/extra-files/admission.yaml",
		"--service-account-key-file=/certs/older-sa.pub",
		"--service-account-key-file=/certs/sa.pub,/certs/old-sa.pub",
		"--tls-sni-cert-key=/certs/sni.crt,/certs/sni.key:*.example.com,example.com",
		"--oidc-ca-file=/etc/ssl/certs/dex.pem",
		"--etcd-prefix=/registry",
		"--audit-log-path=/var/log/kube-audit/audit.log",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--etcd-servers=https://127.0.0.1:2379",
		"--egress-selector-config-file", "/etc/kubernetes/konnectivity/egress.yaml",
		"--log-file=/etc/kubernetes/kube-apiserver.log",
		"--audit-webhook-config-file=/certs/audit",
	}, "kubernetes/pki/audit/webhook.yaml", "kubernetes/pki/ca.crt", "kubernetes/pki/sa.pub", "kubernetes/pki/sni.crt", "kubernetes/deckhouse/extra-files/authn.yaml")

	got := map[string]controlplane.Place{}
	for _, m := range view.Mentions() {
		require.Equal(t, "kubernetes/manifests/kube-apiserver.yaml", m.Manifest)
		require.Equal(t, controlplane.APIServer, m.Component)
		got[m.Flag+" "+m.Host] = m.Place
	}
	require.Equal(t, map[string]controlplane.Place{
		"audit-webhook-config-file /etc/kubernetes/pki/audit":                                controlplane.InBackup,
		"client-ca-file /etc/kubernetes/pki/ca.crt":                                          controlplane.InBackup,
		"authentication-config /etc/kubernetes/deckhouse/extra-files/authn.yaml":             controlplane.InBackup,
		"admission-control-config-file /etc/kubernetes/deckhouse/extra-files/admission.yaml": controlplane.Missing,
		"service-account-key-file /etc/kubernetes/pki/sa.pub":                                controlplane.InBackup,
		"service-account-key-file /etc/kubernetes/pki/old-sa.pub":                            controlplane.Missing,
		"service-account-key-file /etc/kubernetes/pki/older-sa.pub":                          controlplane.Missing,
		"tls-sni-cert-key /etc/kubernetes/pki/sni.crt":                                       controlplane.InBackup,
		"tls-sni-cert-key /etc/kubernetes/pki/sni.key":                                       controlplane.Missing,
		"oidc-ca-file /etc/ssl/certs/dex.pem":                                                controlplane.Elsewhere,
		"egress-selector-config-file /etc/kubernetes/konnectivity/egress.yaml":               controlplane.Missing,
	}, got)
}

// A file at the path that the flag has counts, though no mount brings it into
// the container; that no mount does is told.
func TestMentionWithoutMount(t *testing.T) {
	t.Parallel()
	view := apiServer(t, []string{"--encryption-provider-config=/etc/kubernetes/enc.yaml"}, "kubernetes/enc.yaml")
	require.Len(t, view.Mentions(), 1)
	require.Equal(t, controlplane.InBackup, view.Mentions()[0].Place)
	require.False(t, view.Mentions()[0].Mounted)
}

// Everything that harbour's manifests name is in its backup, and its serving
// certificates name the addresses of its flags.
func TestMentionsOfHarbour(t *testing.T) {
	t.Parallel()
	view := harbour(t)
	mentions := view.Mentions()
	require.Greater(t, len(mentions), 25)
	for _, m := range mentions {
		require.Equal(t, controlplane.InBackup, m.Place, "%+v", m)
	}
	wrong, looked := view.Unanswered()
	require.Empty(t, wrong)
	require.Equal(t, 5, looked)
}

// A certificate of another address is found by the flags that lead there.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	whole := harbour(t)
	files := map[string]string{}
	for _, name := range whole.Files() {
		data, err := whole.ReadFile(name)
		require.NoError(t, err)
		files[name] = strings.ReplaceAll(string(data), "--advertise-address=192.168.199.80", "--advertise-address=10.0.0.7")
	}
	view := view(t, files)
	wrong, _ := view.Unanswered()
	require.Equal(t, []controlplane.Unanswered{{
		Component: controlplane.APIServer, Flag: "advertise-address", Address: "10.0.0.7", File: "kubernetes/pki/apiserver.crt",
	}}, wrong)

	// Where no certificate is shown, and where a server listens on every address,
	// nobody compares names.
	etcd, err := whole.ReadFile("kubernetes/manifests/etcd.yaml")
	require.NoError(t, err)
	other := strings.Replace(string(etcd), "--listen-client-urls=", "--listen-client-urls=http://10.9.9.9:2379,https://0.0.0.0:2379,https://[::]:2379,", 1)
	require.NotEqual(t, string(etcd), other)
	wrong, looked := rebuilt(t, whole, map[string][]byte{"kubernetes/manifests/etcd.yaml": []byte(other)}).Unanswered()
	require.Empty(t, wrong)
	require.Equal(t, 5, looked)
}
