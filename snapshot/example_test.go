package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// exampleSnapshot makes a small snapshot, as `etcdctl snapshot save` would.
func exampleSnapshot() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(dir, "etcd.snapshot")
	if _, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 20, Trailer: true}); err != nil {
		panic(err)
	}
	return path, func() { _ = os.RemoveAll(dir) }
}

// A database, read where it stands.
func ExampleOpen() {
	path, remove := exampleSnapshot()
	defer remove()
	ctx := context.Background()
	db, err := snapshot.Open(ctx, path)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	keys := 0
	for _, err := range db.At(ctx, 0, nil) {
		if err != nil {
			panic(err)
		}
		keys++
	}
	fmt.Println(keys, "keys")

	// The pages carry no checksum; the snapshot's sha256 does.
	verdict, err := db.Trailer(ctx)
	fmt.Println(verdict, err)
	// Output:
	// 20 keys
	// good <nil>
}
