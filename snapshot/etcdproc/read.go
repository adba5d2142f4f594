package etcdproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// runKeys is the number of neighbouring keys that are asked for at once. etcd
// sizes the chunks of its answer by the chunks before, ten keys at first: a
// few hundred small records followed by large ones stay far below gRPC's 2 GiB
// for a message, some ten thousand would not.
const runKeys = 512

// Revision is the newest revision of the keyspace.
func (p *Proc) Revision() int64 { return p.hello.Revision }

// At meets [snapshot.Reader]; the order is that of the keys. It lists keys
// first, from etcd's index in memory, and then fetches only the values of
// those that match.
func (p *Proc) At(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		switch {
		case rev < 0: // etcd would take it for the newest
			yield(snapshot.KeyValue{}, fmt.Errorf("revision %d is negative", rev))
			return
		case rev == 0:
			rev = p.hello.Revision
		}
		for run, err := range p.runs(ctx, rev, match) {
			if err == nil {
				var more bool
				if more, err = p.fetch(ctx, rev, run, yield); !more && err == nil {
					return
				}
			}
			if err != nil {
				yield(snapshot.KeyValue{}, p.explain(ctx, rev, err))
				return
			}
		}
	}
}

// run is a stretch of the keyspace all of whose n keys match.
type run struct {
	first, last []byte
	n           int
}

// runs lists the keys alive at rev and puts neighbours that match together.
func (p *Proc) runs(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[run, error] {
	return func(yield func(run, error) bool) {
		var r run
		for kv, err := range p.stream(ctx, &pb.RangeRequest{
			Key: []byte{0}, RangeEnd: []byte{0}, // all keys
			Revision: rev, KeysOnly: true, Serializable: true,
		}) {
			if err != nil {
				yield(run{}, err)
				return
			}
			take := match == nil || match(kv.Key)
			if r.n > 0 && (!take || r.n == runKeys) {
				if !yield(r, nil) {
					return
				}
				r = run{}
			}
			if !take {
				continue
			}
			if r.n == 0 {
				r.first = kv.Key
			}
			r.last = kv.Key
			r.n++
		}
		if r.n > 0 {
			yield(r, nil)
		}
	}
}

// fetch yields the records of a run; more is false when the caller has had
// enough. Fewer or more records than keys listed would be a loss in silence.
func (p *Proc) fetch(ctx context.Context, rev int64, r run, yield func(snapshot.KeyValue, error) bool) (more bool, err error) {
	n := 0
	for kv, err := range p.stream(ctx, &pb.RangeRequest{
		Key: r.first, RangeEnd: append(r.last[:len(r.last):len(r.last)], 0), // up to last, inclusive
		Revision: rev, Serializable: true,
	}) {
		if err != nil {
			return false, err
		}
		n++
		if !yield(kv, nil) {
			return false, nil
		}
	}
	if n != r.n {
		return false, fmt.Errorf("etcd has %d keys between %q and %q and handed out %d", r.n, r.first, r.last, n)
	}
	return true, nil
}

// stream yields the answer to one request.
func (p *Proc) stream(ctx context.Context, req *pb.RangeRequest) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		ctx, cancel := context.WithCancel(ctx) // ends the stream when the caller has had enough
		defer cancel()
		s, err := pb.NewKVClient(p.api).RangeStream(ctx, req)
		if err != nil {
			yield(snapshot.KeyValue{}, err)
			return
		}
		for {
			answer, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(snapshot.KeyValue{}, err)
				return
			}
			for _, kv := range answer.GetRangeResponse().GetKvs() {
				if !yield(snapshot.KeyValue{
					Key: kv.Key, Value: kv.Value,
					CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision,
					Version: kv.Version, Lease: kv.Lease,
				}, nil) {
					return
				}
			}
		}
	}
}

// explain puts an error of the API into the terms of package snapshot, and
// looks behind the one that says only that nobody is there any more.
func (p *Proc) explain(ctx context.Context, rev int64, err error) error {
	switch rpctypes.Error(err) {
	case rpctypes.ErrCompacted:
		return fmt.Errorf("revision %d: %w (compacted at %d)", rev, snapshot.ErrCompacted, p.hello.First)
	case rpctypes.ErrFutureRev:
		return fmt.Errorf("revision %d: %w (the newest is %d)", rev, snapshot.ErrFutureRevision, p.hello.Revision)
	}
	if status.Code(err) == codes.Unavailable { // the child is gone, or about to be
		select {
		case <-p.done:
			err = p.exit
		case <-ctx.Done():
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("reading revision %d from etcd: %w", rev, err)
}

// dial returns a client over the one connection that there is: a connection
// that went idle could not be made again.
func dial(conn net.Conn) (*grpc.ClientConn, error) {
	var used atomic.Bool
	return grpc.NewClient("passthrough:///etcd",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		grpc.WithIdleTimeout(0),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, net.ErrClosed
			}
			return conn, nil
		}))
}
