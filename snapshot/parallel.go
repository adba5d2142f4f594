package snapshot

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// guard runs a function that reads mapped memory; see region.guarded. A fault
// shows in the goroutine that meets it, so that each needs one of its own.
type guard func(func() error) error

// inParts runs do for the parts 0 to n-1 on all cores. It returns the error of
// the first part that has one; parts that were not begun by then are left out.
func inParts(n int, guard guard, do func(part int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for !failed.Load() {
				part := int(next.Add(1)) - 1
				if part >= n {
					return
				}
				if errs[part] = guard(func() error { return do(part) }); errs[part] != nil {
					failed.Store(true)
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// subtree is what hangs below a branch element.
type subtree struct {
	id        uint64
	low, high []byte // bounds of its keys
	depth     int
}

// subtreesPerCore keeps the cores busy alike where subtrees differ in size.
const subtreesPerCore = 16

// walkKeys is walk for bucket "key", with its subtrees on all cores.
func (s *structure) walkKeys(root uint64, guard guard) error {
	trees := []subtree{{id: root}}
	for len(trees) < subtreesPerCore*runtime.GOMAXPROCS(0) {
		children, err := s.children(trees)
		if err != nil {
			return err
		}
		if len(children) == 0 {
			break
		}
		trees = children
	}
	parts := make([]structure, len(trees))
	err := inParts(len(trees), guard, func(i int) error {
		t := trees[i]
		parts[i] = structure{meta: s.meta, ctx: s.ctx, data: s.data, seen: s.seen}
		return parts[i].walk(t.id, t.low, t.high, parts[i].revisionElement, t.depth)
	})
	for i := range parts {
		s.used += parts[i].used
		s.leaves.append(parts[i].leaves)
	}
	return err
}

// children are the subtrees one level down, nil as soon as one of the trees is
// no branch page: then they are small.
func (s *structure) children(trees []subtree) ([]subtree, error) {
	for _, t := range trees {
		if t.id < 2 || t.id >= s.pages || parsePage(t.id, s.data[int64(t.id)*s.pageSize:]).flags != branchFlag {
			return nil, nil
		}
	}
	var all []subtree
	for _, t := range trees {
		p, err := s.enter(t.id, t.depth)
		if err != nil {
			return nil, err
		}
		if err := s.branch(p, t.low, t.high, func(id uint64, low, high []byte) error {
			all = append(all, subtree{id, low, high, t.depth + 1})
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}
