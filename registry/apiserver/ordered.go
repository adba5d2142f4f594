package apiserver

import (
	"iter"
	"runtime"
)

// ordered calls f for 0 to n-1 on all cores and yields the results in order,
// no more than a few batches ahead of who takes them. All calls have ended
// when the iteration has.
func ordered[T any](n int, f func(i int) T) iter.Seq[T] {
	const batch = 16
	return func(yield func(T) bool) {
		pending := make(chan chan []T, runtime.GOMAXPROCS(0))
		stop := make(chan struct{})
		go func() {
			defer close(pending)
			for from := 0; from < n; from += batch {
				result := make(chan []T, 1)
				select {
				case pending <- result:
				case <-stop:
					return
				}
				go func() {
					part := make([]T, 0, batch)
					for i := from; i < min(from+batch, n); i++ {
						part = append(part, f(i))
					}
					result <- part
				}()
			}
		}()
		defer func() {
			close(stop)
			for result := range pending {
				<-result
			}
		}()
		for result := range pending {
			for _, v := range <-result {
				if !yield(v) {
					return
				}
			}
		}
	}
}
