package progress_test

import (
	"fmt"
	"os"

	"github.com/lifeboat-dr/lifeboat/internal/progress"
)

// A short run stays silent; messages go through the Meter all the same.
func Example() {
	meter := progress.New(os.Stdout, false)
	phase := meter.Start("reading archive", 1000)
	phase.Add(500)
	fmt.Fprintln(meter, "lifeboat: warning: something")
	phase.Add(500)
	phase.Done()
	// Output: lifeboat: warning: something
}
