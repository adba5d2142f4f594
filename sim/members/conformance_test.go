package members

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// short is how long a drill may take, in virtual time, to be run in real time
// with every `go test`. LIFEBOAT_SOAK runs all of them.
const short = 30 * time.Second

// A drill that lists both engines has the same verdict on both.
func TestEnginesAgree(t *testing.T) {
	t.Parallel()
	ran := 0
	for _, name := range scenarios.Names() {
		data, err := scenarios.Read(name)
		require.NoError(t, err)
		s, err := sim.Load(name+".yaml", data)
		require.NoError(t, err)
		if !slices.Contains(s.Engines, sim.Virtual) || !slices.Contains(s.Engines, sim.Embedded) {
			continue
		}
		one := sim.Range{First: 1, Last: 1}
		virtual, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &one})
		require.NoError(t, err)
		if os.Getenv("LIFEBOAT_SOAK") == "" && virtual.Run.Length.D() > short {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			real, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Embedded, Embedded: Engine{Dir: dir}})
			require.NoError(t, err)
			steps, err := json.MarshalIndent(real.Run.Steps, "", " ")
			require.NoError(t, err)
			require.Equal(t, virtual.Verdict, real.Verdict, "virtual: %s\nembedded: %s\n%s", virtual.Reason, real.Reason, steps)
			requireNothing(t, dir)
			t.Logf("virtual %s, rto %+v; embedded %s, rto %+v", virtual.Run.Length, virtual.Run.RTO, real.Run.Length, real.Run.RTO)
		})
	}
	require.Positive(t, ran)
}
