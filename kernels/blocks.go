package kernels

import "math"

// Blocks is the quantization of a tensor whose codes, of 4 or 8 bits, share a
// scale in blocks along the innermost dimension. The last block of a row may be
// shorter. Two codes of 4 bits lie in a byte, the first one low; rows follow
// each other without a gap, so one may begin in the middle of a byte.
type Blocks struct {
	Bits     int // 4 or 8
	Unsigned bool
	Inner    int       // elements of a row
	Block    int       // elements of a block
	Scale    []float32 // of every block, row by row
	Zero     []int32   // likewise; empty: all zero
}

// DequantizeBlocks sets dst[i] = float32(code[i]-zero) * scale of i's block, for
// all elements of dst, which are whole rows.
func DequantizeBlocks(b *Blocks, dst []float32, codes []byte) {
	b.each(len(dst), codes, func(i, block int, code int32) { dst[i] = float32(code) * b.Scale[block] })
}

// each calls f for the first n elements, whole rows, with the block of each and
// its code minus zero point.
func (b *Blocks) each(n int, codes []byte, f func(i, block int, code int32)) {
	at, block := 0, 0
	for at < n {
		for end := at + b.Inner; at < end; block++ {
			zero := int32(0)
			if len(b.Zero) > 0 {
				zero = b.Zero[block]
			}
			for stop := min(at+b.Block, end); at < stop; at++ {
				f(at, block, b.code(codes, at)-zero)
			}
		}
	}
}

// span returns the least and the greatest code minus zero point, or for plain
// signed codes their limits.
func (b *Blocks) span(codes []byte) (least, most int32) {
	if !b.Unsigned && len(b.Zero) == 0 {
		return -1 << (b.Bits - 1), 1<<(b.Bits-1) - 1
	}
	least, most = math.MaxInt32, math.MinInt32
	rows := len(b.Scale) / ((b.Inner + b.Block - 1) / b.Block)
	b.each(rows*b.Inner, codes, func(_, _ int, code int32) {
		least, most = min(least, code), max(most, code)
	})
	return least, most
}

func (b *Blocks) code(codes []byte, i int) int32 {
	if b.Bits == 8 {
		if b.Unsigned {
			return int32(codes[i])
		}
		return int32(int8(codes[i]))
	}
	c := codes[i/2] >> (i % 2 * 4) & 15
	if b.Unsigned {
		return int32(c)
	}
	return int32(int8(c<<4) >> 4)
}
