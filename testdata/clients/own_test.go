package clients

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOwnKubectl: on a host without kubectl, lifeboat runs lifeboat-kubectl. It
// reads what kubectl reads, but nothing in ~/.kube: whoever opened one of the
// pipes there would wait for ever.
func TestOwnKubectl(t *testing.T) {
	t.Parallel()
	b := newBench(t, ownKubectl, "lifeboat-kubectl")
	b.env = append(b.env, "PATH="+ownKubectl.as(t, "lifeboat-kubectl"))
	require.NoError(t, os.Mkdir(filepath.Join(b.home, ".kube"), 0o700))
	for _, name := range []string{"config", "kuberc"} {
		require.NoError(t, syscall.Mkfifo(filepath.Join(b.home, ".kube", name), 0o600))
	}
	require.Regexp(t, `Client Version: v1\.37\.\d+\n(?s).*Server Version: v1\.37\.1\+lifeboat`, b.quiet(t, "version"))
	kubectlReadsEverything(t, b)
	kubectlFindsItsWay(t, b)
	kubectlSaysThatNothingIsAlive(t, b)
	for _, command := range []string{"attach", "cp", "debug", "exec", "plugin", "port-forward", "proxy", "run"} {
		r := b.kubectl(t, command, "db-0", "-n", "infra-production")
		require.Equal(t, 1, r.code, command)
		require.Contains(t, r.stderr, "unknown command", command)
	}
	r := b.kubectl(t, "delete", "pod", "db-0", "-n", "infra-production")
	require.Contains(t, r.stderr, "To bring the object back: lifeboat extract")
	left, err := os.ReadDir(filepath.Join(b.home, ".kube"))
	require.NoError(t, err)
	require.Len(t, left, 2)
}
