package nodeloss_test

import (
	"fmt"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

func ExampleTuning_Detection() {
	tuning := nodeloss.Default(37)
	found := tuning.Detection(nodeloss.Power)
	fmt.Println(nodeloss.SpanText(&found))
	found = tuning.WithGrace(20 * time.Second).Detection(nodeloss.Power)
	fmt.Println(nodeloss.SpanText(&found))
	// Output:
	// 48 s (40 s to 1 min 1 s)
	// 18 s (9.6 s to 31 s)
}
