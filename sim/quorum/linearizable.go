package quorum

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// maxOperations is how many reads and writes are kept for porcupine: its time
// grows with them.
const maxOperations = 20_000

// operations is the load as its clients saw it.
type operations struct {
	keep bool
	all  []porcupine.Operation
	open map[uint64]int
}

func newOperations(keep bool) *operations { return &operations{keep: keep, open: map[uint64]int{}} }

// register is an operation on one key.
type register struct {
	key, value uint64
	read       bool
}

func (o *operations) begin(now time.Duration, r *request) {
	if !o.keep || len(o.all) >= maxOperations {
		return
	}
	o.open[r.id] = len(o.all)
	o.all = append(o.all, porcupine.Operation{
		ClientId: len(o.all), Input: register{key: r.key, value: r.id, read: r.read}, Call: int64(now), Return: math.MaxInt64,
	})
}

// end takes the answer. A write without one may still happen at any later time;
// a read without one says nothing.
func (o *operations) end(now time.Duration, r *request) {
	i, ok := o.open[r.id]
	if !ok {
		return
	}
	delete(o.open, r.id)
	full := len(o.all) == maxOperations // a read may have seen a write that was not kept
	if r.err == nil && !(r.read && full) {
		o.all[i].Return, o.all[i].Output = int64(now), r.value
	}
}

// Linearizable judges the load's history with porcupine. It is
// sim.ErrUnsupported when no history was kept.
func (c *Cluster) Linearizable(ctx context.Context) error {
	if !c.ops.keep {
		return sim.ErrUnsupported
	}
	history := c.ops.history()
	limit := 10 * time.Second
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	switch porcupine.CheckOperationsTimeout(registerModel(), history, limit) {
	case porcupine.Illegal:
		return &sim.InvariantError{Name: sim.Linearizable, At: c.now, Detail: "the reads and writes of the load fit no order"}
	case porcupine.Unknown:
		return errUndecided
	}
	return nil
}

// history leaves out what says nothing: reads without an answer, and writes
// without one whose value nobody read. Such a write fits behind all others, and
// porcupine's time grows with the operations that are open at once.
func (o *operations) history() []porcupine.Operation {
	seen := map[uint64]bool{}
	for _, op := range o.all {
		if op.Input.(register).read && op.Return != math.MaxInt64 {
			seen[op.Output.(uint64)] = true
		}
	}
	var history []porcupine.Operation
	for _, op := range o.all {
		in := op.Input.(register)
		if op.Return != math.MaxInt64 || (!in.read && seen[in.value]) {
			history = append(history, op)
		}
	}
	return history
}

var errUndecided = errors.New("deciding whether the load was linearizable took too long")

func registerModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			parts := make([][]porcupine.Operation, registers)
			for _, op := range history {
				key := op.Input.(register).key
				parts[key] = append(parts[key], op)
			}
			return parts
		},
		Init: func() any { return uint64(0) },
		Step: func(state, input, output any) (bool, any) {
			in := input.(register)
			if in.read {
				return output.(uint64) == state.(uint64), state
			}
			return true, in.value
		},
	}
}

func isBroken(err error) bool { return errors.Is(err, sim.ErrInvariant) }
