// Command gateway is a real S3 server over a folder, for the tests: versitygw,
// which keeps objects as files and knows multipart uploads, conditional writes
// and object locks.
//
//	gateway FOLDER VERSIONS ADDRESS
//
// The root's key is in ROOT_ACCESS_KEY and ROOT_SECRET_KEY.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, folder, versions, address string) error {
	store, err := posix.New(folder, meta.XattrMeta{}, posix.PosixOpts{VersioningDir: versions})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, store, &embedgw.Config{
		RootUserAccess: os.Getenv("ROOT_ACCESS_KEY"), RootUserSecret: os.Getenv("ROOT_SECRET_KEY"),
		Ports: []string{address}, Quiet: true, KeepAlive: true, MaxConnections: 1024, MaxRequests: 1024, MultipartMaxParts: 10_000,
	})
}
