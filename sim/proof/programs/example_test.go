package programs_test

import (
	"context"
	"fmt"
	"os"

	"github.com/lifeboat-dr/lifeboat/sim/proof/programs"
)

// A rescue system has neither processes nor layers of the cluster.
func ExampleFind() {
	root, err := os.MkdirTemp("", "rescue-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(root) }()
	_, err = programs.Find(context.Background(), programs.Wanted{Name: "kube-apiserver", Root: root, Dir: root})
	fmt.Println(err)
	// Output: finding kube-apiserver: not found on this host
}
