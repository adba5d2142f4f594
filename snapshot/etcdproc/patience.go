package etcdproc

import (
	"context"
	"fmt"
	"time"
)

// Patience is how long a child may take. It counts what the child gets done, not
// the clock on the wall: a host that stands still, or has no time for the child,
// does not make it look hung. The zero value waits for ever.
type Patience struct {
	// Idle is how long the child may do nothing: use no processor, read and write
	// nothing, wait for no disk. Only while this process runs itself.
	Idle time.Duration
	// CPU is how much processor time the child may use.
	CPU time.Duration
	// Total is how long it may run in all, while this process runs itself.
	Total time.Duration
}

// effort is what a process has done so far.
type effort struct {
	cpu     time.Duration
	bytes   uint64 // read and written
	waiting bool   // for a disk
}

// lookEvery is how often a child is looked at.
const lookEvery = 250 * time.Millisecond

// watch ends a child that has used up the patience, by cancel. Where a system
// does not tell what a process does, nobody is ended.
func (p Patience) watch(ctx context.Context, pid int, cancel context.CancelCauseFunc) {
	if p == (Patience{}) {
		return
	}
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	var last effort
	for idle, total := time.Duration(0), lookEvery; ; total += lookEvery {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C: // late on a busy host, and then once
		}
		now, known := effortOf(pid)
		switch {
		case !known:
			return
		case now != last || now.waiting:
			idle = 0
		default:
			idle += lookEvery
		}
		last = now
		switch {
		case p.Idle > 0 && idle >= p.Idle:
			cancel(fmt.Errorf("it has done nothing for %s", p.Idle))
			return
		case p.Total > 0 && total >= p.Total:
			cancel(fmt.Errorf("no end after %s", p.Total))
			return
		case p.CPU > 0 && now.cpu > p.CPU:
			cancel(fmt.Errorf("no end after %s of processor time", p.CPU))
			return
		}
	}
}
