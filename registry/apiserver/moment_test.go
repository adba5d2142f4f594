package apiserver_test

import (
	"bytes"
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Without a Lease, ages count to what the objects' own times tell: none is
// <invalid>, and the newest revision is about as old as with Leases.
func TestMomentWithoutLeases(t *testing.T) {
	t.Parallel()
	opts := harbourOptions(t)
	facts, err := serve(t, opts).handler.Facts(t.Context())
	require.NoError(t, err)

	opts.Reader = withoutLeases{opts.Reader.(snapshot.History)}
	s := serve(t, opts)
	told, err := s.handler.Facts(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, facts.Moment, told.Moment, 2*time.Minute)
	table := s.get(t, "/api/v1/pods", "Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
	require.NotContains(t, string(table.body), "invalid")

	opts.Reader = opts.Reader.(withoutLeases).Reader()
	told, err = serve(t, opts).handler.Facts(t.Context())
	require.NoError(t, err)
	require.Zero(t, told.Moment, "one revision alone has no clock")
}

// withoutLeases hides the Leases of a database.
type withoutLeases struct{ snapshot.History }

func (w withoutLeases) At(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return w.History.At(ctx, rev, noLease(match))
}

func (w withoutLeases) Changes(ctx context.Context, match func(key []byte) bool) iter.Seq2[snapshot.Record, error] {
	return w.History.Changes(ctx, noLease(match))
}

// Reader shows one revision at a time.
func (w withoutLeases) Reader() snapshot.Reader { return struct{ snapshot.Reader }{w} }

func noLease(match func(key []byte) bool) func(key []byte) bool {
	return func(key []byte) bool {
		return !bytes.Contains(key, []byte("/leases/")) && (match == nil || match(key))
	}
}
