package ctxio_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

func TestReader(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := ctxio.Reader(ctx, strings.NewReader("content"))
	_, err := io.ReadFull(r, make([]byte, 3))
	require.NoError(t, err)
	cancel()
	n, err := r.Read(make([]byte, 3))
	require.Zero(t, n)
	require.ErrorIs(t, err, context.Canceled)
}
