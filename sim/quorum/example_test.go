package quorum_test

import (
	"fmt"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/quorum"
)

func ExampleChecker() {
	c := quorum.NewChecker([]sim.Invariant{sim.OneLeaderPerTerm})
	for _, e := range []quorum.Event{{Kind: quorum.Led, Member: "m1", Term: 2}, {Kind: quorum.Led, Member: "m3", Term: 2}} {
		fmt.Println(c.Observe(e))
	}
	// Output:
	// <nil>
	// invariant one-leader-per-term broken at 0s: m3 leads term 2, and so does m1
}
