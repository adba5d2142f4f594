package drill_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func TestMain(m *testing.M) {
	drill.Main()
	os.Exit(m.Run())
}

// soak is the factor that loop counts hang on.
func soak(t *testing.T) int {
	t.Helper()
	text := os.Getenv("LIFEBOAT_SOAK")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func load(t *testing.T, name string) (*sim.Scenario, []byte) {
	t.Helper()
	data, err := scenarios.Read(name)
	require.NoError(t, err)
	s, err := sim.Load(name+".yaml", data)
	require.NoError(t, err)
	return s, data
}

// Every shipped drill loads, names its paragraph, and is met in virtual time.
func TestShippedDrillsAreMet(t *testing.T) {
	t.Parallel()
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, data := load(t, name)
			require.NotEmpty(t, s.Document)
			if s.Kind == sim.KindCard || !strings.Contains(strings.Join(engines(s), " "), string(sim.Virtual)) {
				return
			}
			seeds := sim.Range{First: 1, Last: uint64(3 * soak(t))}
			report, err := drill.Run(t.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &seeds, Workers: 1})
			require.NoError(t, err)
			require.Equal(t, sim.Met, report.Verdict, "%s\n%s", report.Reason, dump(t, report.Run.Steps))
		})
	}
}

func engines(s *sim.Scenario) []string {
	var out []string
	for _, e := range s.Engines {
		out = append(out, string(e))
	}
	return out
}

func dump(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(out)
}
