package controlplane_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// What a manifest says that the database cannot.
func ExampleBuilder() {
	const manifest = `
apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.37.1
    command: [kube-apiserver, --etcd-prefix=/kubernetes.io]
`
	b := controlplane.New()
	if err := b.Add("kubernetes/manifests/kube-apiserver.yaml", strings.NewReader(manifest)); err != nil {
		log.Fatal(err)
	}
	view := b.View()
	version, _ := view.KubernetesVersion()
	fmt.Println(version, view.EtcdPrefix())
	// Output: v1.37.1 /kubernetes.io
}
