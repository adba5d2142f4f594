package etcd36

import (
	"os"
	"testing"

	"github.com/lifeboat-dr/lifeboat/testdata/oldetcd"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

// TestMain makes the test binary etcd itself where the tests start it as one.
func TestMain(m *testing.M) {
	if os.Getenv(oldetcd.ServerEnv) != "" {
		etcdmain.Main(os.Args)
		return
	}
	os.Exit(m.Run())
}

func TestEtcd36(t *testing.T) { oldetcd.Run(t, oldetcd.Self(t)) }
