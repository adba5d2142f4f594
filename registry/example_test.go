package registry_test

import (
	"fmt"
	"log"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// What lies under a key of etcd.
func ExampleParseKey() {
	key, err := registry.ParseKey("/registry", "/registry/deployments/infra-production/supercronic")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Resource(), key.Namespace, key.Name)
	// Output: deployments.apps infra-production supercronic
}
