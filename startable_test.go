package lifeboat_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
)

const apiServerManifest = "./kubernetes/manifests/kube-apiserver.yaml"

// in replaces a text in one file of an archive.
func in(file, old, new string) func(string, []byte) []byte {
	return func(name string, data []byte) []byte {
		if name == file {
			return []byte(strings.Replace(string(data), old, new, 1))
		}
		return data
	}
}

// An archive whose parts are whole, and from which no API server could start,
// is named as such; one that could start is good.
func TestVerifyStartable(t *testing.T) {
	t.Parallel()
	good := states(t, repack(t, keepAll), lifeboat.Options{})
	require.NotContains(t, good, "etcd prefix")
	for _, tc := range []struct {
		name  string
		edit  func(string, []byte) []byte
		check string
	}{
		{"a file that nobody packed", in(apiServerManifest, "    - --secure-port=6443\n",
			"    - --secure-port=6443\n    - --authentication-config=/etc/kubernetes/extra/authn.yaml\n"), "files of flags"},
		{"a key that was taken out", without("./kubernetes/pki/front-proxy-client.key"), "files of flags"},
		{"a kubeconfig of another component", without("./kubernetes/scheduler.conf"), "files of flags"},
		{"an encryption that no flag names", in(apiServerManifest, "    - --encryption-provider-config=/etc/kubernetes/encryption.yaml\n", ""), "encryption flag"},
		{"a flag that the version has dropped", in(apiServerManifest, "    - --secure-port=6443\n", "    - --secure-port=6443\n    - --insecure-port=0\n"), "known flags"},
		{"a feature gate that is no more", in(apiServerManifest, "    - --secure-port=6443\n", "    - --secure-port=6443\n    - --feature-gates=DynamicKubeletConfig=true\n"), "known flags"},
		{"an address that no certificate has", in(apiServerManifest, "--advertise-address=192.168.199.80", "--advertise-address=192.168.199.81"), "serving addresses"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, lifeboat.StateGood, good[tc.check])
			require.Equal(t, lifeboat.StateMismatch, states(t, repack(t, tc.edit), lifeboat.Options{})[tc.check])
		})
	}
	t.Run("a prefix under which nothing stands", func(t *testing.T) {
		t.Parallel()
		other := in(apiServerManifest, "    - --secure-port=6443\n", "    - --secure-port=6443\n    - --etcd-prefix=/kubernetes.io\n")
		require.Equal(t, lifeboat.StateMismatch, states(t, repack(t, other), lifeboat.Options{})["etcd prefix"])
	})
	t.Run("no manifests at all", func(t *testing.T) {
		t.Parallel()
		found := states(t, snapshotFile(t), lifeboat.Options{})
		require.Equal(t, lifeboat.StateNotChecked, found["files of flags"])
	})
}
