package proof_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// proverEnv makes the test binary a program that proves a backup in a folder,
// and tells each step.
const proverEnv = "LIFEBOAT_TEST_PROVER"

// TestMain makes the test binary the stand-in for kube-apiserver when it is
// started under that name, as it is in the sandbox.
func TestMain(m *testing.M) {
	sandbox.Main()
	etcdproc.Main(datadir.Tasks()...)
	if filepath.Base(os.Args[0]) == "kube-apiserver" {
		standIn()
	}
	if os.Getenv(proverEnv) != "" {
		if err := prover(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func prover(source, dir, server string) error {
	ctx := context.Background()
	b, err := lifeboat.Open(ctx, source, lifeboat.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = proof.Run(ctx, b, proof.Options{
		Dir: dir, APIServer: proof.Binary{Path: server}, Progress: func(step string) { fmt.Println(step) },
	})
	return err
}
