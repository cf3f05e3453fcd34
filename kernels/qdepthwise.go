package kernels

import "unsafe"

// qDepthwise is a depthwise convolution of int8 codes, or of int16 codes (16x8).
type qDepthwise struct {
	level   Level
	plan    *dwPlan
	packed  []byte
	block   int // bytes of a packed block
	pad     []int8
	lo, hi  float32
	outZero int32
}

// newQDepthwise packs the weights for level l. Codes are int16 if scale16 gives the
// scales, which are float64 then; else those of p count.
func newQDepthwise(l Level, p *QConvParams, scale16 func(o int) float64) *qDepthwise {
	shapeOf, elem, scaleSize := qdwShape, 1, 4
	if scale16 != nil {
		shapeOf, elem, scaleSize = dw16Shape, 2, 8
	}
	plan, l, shape := newDWPlan(p.Shape, l, shapeOf, elem)
	cb, taps := shape.cb, plan.taps
	if shape.pairs {
		taps = roundUp(taps, 2)
	}
	d := &qDepthwise{
		level: l, plan: plan, block: cb * (4 + 2*taps + scaleSize), pad: make([]int8, elem*p.Shape.C),
		lo: float32(p.Lo - p.OutZero), hi: float32(p.Hi - p.OutZero), outZero: p.OutZero,
	}
	setAll(d.pad, int8(p.InZero))
	d.packed = alignedBytes(plan.blocks * d.block)
	for b := range plan.blocks {
		bias := view[int32](d.packed, b*d.block, cb)
		w := view[int16](d.packed, b*d.block+4*cb, cb*taps)
		scales := (b+1)*d.block - scaleSize*cb
		for i := range cb {
			c, lane := plan.channel(b, i), i
			if c < 0 {
				break
			}
			if shape.pairs {
				lane = dwLane(i, cb)
			}
			var sum int32
			for t := range plan.taps {
				v := int32(p.Weights[c*plan.taps+t]) - p.WeightZero
				if shape.pairs {
					slot := t
					if plan.form == dwColumns {
						slot = columnSlots[t]
					}
					w[(slot/2*cb+lane)*2+slot%2] = int16(v)
				} else {
					w[t*cb+lane] = int16(v)
				}
				sum += v
			}
			bias[lane] = -p.InZero * sum
			if p.Bias != nil {
				bias[lane] += p.Bias[c]
			}
			if scale16 != nil {
				view[float64](d.packed, scales, cb)[lane] = scale16(c)
			} else {
				view[float32](d.packed, scales, cb)[lane] = perChannel(p.Scale, c)
			}
		}
	}
	return d
}

// columnSlots says where the kernels by columns want the taps of a 3x3 window:
// rows 0 and 1 of each column are pairs, then row 2 of the first two columns,
// then nothing with row 2 of the last.
var columnSlots = [9]int{0, 2, 4, 1, 3, 5, 6, 7, 9}

// dwLane returns where the kernels that interleave two taps within lanes of
// eight channels sum channel i of a block: first the channels 0-3 of every
// eight, then the channels 4-7.
func dwLane(i, cb int) int { return i%8/4*(cb/2) + i/8*4 + i%4 }

func (d *qDepthwise) run(dst, src []byte, scratch []byte, t0, t1 int) {
	a := qDWArgs{Taps: uintptr(d.plan.taps), Lo: d.lo, Hi: d.hi, Zero: d.outZero}
	runDW(d.plan, dst, src, byte(d.pad[0]), scratch, t0, t1, func(c dwCall) {
		a.A, a.Pad, a.Off, a.C = c.in, unsafe.Pointer(&d.pad[c.channel*d.plan.elem]), c.off, uintptr(c.n)
		a.W = unsafe.Pointer(&d.packed[c.block*d.block])
		a.Out, a.LDC, a.Pixels = c.out, uintptr(c.ldc), uintptr(c.pixels)
		switch columns := d.plan.form == dwColumns; {
		case d.plan.elem == 2:
			dw16(d.level, columns, &a)
		case columns:
			qdwByColumns(d.level, &a)
		default:
			qdw(d.level, &a)
		}
	})
}
