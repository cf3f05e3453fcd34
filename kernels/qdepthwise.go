package kernels

import "unsafe"

// qDepthwise is an int8 depthwise convolution.
type qDepthwise struct {
	level   Level
	plan    *dwPlan
	packed  []byte
	block   int // bytes of a packed block
	pad     []int8
	lo, hi  float32
	outZero int32
}

func newQDepthwise(l Level, p *QConvParams) *qDepthwise {
	plan, l, shape := newDWPlan(p.Shape, l, qdwShape, 1)
	cb, taps := shape.cb, plan.taps
	if shape.pairs {
		taps = roundUp(taps, 2)
	}
	d := &qDepthwise{
		level: l, plan: plan, block: cb * (8 + 2*taps), pad: make([]int8, p.Shape.C),
		lo: float32(p.Lo - p.OutZero), hi: float32(p.Hi - p.OutZero), outZero: p.OutZero,
	}
	setAll(d.pad, int8(p.InZero))
	d.packed = alignedBytes(plan.blocks * d.block)
	for b := range plan.blocks {
		bias := view[int32](d.packed, b*d.block, cb)
		w := view[int16](d.packed, b*d.block+4*cb, cb*taps)
		scale := view[float32](d.packed, (b+1)*d.block-4*cb, cb)
		c0 := plan.blockStart(b, cb)
		for i := range min(cb, p.Shape.C-c0) {
			c, lane := c0+i, i
			if shape.pairs {
				lane = dwLane(i, cb)
			}
			var sum int32
			for t := range plan.taps {
				v := int32(p.Weights[c*plan.taps+t]) - p.WeightZero
				if shape.pairs {
					w[(t/2*cb+lane)*2+t%2] = int16(v)
				} else {
					w[t*cb+lane] = int16(v)
				}
				sum += v
			}
			bias[lane] = -p.InZero * sum
			if p.Bias != nil {
				bias[lane] += p.Bias[c]
			}
			scale[lane] = perChannel(p.Scale, c)
		}
	}
	return d
}

// dwLane returns where the kernels that interleave two taps within lanes of
// eight channels sum channel i of a block: first the channels 0-3 of every
// eight, then the channels 4-7.
func dwLane(i, cb int) int { return i%8/4*(cb/2) + i/8*4 + i%4 }

func (d *qDepthwise) run(dst, src []int8, scratch []byte, t0, t1 int) {
	p := d.plan
	s := &p.s
	checkRun(len(dst), s.OutLen(), len(src), s.InLen(), len(scratch), p.scratchBytes())
	off := view[int32](alignUp(scratch), 0, s.OW*p.taps)
	a := qDWArgs{Taps: uintptr(p.taps), LDC: uintptr(s.C), Lo: d.lo, Hi: d.hi, Zero: d.outZero}
	for row := t0 * p.rows; row < min(t1*p.rows, s.N*s.OH); row++ {
		start, table := p.source(row%s.OH, off)
		in := src[row/s.OH*s.H*s.W*s.C+start:]
		for x := 0; x < s.OW; x += p.chunk {
			out := dst[(row*s.OW+x)*s.C:]
			a.Off, a.Pixels = &table[x*p.taps], uintptr(min(p.chunk, s.OW-x))
			a.A, a.Pad, a.Out = unsafe.Pointer(&in[0]), unsafe.Pointer(&d.pad[0]), unsafe.Pointer(&out[0])
			a.C, a.W = uintptr(p.main), unsafe.Pointer(&d.packed[0])
			qdw(d.level, &a)
			if c := p.overlap; c >= 0 {
				a.A, a.Pad, a.Out = unsafe.Pointer(&in[c]), unsafe.Pointer(&d.pad[c]), unsafe.Pointer(&out[c])
				a.C, a.W = uintptr(s.C-c), unsafe.Pointer(&d.packed[(p.blocks-1)*d.block])
				qdw(d.level, &a)
			}
		}
	}
}
