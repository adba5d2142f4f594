package snapshot

import (
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestChecksumsPutTogether: the checksums of parts, put together, are that of
// the whole.
func TestChecksumsPutTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var whole []byte
		var sum crcOf
		for _, size := range rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 8).Draw(t, "sizes") {
			part := rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "part")
			whole = append(whole, part...)
			var c crcOf
			c.write(part)
			sum = sum.then(c)
		}
		require.Equal(t, crc32.Checksum(whole, castagnoli), sum.sum)
		require.EqualValues(t, len(whole), sum.size)
	})
}
