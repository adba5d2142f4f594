package printer_test

import (
	"log"
	"os"

	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// Objects as kubectl get -o yaml prints them, one at a time.
func ExampleList() {
	list := printer.NewList(os.Stdout, false, false)
	for _, name := range []string{"a", "b"} {
		if err := list.Add(map[string]any{"kind": "ConfigMap", "metadata": map[string]any{"name": name}}); err != nil {
			log.Fatal(err)
		}
	}
	if err := list.End(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// apiVersion: v1
	// items:
	// - kind: ConfigMap
	//   metadata:
	//     name: a
	// - kind: ConfigMap
	//   metadata:
	//     name: b
	// kind: List
	// metadata:
	//   resourceVersion: ""
}
