package etcdproc_test

import (
	"os"
	"testing"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func TestMain(m *testing.M) {
	etcdproc.Main()
	os.Exit(m.Run())
}
