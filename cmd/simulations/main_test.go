package simulations

import (
	"os"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// TestMain makes the test binary a drill's worker when a test starts it as one.
func TestMain(m *testing.M) {
	drill.Main()
	os.Exit(m.Run())
}
