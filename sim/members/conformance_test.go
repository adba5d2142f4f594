package members

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// quick are the drills that are run in real time with every `go test`; all of
// them are when LIFEBOAT_SOAK is more than 1.
func quick() []string { return []string{"lose-1-of-3", "nospace-repair", "two-to-one-in-order"} }

// A drill that lists both engines has the same verdict on both.
func TestEnginesAgree(t *testing.T) {
	t.Parallel()
	names := quick()
	if factor := os.Getenv("LIFEBOAT_SOAK"); factor != "" && factor != "1" {
		names = scenarios.Names()
	}
	for _, name := range names {
		data, err := scenarios.Read(name)
		require.NoError(t, err)
		s, err := sim.Load(name+".yaml", data)
		require.NoError(t, err)
		if !slices.Contains(s.Engines, sim.Virtual) || !slices.Contains(s.Engines, sim.Embedded) {
			require.NotContains(t, quick(), name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agree(t, s, data)
		})
	}
}

func agree(t *testing.T, s *sim.Scenario, data []byte) {
	t.Helper()
	one := sim.Range{First: 1, Last: 1}
	virtual, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &one})
	require.NoError(t, err)
	// A machine that is busy with other things stands still now and then, and
	// real members with it: what three runs agree on is a difference.
	var real *sim.Report
	for range 3 {
		dir := t.TempDir()
		real, err = drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Embedded, Embedded: Engine{Dir: dir}})
		require.NoError(t, err)
		requireNothing(t, dir)
		if real.Verdict == virtual.Verdict {
			t.Logf("virtual %s, rto %+v; embedded %s, rto %+v", virtual.Run.Length, virtual.Run.RTO, real.Run.Length, real.Run.RTO)
			return
		}
		t.Logf("embedded: %s: %s", real.Verdict, real.Run.Reason)
	}
	steps, err := json.MarshalIndent(real.Run.Steps, "", " ")
	require.NoError(t, err)
	require.Equal(t, virtual.Verdict, real.Verdict, "%s\nvirtual: %s\nembedded: %s", steps, virtual.Run.Reason, real.Run.Reason)
}
