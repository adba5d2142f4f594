package controlplane_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// A command line is held against the flags of its own version, and against no other.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		image, flags string
		want         controlplane.CommandLine
	}{
		"a flag and a gate that are gone": {
			"registry.k8s.io/kube-apiserver:v1.37.1", `"--etcd-prefix=/r", "--insecure-port=0", "--feature-gates=kube:NoSuchGate=true"`,
			controlplane.CommandLine{Version: "v1.37.1", Looked: 4, Refused: []string{"it does not know --insecure-port", "it does not know the feature gate NoSuchGate"}},
		},
		"locked gates": {
			"host:5000/kube-apiserver:v1.37.0", `"--feature-gates=CRDValidationRatcheting=True, AllowOverwriteTerminationGracePeriodSeconds=true"`,
			controlplane.CommandLine{Version: "v1.37.0", Looked: 3, Refused: []string{"the feature gate AllowOverwriteTerminationGracePeriodSeconds is locked to false"}},
		},
		"gates of an emulated version": {
			"registry.k8s.io/kube-apiserver:v1.37.1", `"--emulated-version=1.36", "--feature-gates=NoSuchGate=true"`,
			controlplane.CommandLine{Version: "v1.37.1", Looked: 2},
		},
		"another version":         {"registry.k8s.io/kube-apiserver:v1.36.4", `"--insecure-port=0"`, controlplane.CommandLine{Version: "v1.36.4"}},
		"a port, and no tag":      {"host:5000/kube-apiserver", `"--insecure-port=0"`, controlplane.CommandLine{}},
		"a digest, and no number": {"registry.k8s.io/kube-apiserver:latest@sha256:00", `"--insecure-port=0"`, controlplane.CommandLine{Version: "latest"}},
	} {
		v := view(t, map[string]string{"kubernetes/manifests/kube-apiserver.yaml": `{"kind":"Pod","metadata":{"name":"kube-apiserver"},"spec":{"containers":[{"name":"kube-apiserver","image":"` +
			tc.image + `","command":["kube-apiserver",` + tc.flags + `]}]}}`})
		tc.want.Component, tc.want.Manifest, tc.want.Known = controlplane.APIServer, "kubernetes/manifests/kube-apiserver.yaml", "1.37"
		require.Equal(t, []controlplane.CommandLine{tc.want}, v.CommandLines(), name)
	}
}

// etcdctl asks as the last flags say, which are those that count.
func TestEtcdctl(t *testing.T) {
	t.Parallel()
	manifest := `kind: Pod
spec:
  containers:
  - name: etcd
    command: [etcd, --trusted-ca-file=/old/ca.crt, --trusted-ca-file=/new/ca.crt, "--listen-client-urls=https://192.0.2.80:2379,https://[::1]:2379"]
`
	require.Equal(t, "etcdctl --cacert /new/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key --endpoints https://192.0.2.80:2379",
		controlplane.Etcdctl([]byte(manifest)))
	own := "etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key --endpoints https://127.0.0.1:2379"
	require.Equal(t, own, controlplane.Etcdctl(nil))
	local := strings.Replace(manifest, "https://[::1]:2379", "https://127.0.0.1:2379", 1)
	require.Contains(t, controlplane.Etcdctl([]byte(local)), "--endpoints https://127.0.0.1:2379", "on the host itself")
}
