package lifeboat_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// One namespace out of a backup, ready for kubectl create.
func ExampleOpen() {
	ctx := context.Background()
	b, err := lifeboat.Open(ctx, "testdata/harbour/kube-backup.tar.gz", lifeboat.Options{})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	got, err := b.Extract(ctx, registry.Selection{Namespaces: []string{"infra-production"}}, lifeboat.ExtractOptions{})
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := registry.WriteDir(ctx, filepath.Join(dir, "restored"), got.Plan); err != nil {
		panic(err)
	}
	fmt.Println(len(got.Manifests), "manifests; first", got.Report.Objects[0].File)
	fmt.Println("missing:", got.Verdict())
	// Output:
	// 33 manifests; first 00-namespaces/namespaces_infra-production.yaml
	// missing: <nil>
}

// What is known of a backup before anybody restores from it.
func ExampleBackup_Verify() {
	ctx := context.Background()
	b, err := lifeboat.Open(ctx, "testdata/harbour/kube-backup.tar.gz", lifeboat.Options{})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	checks, err := b.Verify(ctx)
	if err != nil {
		panic(err)
	}
	for _, c := range checks {
		if c.State() == lifeboat.StateGood {
			fmt.Println(c.Name, "good:", c.Looked, c.Of)
		} else {
			fmt.Println(c.Name, c.State())
		}
	}
	fmt.Println("verdict:", lifeboat.Verdict(checks))
	// Output:
	// gzip good: 268373 bytes
	// tar good: 37 entries
	// sha256 trailer good: 2244640 bytes
	// page structure good: 2244608 bytes
	// manifest not checked
	// records good: 1484 records
	// certificates good: 16 certificates
	// files of flags note
	// files of flags good: 32 files
	// known flags good: 70 flags
	// serving addresses good: 5 addresses
	// encryption flag good: 6 values
	// encryption config good: 618 values
	// token keys good: 1 keys
	// encryption keys good: 6 values
	// etcd member good: 3 members
	// etcd member note
	// cluster CA good: 9 ConfigMaps
	// token key good: 1 tokens
	// older than before not checked
	// verdict: <nil>
}
