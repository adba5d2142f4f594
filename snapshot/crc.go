package snapshot

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crcOf is a CRC-32C of some bytes, together with how many they are: what it
// takes to put two of them together without the bytes.
type crcOf struct {
	sum  uint32
	size int64
}

func (c *crcOf) write(b []byte) {
	c.sum = crc32.Update(c.sum, castagnoli, b)
	c.size += int64(len(b))
}

// then is the checksum of c's bytes with next's behind them (zlib crc32.c,
// crc32_combine): behind n more bytes, a checksum is worth itself times x to the
// power of 8n, modulo the polynomial.
func (c crcOf) then(next crcOf) crcOf {
	const x8 = 1 << (31 - 8) // polynomials stand with their highest power in the lowest bit
	factor, power := uint32(1<<31), uint32(x8)
	for n := next.size; n > 0; n >>= 1 {
		if n&1 != 0 {
			factor = crcProduct(factor, power)
		}
		power = crcProduct(power, power)
	}
	return crcOf{crcProduct(factor, c.sum) ^ next.sum, c.size + next.size}
}

// crcProduct multiplies two polynomials modulo Castagnoli's.
func crcProduct(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		odd := b & 1
		if b >>= 1; odd != 0 {
			b ^= crc32.Castagnoli
		}
	}
	return product
}
