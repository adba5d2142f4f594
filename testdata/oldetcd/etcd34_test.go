package oldetcd

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHostsEtcd takes the etcd of the host, whichever it is: Debian 12 has 3.4.
func TestHostsEtcd(t *testing.T) {
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("no etcd on this host; Debian's package is etcd-server")
	}
	version, err := exec.Command(path, "--version").Output()
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(version), "\n")
	t.Log(first)
	Run(t, Server{Path: path})
}
