package apiserver

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// index knows what was alive at a revision: per resource the records in the
// order of their keys, as etcd lists them. Keys and values stay in the
// database.
type index struct {
	revision int64
	registry *registry.Registry
	records  map[schema.GroupResource][]snapshot.KeyValue
	objects  int

	moment  func() time.Time        // to which ages count
	printer func() *printer.Printer // made when a table or an object is asked for
}

func (s *Server) buildIndex(ctx context.Context, revision int64) (*index, error) {
	opts := s.opts.Registry
	opts.Revision = revision
	idx := &index{revision: revision, registry: registry.New(s.opts.Reader, opts), records: map[schema.GroupResource][]snapshot.KeyValue{}}
	for entry, err := range idx.registry.Entries(ctx, func(k registry.Key) bool { return !k.System }) {
		if err != nil {
			return nil, err
		}
		gr := entry.Key.GroupResource()
		idx.records[gr] = append(idx.records[gr], entry.KV)
		idx.objects++
	}
	for _, records := range idx.records {
		slices.SortFunc(records, func(a, b snapshot.KeyValue) int { return bytes.Compare(a.Key, b.Key) })
	}
	idx.moment = sync.OnceValue(func() time.Time { return s.momentOf(idx) })
	idx.printer = sync.OnceValue(func() *printer.Printer { return printer.New(s.catalog.resources, idx.moment()) })
	return idx, nil
}

// momentOf is the newest renewal of a Lease, which kubelets write every ten
// seconds; without one, what the objects' own times tell of the revision.
func (s *Server) momentOf(idx *index) time.Time {
	newest := time.Time{}
	for _, record := range idx.records[schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}] {
		lease, ok := s.decode(context.Background(), idx, record).Typed.(*coordinationv1.Lease)
		if ok && lease.Spec.RenewTime != nil && lease.Spec.RenewTime.After(newest) {
			newest = lease.Spec.RenewTime.Time
		}
	}
	if newest.IsZero() {
		if clock := s.clock(); clock != nil {
			newest = clock.Time(idx.revision).Time()
		}
	}
	return newest.UTC()
}

// under are the records of a resource whose keys begin with prefix and do not
// stand before from.
func (idx *index) under(gr schema.GroupResource, prefix, from string) []snapshot.KeyValue {
	records := idx.records[gr]
	start := sort.Search(len(records), func(i int) bool { return string(records[i].Key) >= max(prefix, from) })
	end := start + sort.Search(len(records)-start, func(i int) bool {
		key := records[start+i].Key
		return string(key) > prefix && !bytes.HasPrefix(key, []byte(prefix))
	})
	return records[start:end]
}

// find is the record of one key.
func (idx *index) find(gr schema.GroupResource, key string) (snapshot.KeyValue, bool) {
	records := idx.records[gr]
	i := sort.Search(len(records), func(i int) bool { return string(records[i].Key) >= key })
	if i < len(records) && string(records[i].Key) == key {
		return records[i], true
	}
	return snapshot.KeyValue{}, false
}

// mostIndexed bounds the indexes that are kept, in objects: 100 bytes each.
const mostIndexed = 2_000_000

// indexes keeps the indexes that were asked for last, within mostIndexed, and
// always the newest revision's.
type indexes struct {
	mu     sync.Mutex
	byRev  map[int64]*pendingIndex
	recent []int64 // the one used last at the end
	build  func(ctx context.Context, revision int64) (*index, error)
	pinned int64

	building chan struct{} // a place for each that is built at the same time

	life  context.Context // of all builds
	end   context.CancelFunc
	under sync.WaitGroup // builds
}

func newIndexes(pinned int64, build func(ctx context.Context, revision int64) (*index, error)) *indexes {
	const atOnce = 2
	x := &indexes{byRev: map[int64]*pendingIndex{}, build: build, pinned: pinned, building: make(chan struct{}, atOnce)}
	x.life, x.end = context.WithCancel(context.Background())
	return x
}

// close ends what is being built, and waits for it.
func (x *indexes) close() {
	x.end()
	x.under.Wait()
}

// pendingIndex is built once, however many ask for it meanwhile.
type pendingIndex struct {
	done chan struct{}
	idx  *index
	err  error
}

func (x *indexes) at(ctx context.Context, revision int64) (*index, error) {
	x.mu.Lock()
	p, ok := x.byRev[revision]
	if !ok {
		p = &pendingIndex{done: make(chan struct{})}
		x.byRev[revision] = p
		x.under.Add(1)
		go func() {
			defer x.under.Done()
			x.building <- struct{}{}
			p.idx, p.err = x.build(x.life, revision) // whoever asked first may go away; others wait for it
			<-x.building
			close(p.done)
			x.trim(revision, p)
		}()
	}
	x.recent = append(slices.DeleteFunc(x.recent, func(r int64) bool { return r == revision }), revision)
	x.mu.Unlock()
	select {
	case <-p.done:
		return p.idx, p.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// trim forgets a failed index, and the ones not used for longest.
func (x *indexes) trim(revision int64, p *pendingIndex) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p.err != nil {
		x.forget(revision)
	}
	objects := 0
	for _, r := range slices.Backward(slices.Clone(x.recent)) {
		built := x.byRev[r]
		select {
		case <-built.done:
		default:
			continue
		}
		if built.idx == nil {
			continue // failed, and about to be forgotten
		}
		if objects += built.idx.objects; objects > mostIndexed && r != x.pinned && r != revision {
			x.forget(r)
		}
	}
}

func (x *indexes) forget(revision int64) {
	delete(x.byRev, revision)
	x.recent = slices.DeleteFunc(x.recent, func(r int64) bool { return r == revision })
}

func definitionResource() schema.GroupResource {
	return schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
}
