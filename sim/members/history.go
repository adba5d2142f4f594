package members

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// registers is over how many keys the load's reads and writes are spread:
// porcupine judges each by itself.
const registers = 8

// maxOperations is how many operations are kept: porcupine's time grows with
// them.
const maxOperations = 20_000

// register is the key of the load's n-th operation.
func register(n int) string { return "/lifeboat/register/" + strconv.Itoa(n%registers) }

// history is the load as its clients saw it.
type history struct {
	now func() time.Duration

	mu  sync.Mutex
	all []porcupine.Operation
}

// access is one operation on a register; a write's value is told by no other.
type access struct {
	key, value int
	read       bool
}

// begin takes down an operation that is about to be sent. What it returns
// takes down its end; without that it may still happen at any time.
func (h *history) begin(a access) (end func(value int)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := len(h.all)
	if i >= maxOperations {
		return func(int) {}
	}
	h.all = append(h.all, porcupine.Operation{ClientId: i, Input: a, Call: int64(h.now()), Return: math.MaxInt64})
	return func(value int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if a.read && len(h.all) == maxOperations {
			return // it may have seen a write that was not kept
		}
		h.all[i].Return, h.all[i].Output = int64(h.now()), value
	}
}

// operations are those that say something: a read without an answer does not.
func (h *history) operations() []porcupine.Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []porcupine.Operation
	for _, op := range h.all {
		if !op.Input.(access).read || op.Return != math.MaxInt64 {
			out = append(out, op)
		}
	}
	return out
}

// judgeLimit is how long porcupine may think.
const judgeLimit = 20 * time.Second

var errUndecided = fmt.Errorf("deciding whether the load was linearizable took more than %s", judgeLimit)

// Linearizable judges the load's history with porcupine. It is
// sim.ErrUnsupported when the drill did not ask for that.
func (c *cluster) Linearizable(ctx context.Context) error {
	if !c.holds(sim.Linearizable) {
		return sim.ErrUnsupported
	}
	limit := judgeLimit
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	switch porcupine.CheckOperationsTimeout(model(), c.load.history.operations(), limit) {
	case porcupine.Illegal:
		return &sim.InvariantError{Name: sim.Linearizable, At: c.Now(), Detail: "the reads and writes of the load fit no order"}
	case porcupine.Unknown:
		return errors.Join(errUndecided, ctx.Err())
	}
	return nil
}

// model is a register that holds the value written last, 0 at first.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			parts := make([][]porcupine.Operation, registers)
			for _, op := range all {
				key := op.Input.(access).key
				parts[key] = append(parts[key], op)
			}
			return parts
		},
		Init: func() any { return 0 },
		Step: func(state, input, output any) (bool, any) {
			in := input.(access)
			if in.read {
				return output.(int) == state.(int), state
			}
			return true, in.value
		},
	}
}
