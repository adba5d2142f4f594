package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/host"
)

// A procedure is planned, carried out and taken back: here on a folder with one
// manifest in it, as on a host.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	manifests := filepath.Join(dir, "etc/kubernetes/manifests")
	if err := os.MkdirAll(manifests, 0o700); err != nil {
		panic(err)
	}
	pod := "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    command:\n    - etcd\n    - --name=m0 # the first\n"
	if err := os.WriteFile(filepath.Join(manifests, "etcd.yaml"), []byte(pod), 0o600); err != nil {
		panic(err)
	}

	ctx := context.Background()
	root, err := host.OpenRoot(dir)
	if err != nil {
		panic(err)
	}
	defer root.Close()
	state, err := host.Look(ctx, root, host.LookOptions{})
	if err != nil {
		panic(err)
	}
	plan, err := state.PlanQuota(time.Unix(0, 0), host.QuotaOptions{Double: true})
	if err != nil {
		panic(err)
	}
	fmt.Print(plan.Steps[0], "\n", plan.Steps[0].Diff)

	run, err := host.Begin(root, plan)
	if err != nil {
		panic(err)
	}
	defer run.Close()
	if err := run.Forward(ctx, nil); err != nil {
		panic(err)
	}
	fmt.Println(run.Status())
	if err := run.Back(ctx, nil); err != nil {
		panic(err)
	}
	data, err := os.ReadFile(filepath.Join(manifests, "etcd.yaml"))
	fmt.Println(run.Status(), string(data) == pod, errors.Unwrap(err))
	// Output:
	// edit /etc/kubernetes/manifests/etcd.yaml, the old one becomes /etc/kubernetes/etcd.yaml.old-19700101T000000Z
	// 8: +    - --quota-backend-bytes=4294967296
	// done
	// undone true <nil>
}
