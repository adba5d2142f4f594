package etcdproc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// A database, read by a real etcd in a child process. The program's main calls
// etcdproc.Main first; this package's TestMain does.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err == nil {
		err = count(dir)
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		log.Fatal(err)
	}
	// Output: 100 of 100 keys
}

// count makes a database in dir and counts its keys.
func count(dir string) error {
	path := filepath.Join(dir, "db")
	made, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 100, Namespaces: 2, Seed: 1})
	if err != nil {
		return err
	}
	db, err := os.Open(path)
	if err != nil {
		return err
	}
	defer db.Close()

	ctx := context.Background()
	etcd, err := etcdproc.Start(ctx, db, etcdproc.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer etcd.Close()
	keys := 0
	for _, err := range etcd.At(ctx, 0, nil) {
		if err != nil {
			return err
		}
		keys++
	}
	fmt.Println(keys, "of", made.Live, "keys")
	return nil
}
