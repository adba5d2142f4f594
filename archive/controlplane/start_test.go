package controlplane_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// A component starts as kubelet would start it: variables filled in, mounts
// with their places on the host.
func TestStart(t *testing.T) {
	t.Parallel()
	b := controlplane.New()
	require.NoError(t, b.Add("kubernetes/manifests/kube-apiserver.yaml", strings.NewReader(`
kind: Pod
metadata: {name: kube-apiserver}
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.37.1
    command: [kube-apiserver, "--advertise-address=$(HOST)", "--etcd-prefix=$$(HOST)"]
    args: ["--bind-address=$(POD_IP)"]
    env:
    - {name: HOST, value: 192.0.2.80}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    volumeMounts:
    - {name: extra, mountPath: /extra/, subPath: files}
    - {name: lost, mountPath: /lost}
  volumes:
  - {name: extra, hostPath: {path: /etc/kubernetes/deckhouse, type: DirectoryOrCreate}}
  - {name: socket, hostPath: {path: /run/kms.sock, type: Socket}}
  - {name: lost, emptyDir: {}}
`)))
	start, ok := b.View().Start(controlplane.APIServer)
	require.True(t, ok)
	require.Equal(t, controlplane.Start{
		Manifest: "kubernetes/manifests/kube-apiserver.yaml", Image: "registry.k8s.io/kube-apiserver:v1.37.1",
		Command: []string{"kube-apiserver", "--advertise-address=192.0.2.80", "--etcd-prefix=$(HOST)", "--bind-address=$(POD_IP)"},
		Flags:   []controlplane.Flag{{Name: "advertise-address", Value: "192.0.2.80"}, {Name: "etcd-prefix", Value: "$(HOST)"}, {Name: "bind-address", Value: "$(POD_IP)"}},
		Env:     []string{"HOST=192.0.2.80"}, Unset: []string{"POD_IP"},
		Mounts: []controlplane.Mount{{Inside: "/extra", Host: "/etc/kubernetes/deckhouse/files"}},
	}, start)
	_, ok = controlplane.New().View().Start(controlplane.Etcd)
	require.False(t, ok)
}
