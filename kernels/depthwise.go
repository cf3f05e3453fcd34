package kernels

import "unsafe"

// depthwise is a float32 depthwise convolution.
type depthwise struct {
	level  Level
	plan   *dwPlan
	packed []byte
	block  int // bytes of a packed block
	pad    []float32
	lo, hi float32
}

func newDepthwise(l Level, p *ConvParams) *depthwise {
	plan, l, shape := newDWPlan(p.Shape, l, fdwShape, 4)
	cb := shape.cb
	d := &depthwise{
		level: l, plan: plan, block: 4 * cb * (1 + plan.taps),
		pad: make([]float32, p.Shape.C), lo: p.Lo + 0, hi: p.Hi + 0,
	}
	d.packed = alignedBytes(plan.blocks * d.block)
	d.pack(p.Weights, p.Bias)
	return d
}

// pack fills the blocks.
func (d *depthwise) pack(weights, bias []float32) {
	cb := d.block / 4 / (1 + d.plan.taps)
	for b := range d.plan.blocks {
		w := view[float32](d.packed, b*d.block, d.block/4)
		for i := range cb {
			c := d.plan.channel(b, i)
			if c < 0 {
				break
			}
			w[i] = 0
			if bias != nil {
				w[i] = bias[c]
			}
			for t := range d.plan.taps {
				w[(1+t)*cb+i] = weights[c*d.plan.taps+t]
			}
		}
	}
}

func (d *depthwise) run(dst, src []float32, scratch []byte, t0, t1 int) {
	a := dwArgs{Taps: uintptr(d.plan.taps), Lo: d.lo, Hi: d.hi}
	runDW(d.plan, asBytes(dst), asBytes(src), 0, scratch, t0, t1, func(c dwCall) {
		a.A, a.Pad, a.Off, a.C = c.in, unsafe.Pointer(&d.pad[c.channel]), c.off, uintptr(c.n)
		a.W = unsafe.Pointer(&d.packed[c.block*d.block])
		a.Out, a.LDC, a.Pixels = c.out, uintptr(c.ldc), uintptr(c.pixels)
		if d.plan.form == dwColumns {
			dwByColumns(d.level, &a)
		} else {
			dw(d.level, &a)
		}
	})
}
