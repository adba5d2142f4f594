package shard_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/internal/shard"
)

// Every name is in exactly one shard, and the shards are about as large as each other.
func TestSplit(t *testing.T) {
	t.Parallel()
	sizes := make([]int, 7)
	for i := range 7000 {
		name, owners := fmt.Sprintf("cluster/%d.tar.gz.age", i), 0
		require.True(t, shard.Shard{}.Has(name), "without shards everything is everybody's")
		for index := range 7 {
			if (shard.Shard{Index: index, Of: 7}).Has(name) {
				owners++
				sizes[index]++
			}
		}
		require.Equal(t, 1, owners, name)
	}
	for _, size := range sizes {
		require.InDelta(t, 1000, size, 150)
	}
	// Which shard a name is in is written down in ledgers: it does not change.
	require.Equal(t, uint64(0x0a67bba7da46793c), shard.Hash("a.tar.gz"))
}

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := shard.Parse("3/4")
	require.NoError(t, err)
	require.Equal(t, "3/4", s.String())
	require.Empty(t, shard.Shard{}.String())
	for _, text := range []string{"", "4/4", "-1/4", "0/0", "1", "a/b", "0/4/2"} {
		_, err := shard.Parse(text)
		require.ErrorIs(t, err, shard.Err, text)
	}
}
