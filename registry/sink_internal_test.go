package registry

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A disk that gives back something else is found out.
func TestReadBack(t *testing.T) {
	t.Parallel()
	require.NoError(t, readBack(strings.NewReader("kind: Pod\n"), []byte("kind: Pod\n")))
	for _, got := range []string{"kind: Pot\n", "kind: Pod", "kind: Pod\n\n", ""} {
		require.ErrorContains(t, readBack(strings.NewReader(got), []byte("kind: Pod\n")), "what was read back is not what was written", got)
	}
}
