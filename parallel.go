package lifeboat

import (
	"context"
	"sync"
)

// sideBySide does n pieces of work, so many at once, and gives the first error;
// after one, or the end of ctx, no further piece is begun.
func sideBySide(ctx context.Context, n, atOnce int, do func(i int) error) error {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	take := func(err error) (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			first = err
		}
		if first != nil || next == n || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(n, atOnce) {
		wait.Go(func() {
			for i, ok := take(nil); ok; {
				i, ok = take(do(i))
			}
		})
	}
	wait.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return first
}
