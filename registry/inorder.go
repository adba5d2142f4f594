package registry

import (
	"iter"
	"runtime"
	"sync"
)

// ahead is how many results may wait for their turn, for each core: enough to
// even out large objects and small ones, few enough to bound memory.
const ahead = 16

// inOrder does work on what comes in on all cores and yields the results in
// the order of the input. work must not touch what other calls touch. The input
// is read by one goroutine at a time, and never after the loop over the results
// has ended.
func inOrder[In, Out any](in iter.Seq[In], work func(In) Out) iter.Seq2[In, Out] {
	cores := runtime.GOMAXPROCS(0)
	if cores == 1 {
		return func(yield func(In, Out) bool) {
			for item := range in {
				if !yield(item, work(item)) {
					return
				}
			}
		}
	}
	return func(yield func(In, Out) bool) {
		type task struct {
			in   In
			out  Out
			done chan struct{}
		}
		tasks := make(chan *task)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer close(tasks)
		for range cores {
			workers.Go(func() {
				for t := range tasks {
					t.out = work(t.in)
					close(t.done)
				}
			})
		}
		var waiting []*task // in the order of the input
		first := func() bool {
			t := waiting[0]
			waiting = waiting[1:]
			<-t.done
			return yield(t.in, t.out)
		}
		for item := range in {
			t := &task{in: item, done: make(chan struct{})}
			tasks <- t
			waiting = append(waiting, t)
			if len(waiting) >= ahead*cores && !first() {
				return
			}
		}
		for len(waiting) > 0 {
			if !first() {
				return
			}
		}
	}
}
