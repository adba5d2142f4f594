package scenarios_test

import (
	"fmt"
	"log"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// A drill that ships, read and understood.
func Example() {
	data, err := scenarios.Read("lose-1-of-3")
	if err != nil {
		log.Fatal(err)
	}
	drill, err := sim.Load("lose-1-of-3.yaml", data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(drill.Name, drill.Engines)
	fmt.Println(drill.Title)
	// Output:
	// lose-1-of-3 [virtual embedded]
	// Lose one of three masters
}
