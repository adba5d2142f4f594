package sim_test

import (
	"fmt"

	"github.com/lifeboat-dr/lifeboat/sim"
)

func ExampleLoad() {
	_, err := sim.Load("drill.yaml", []byte(`apiVersion: lifeboat/v1
kind: Drill
title: one voter
engine: virtual
given: {members: 1}
steady: [{leader: exactly-one}]
steps: [{name: a, expect: [{hash: equal}]}]
`))
	fmt.Println(err)
	// Output: reading drill "drill.yaml": line 7: step "a": hash compares members, and there is one
}
