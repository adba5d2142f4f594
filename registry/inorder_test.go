package registry

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Results come in the order of the input whatever each of them takes, no more
// than a bounded number are made ahead, and a loop that ends early ends all.
func TestInOrder(t *testing.T) {
	t.Parallel()
	const n = 5000
	input := slices.Collect(func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	})
	var begun atomic.Int64
	uneven := func(i int) int {
		begun.Add(1)
		for range i % 7 {
			runtime.Gosched()
		}
		return i * i
	}
	next := 0
	for in, out := range inOrder(slices.Values(input), uneven) {
		require.Equal(t, next, in)
		require.Equal(t, next*next, out)
		next++
		require.LessOrEqual(t, begun.Load(), int64(next+(ahead+1)*runtime.GOMAXPROCS(0)))
	}
	require.Equal(t, n, next)

	begun.Store(0)
	for in := range inOrder(slices.Values(input), uneven) {
		if in == 10 {
			break
		}
	}
	after := begun.Load()
	require.Less(t, after, int64(n))
	for range 100 {
		runtime.Gosched()
	}
	require.Equal(t, after, begun.Load(), "nothing is worked on behind the loop's back")
}
