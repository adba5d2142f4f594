package controlplane_test

import (
	"fmt"
	"log"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// A flag is changed, and nothing else is.
func ExampleEdit() {
	manifest := `kind: Pod
spec:
  containers:
  - name: etcd
    command:
    - etcd
    # doubled last year
    - --quota-backend-bytes=4294967296
`
	e, err := controlplane.Edit([]byte(manifest), controlplane.Etcd)
	if err != nil {
		log.Fatal(err)
	}
	if err := e.Set("quota-backend-bytes", "8589934592"); err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(e.Data))
	// Output:
	// kind: Pod
	// spec:
	//   containers:
	//   - name: etcd
	//     command:
	//     - etcd
	//     # doubled last year
	//     - --quota-backend-bytes=8589934592
}
