package kernels

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// QConvParams describes an int8 convolution or matrix product with an int8 result:
//
//	acc = Bias[o] + Σ (x-InZero)·(w-WeightZero)             int32
//	y   = OutZero + int32(rne(clamp(float32(acc)·Scale[o], Lo-OutZero, Hi-OutZero)))
type QConvParams struct {
	Shape           ConvShape
	Weights         []int8    // [O][KH][KW][C/Groups]
	WeightZero      int32     // zero point of all weights, in [-128, 127]; 0 in what whet quantizes itself
	Bias            []int32   // [O]; nil is zeros
	Scale           []float32 // input scale · weight scale / output scale; one value or [O]
	InZero, OutZero int32     // zero points of input and output, in [-128, 127]
	Lo, Hi          int32     // clamp, in output codes within [-128, 127]
	Add             *QConvAdd // unless nil, what is done with the result; not depthwise
}

func (p *QConvParams) check() error {
	s := &p.Shape
	if err := s.check(1); err != nil {
		return err
	}
	if err := checkLen("weights", len(p.Weights), s.WeightLen()); err != nil {
		return err
	}
	if p.Bias != nil {
		if err := checkLen("biases", len(p.Bias), s.O); err != nil {
			return err
		}
	}
	if err := checkScales(p.Scale, s.O); err != nil {
		return err
	}
	for _, z := range []int32{p.WeightZero, p.InZero, p.OutZero, p.Lo, p.Hi} {
		if z < math.MinInt8 || z > math.MaxInt8 {
			return fmt.Errorf("kernels: convolution: zero point or clamp %d is no int8", z)
		}
	}
	if p.Lo > p.Hi {
		return fmt.Errorf("kernels: convolution: clamp [%d, %d] is empty", p.Lo, p.Hi)
	}
	return nil
}

func checkScales(scale []float32, o int) error {
	if len(scale) != 1 {
		if err := checkLen("scales", len(scale), o); err != nil {
			return err
		}
	}
	for i, v := range scale {
		if !(v >= 0) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("kernels: convolution: scale %d is %v", i, v)
		}
	}
	return nil
}

// QConv is an int8 convolution or matrix product, packed for one level. It is
// immutable and may be used by many goroutines.
type QConv struct {
	level      Level
	plan       *convPlan
	packed     []byte
	pad        []int8 // a tap's worth of the input's zero point
	weightZero int32
	pairs      uint32 // qGemmArgs.Pairs
	ones       []byte // with a weight zero point, at levels without row sums: a panel that sums x
	lo, hi     float32
	outZero    int32
	sum        *qConvSum   // set if a residual is added
	dw         *qDepthwise // set for depthwise shapes; the rest is then unused
}

// NewQConv packs the weights for level l. It copies what it needs of p.
func NewQConv(l Level, p *QConvParams) (*QConv, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Shape.depthwise() {
		if p.Add != nil {
			return nil, errors.New("kernels: convolution: a depthwise one adds no residual")
		}
		return &QConv{dw: newQDepthwise(l, p, nil)}, nil
	}
	tile := qgemmShape(l)
	if tile.below1 && slices.Max(p.Scale) >= 1 {
		l = AVXVNNI
		tile = qgemmShape(l)
	}
	plan := newConvPlan(p.Shape, tile, 1)
	c := &QConv{
		level:      l,
		plan:       plan,
		packed:     packQPanels(plan, p.Weights, p.Bias, p.Scale, p.InZero),
		pad:        make([]int8, plan.kc),
		weightZero: p.WeightZero,
		lo:         float32(p.Lo - p.OutZero),
		hi:         float32(p.Hi - p.OutZero),
		outZero:    p.OutZero,
	}
	if tile.pairs && !slices.Contains(p.Weights, math.MinInt8) {
		c.pairs = 1
	}
	setAll(c.pad, int8(p.InZero))
	if p.Add != nil {
		c.sum = newQConvSum(l, p.Add, tile.adds && p.WeightZero == 0)
	}
	if p.WeightZero != 0 && !hasRowSums(l) {
		sum := *plan
		sum.s.Groups, sum.og, sum.panels = 1, 1, 1
		ones := make([]int8, plan.depth)
		setAll(ones, 1)
		c.ones = packQPanels(&sum, ones, nil, nil, 0)
	}
	return c, nil
}

// Tasks returns the number of independent pieces of the work.
func (c *QConv) Tasks() int {
	if c.dw != nil {
		return c.dw.plan.tasks()
	}
	return c.plan.tasks
}

// Scratch returns the bytes of scratch that one worker needs.
func (c *QConv) Scratch() int {
	if c.dw != nil {
		return c.dw.plan.scratchBytes()
	}
	return c.plan.scratchBytes(max(4*c.plan.tile.mr, c.plan.rowBlock*int(unsafe.Sizeof(qTile{}))))
}

// PackedBytes returns the size of the packed weights.
func (c *QConv) PackedBytes() int {
	if c.dw != nil {
		return len(c.dw.packed)
	}
	return len(c.packed) + len(c.ones)
}

// Run does tasks [t0, t1). dst and src are the whole output and input. It
// panics if a buffer is shorter than the shape says.
func (c *QConv) Run(dst, src []int8, scratch []byte, t0, t1 int) {
	c.RunAdd(dst, src, nil, scratch, t0, t1)
}

// RunAdd is Run of a convolution with [QConvParams].Add: residual is the whole other operand.
func (c *QConv) RunAdd(dst, src, residual []int8, scratch []byte, t0, t1 int) {
	if c.dw != nil {
		c.dw.run(asBytes(dst), asBytes(src), scratch, t0, t1)
		return
	}
	p := c.plan
	checkRun(len(dst), p.s.OutLen(), len(src), p.s.InLen(), len(scratch), c.Scratch())
	if c.sum != nil {
		residual = residual[:p.s.OutLen()]
	}
	for i := t0; i < t1; i++ {
		t := p.task(i)
		rows := prepareRows(p, &t, asBytes(src), byte(c.pad[0]), scratch)
		a := qGemmArgs{
			Pad: unsafe.Pointer(&c.pad[0]), Taps: uintptr(p.taps), KC: uintptr(p.kc), LDC: uintptr(p.s.O),
			Lo: c.lo, Hi: c.hi, Zero: c.outZero, Least: int32(c.lo) + c.outZero, Most: int32(c.hi) + c.outZero, Pairs: c.pairs,
		}
		out := dst[t.image*p.rows*p.s.O+t.group*p.og:]
		if c.weightZero == 0 {
			a.Step = p.flatten(c.level, &rows)
			if c.sum != nil {
				c.sum.pass(&a, dst, residual)
			}
			list := p.tileList(&rows, &t)
			for n := t.pan0; n < t.pan1; n++ {
				c.setPanel(&a, &t, n)
				if p.tile.lists && p.rows == 1 { // all panels at once
					p.setTile(&a, &rows, &t, 0)
					a.C = unsafe.Pointer(&out[n*p.tile.nr])
					a.Cols = uintptr(min(t.pan1*p.tile.nr, p.og) - n*p.tile.nr)
					qgemm(c.level, &a)
					break
				}
				for m := t.tile0; m < t.tile1; m++ {
					p.setTile(&a, &rows, &t, m)
					a.C = unsafe.Pointer(&out[m*p.tile.mr*p.s.O+n*p.tile.nr])
					if m == t.tile0 && len(list) > 1 {
						a.Next, a.Left = unsafe.Pointer(&list[1]), uintptr(len(list)-1)
						m += len(list) - 1
					}
					qgemm(c.level, &a)
				}
			}
			if c.sum != nil {
				c.sum.run(p, &t, dst, residual)
			}
			continue
		}
		// The corrections belong to a row tile, so here the panels are the inner loop.
		corr := view[int32](rows.rest, 0, p.tile.mr)
		for m := t.tile0; m < t.tile1; m++ {
			p.setTile(&a, &rows, &t, m)
			c.corrections(corr, a)
			a.Corr = &corr[0]
			for n := t.pan0; n < t.pan1; n++ {
				c.setPanel(&a, &t, n)
				a.C = unsafe.Pointer(&out[m*p.tile.mr*p.s.O+n*p.tile.nr])
				qgemm(c.level, &a)
			}
		}
		if c.sum != nil {
			c.sum.run(p, &t, dst, residual)
		}
	}
}

// AddsResidual reports whether a convolution of the level gains by [QConvParams].Add: where its
// kernel adds, and where what a task has written is still in the first cache.
func AddsResidual(l Level) bool {
	tile := qgemmShape(l)
	return tile.adds || tile.near
}

// tileList lists the task's tiles of MR rows for a micro-kernel that goes through
// them by itself.
func (p *convPlan) tileList(rows *convRows, t *convTask) []qTile {
	if !p.tile.lists {
		return nil
	}
	list := view[qTile](rows.rest, 0, max(0, min(t.tile1, p.rows/p.tile.mr)-t.tile0))
	for i := range list {
		a, off := p.tileSource(rows, t, t.tile0+i)
		list[i] = qTile{uintptr(a), uintptr(unsafe.Pointer(off))}
	}
	return list
}

// corrections computes what a weight zero point adds to the sums of each row
// of the tile: -zw·Σ(x-zx). Without a kernel for it, Σx is one more column,
// whose weights are 1.
func (c *QConv) corrections(corr []int32, a qGemmArgs) {
	a.Corr = nil
	if c.ones == nil {
		rowSums(&a, c.plan.run, corr)
	} else {
		a.W, a.Cols, a.Raw = unsafe.Pointer(&c.ones[0]), 1, 1
		a.C, a.LDC = unsafe.Pointer(&corr[0]), unsafe.Sizeof(corr[0])
		qgemm(c.level, &a)
	}
	zx := int32(c.plan.depth) * int32(c.pad[0])
	for r := range corr[:a.Rows] {
		corr[r] = -c.weightZero * (corr[r] - zx)
	}
}

// setPanel points a at panel n of the task's group.
func (c *QConv) setPanel(a *qGemmArgs, t *convTask, n int) {
	p := c.plan
	a.W = unsafe.Pointer(&c.packed[(t.group*p.panels+n)*p.qpanelBytes()])
	a.Cols = uintptr(min(p.tile.nr, p.og-n*p.tile.nr))
}

// setTile points a at row tile m of the task.
func (p *convPlan) setTile(a *qGemmArgs, rows *convRows, t *convTask, m int) {
	a.A, a.Off = p.tileSource(rows, t, m)
	a.Rows = uintptr(p.tileRows(m))
}
