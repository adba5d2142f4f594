package archive_test

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/lifeboat-dr/lifeboat/archive"
)

func ExampleReader() {
	f, err := os.Open("../testdata/harbour/kube-backup.tar.gz")
	if err != nil {
		log.Fatal(err)
	}
	r, err := archive.NewReader(f, archive.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	count := map[archive.Kind]int{}
	for {
		entry, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		count[entry.Kind]++
		if entry.Kind == archive.Snapshot {
			n, err := io.Copy(io.Discard, r)
			fmt.Println(entry.Name, n, err)
		}
	}
	f.Close()
	fmt.Println(count[archive.Kubernetes], "files of the control plane; one snapshot:", r.CheckSnapshot("") == nil)
	// Output:
	// etcd-backup.snapshot 2244640 <nil>
	// 32 files of the control plane; one snapshot: true
}
