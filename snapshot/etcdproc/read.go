package etcdproc

import (
	"bytes"
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

const (
	// runKeys is the number of neighbouring keys that are asked for at once.
	// etcd sizes the chunks of its answer by the chunks before, ten keys at
	// first: a few hundred small records followed by large ones stay far below
	// gRPC's 2 GiB for a message, some ten thousand would not.
	runKeys = 512

	// gapKeys is the number of keys for whose sake a run is not cut: a request
	// takes as long as reading that many records.
	gapKeys = 16
)

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

// run is a stretch of the keyspace: the keys that match, at least one, and
// span of them and others in all.
type run struct {
	keys [][]byte
	span int
}

// runs lists the keys alive at rev and puts neighbours that match together.
func (p *Proc) runs(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[run, error] {
	return func(yield func(run, error) bool) {
		var r run
		gap := 0 // keys since the last that matched
		for kv, err := range p.stream(ctx, &pb.RangeRequest{
			Key: []byte{0}, RangeEnd: []byte{0}, // all keys
			Revision: rev, KeysOnly: true, Serializable: true,
		}) {
			if err != nil {
				yield(run{}, err)
				return
			}
			if match != nil && !match(kv.Key) {
				gap++
				continue
			}
			if r.span > 0 && (gap > gapKeys || r.span+gap >= runKeys) {
				if !yield(r, nil) {
					return
				}
				r = run{}
			}
			if r.span > 0 {
				r.span += gap
			}
			gap = 0
			r.keys = append(r.keys, kv.Key)
			r.span++
		}
		if r.span > 0 {
			yield(r, nil)
		}
	}
}

// fetch yields the records of a run; more is false when the caller has had
// enough. A key that was listed and is not handed out would be a loss in
// silence.
func (p *Proc) fetch(ctx context.Context, rev int64, r run, yield func(snapshot.KeyValue, error) bool) (more bool, err error) {
	wanted, last := r.keys, r.keys[len(r.keys)-1]
	for kv, err := range p.stream(ctx, &pb.RangeRequest{
		Key: wanted[0], RangeEnd: append(bytes.Clone(last), 0), // up to last, inclusive
		Revision: rev, Serializable: true,
	}) {
		if err != nil {
			return false, err
		}
		if len(wanted) == 0 || !bytes.Equal(kv.Key, wanted[0]) {
			continue
		}
		wanted = wanted[1:]
		if !yield(kv, nil) {
			return false, nil
		}
	}
	if len(wanted) > 0 {
		return false, fmt.Errorf("etcd lists key %q and does not hand it out", wanted[0])
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
	switch said := rpctypes.Error(err); {
	case errors.Is(said, rpctypes.ErrCompacted):
		return fmt.Errorf("revision %d: %w (compacted at %d)", rev, snapshot.ErrCompacted, p.hello.First)
	case errors.Is(said, rpctypes.ErrFutureRev):
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
