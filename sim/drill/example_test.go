package drill_test

import (
	"context"
	"fmt"
	"log"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// Whether three members stand the loss of one, run on the raft library. The
// program has to call drill.Main first thing in main.
func ExampleAskQuorum() {
	answer, err := drill.AskQuorum(context.Background(), 3, 1, sim.Range{First: 1, Last: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("writes go on in %d of %d runs\n", answer.Keeps, answer.Seeds)
	// Output: writes go on in 2 of 2 runs
}
