package backup

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// A cluster in the middle of an upgrade has kubelets of several versions.
func TestMixedVersions(t *testing.T) {
	t.Parallel()
	var c Cluster
	for _, v := range []string{"", "v1.9.1", "v1.36.2", "nonsense", "v1.37.0", "v1.35.9"} {
		c.Objects.Nodes = append(c.Objects.Nodes, &corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{KubeletVersion: v}}})
	}
	c.guessVersion()
	require.Equal(t, "v1.37.0", c.Version.Version)
	require.True(t, c.Version.Guess)

	// The scheduler's own Pod says more than any kubelet.
	c.Objects.Pods = []*corev1.Pod{{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "kube-scheduler", Image: "host:5000/kube-scheduler:v1.36.4"}}}}}
	c.guessVersion()
	require.Equal(t, "v1.36.4", c.Version.Version)
}
