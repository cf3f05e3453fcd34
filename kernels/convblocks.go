package kernels

import (
	"math"
	"unsafe"
)

// blockPanels are the weights of a float32 product as codes of 4 or 8 bits in
// blocks ([Blocks]), packed panel by panel for one level. A product of one row
// or two reads the codes themselves, which are a fraction of the bytes; of more rows a task
// unpacks a panel to its scratch and multiplies all of its rows with that. Either
// way a weight is float32(code-zero) * scale, rounded once, as [DequantizeBlocks] has it.
//
// A panel is [NR]float32 bias and then, for every tap, the blocks of its channels, each
//
//	[NR]float32 scale, [ceil(k/8)][NR]uint32    of 4 bits: bits 4i of word j are k = 8j+i
//	[NR]float32 scale, [k][NR]int8              of 8 bits
//
// where a code has its zero point subtracted.
type blockPanels struct {
	bits         int
	segments     int // KH·KW
	inner, block int // channels of a tap, of a block
	nr           int
	packed       []byte
	panelBytes   int
}

// blockArgs describes one row by up to NR columns of a float32 product with a
// panel of codes:
//
//	acc[n] = one chain of fused multiply-adds from +0 over A[k] and the weights, k ascending
//	C[n]   = clamp(acc + bias[n]): x<Lo ? Lo : x, then x>Hi ? Hi : x
type blockArgs struct {
	A     unsafe.Pointer // [K]float32
	W     unsafe.Pointer // the panel
	C     unsafe.Pointer // float32
	K     uintptr
	Block uintptr // k of a block; the last one may be shorter
	Cols  uintptr // valid columns, 1..NR; nothing outside is written
	Lo    float32
	Hi    float32
}

// newBlockPanels packs p's codes for panels of nr columns, or returns nil if they do not fit 8 bits.
func newBlockPanels(p *ConvParams, plan *convPlan) *blockPanels {
	b := &blockPanels{bits: 4, segments: p.Shape.KH * p.Shape.KW, inner: plan.cg, block: min(p.Blocks.Block, plan.cg), nr: plan.tile.nr}
	perRow := ceilDiv(p.Blocks.Inner, p.Blocks.Block)
	switch least, most := p.Blocks.span(p.Codes); {
	case least < math.MinInt8 || most > math.MaxInt8:
		return nil
	case least < -8 || most > 7:
		b.bits = 8
	}
	full, rest := plan.cg/b.block, plan.cg%b.block
	segment := full * b.bytes(b.block)
	if rest > 0 {
		segment += b.bytes(rest)
	}
	b.panelBytes = roundUp(4*b.nr+b.segments*segment, cacheLine)
	b.packed = alignedBytes(p.Shape.Groups * plan.panels * b.panelBytes)
	for o := range p.Shape.O {
		panel := b.packed[(o/plan.og*plan.panels+o%plan.og/b.nr)*b.panelBytes:][:b.panelBytes]
		n := o % plan.og % b.nr
		if p.Bias != nil {
			view[float32](panel, 0, b.nr)[n] = p.Bias[o]
		}
		for s := range b.segments {
			for i := range perRow {
				at := 4*b.nr + s*segment + i*b.bytes(b.block)
				view[float32](panel, at, b.nr)[n] = p.Blocks.Scale[(o*b.segments+s)*perRow+i]
			}
		}
	}
	p.Blocks.each(p.Shape.WeightLen(), p.Codes, func(i, _ int, code int32) {
		o, s, k := i/plan.depth, i%plan.depth/b.inner, i%b.inner
		n := o % plan.og % b.nr
		at := (o/plan.og*plan.panels+o%plan.og/b.nr)*b.panelBytes + 4*b.nr + s*segment + k/b.block*b.bytes(b.block) + 4*b.nr
		k %= b.block
		if b.bits == 8 {
			b.packed[at+k*b.nr+n] = byte(code)
		} else {
			b.packed[at+(k/8*b.nr+n)*4+k%8/2] |= byte(code) & 15 << (k % 2 * 4)
		}
	})
	return b
}

// bytes is the packed size of a block of k.
func (b *blockPanels) bytes(k int) int {
	if b.bits == 8 {
		return b.nr * (4 + k)
	}
	return b.nr * (4 + 4*ceilDiv(k, 8))
}

// unpack writes panel i as [packPanels] would have packed it.
func (b *blockPanels) unpack(l Level, dst []float32, i int) {
	panel := b.packed[i*b.panelBytes:][:b.panelBytes]
	copy(dst[:b.nr], view[float32](panel, 0, b.nr))
	dst, panel = dst[b.nr:], panel[4*b.nr:]
	for range b.segments {
		for k := 0; k < b.inner; k += b.block {
			n := min(b.block, b.inner-k)
			unpackBlock(l, b.bits, dst[:n*b.nr], panel[:b.bytes(n)])
			dst, panel = dst[n*b.nr:], panel[b.bytes(n):]
		}
	}
}

// unpackBlockGo writes the weights [k][NR] of a packed block.
func unpackBlockGo(bits, nr int, dst []float32, block []byte) {
	scale := view[float32](block, 0, nr)
	for i := range dst {
		k, n := i/nr, i%nr
		var code int32
		if bits == 8 {
			code = int32(int8(block[4*nr+i]))
		} else {
			code = int32(int8(block[4*nr+(k/8*nr+n)*4+k%8/2]>>(k%2*4)<<4) >> 4)
		}
		dst[i] = float32(code) * scale[n]
	}
}

// gemv does one row of a panel.
func (b *blockPanels) gemv(l Level, a *gemmArgs) {
	gemvBlocks(l, b.bits, &blockArgs{
		A: a.A, W: a.W, C: a.C, K: uintptr(b.inner), Block: uintptr(b.block), Cols: a.Cols, Lo: a.Lo, Hi: a.Hi,
	})
}
