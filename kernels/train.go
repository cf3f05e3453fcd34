package kernels

import "unsafe"

// ConvForward, ConvInputGrad and ConvWeightGrad are a convolution, or with a
// [GemmShape] a dense layer, and its two gradients: the loops that the kernels
// for training equal. With the positions p of the outputs in ascending order,
//
//	y[p,o]  = Σ over taps and channels, ascending, of x w, and b[o]
//	dx[i]   = Σ over the positions that saw x[i], and in each over o, of dy w
//	dw     += Σ over the positions of an image of dy x, image after image
//
// each sum one chain of fused multiply-adds from +0. Weights are [O][KH][KW][C/Groups].
func ConvForward[T Float](s *ConvShape, y, x, w, b []T) {
	clear(y)
	for n := range s.N {
		s.eachTap(n, func(p, tap, at int) {
			for o := range s.O {
				row, c := s.weightRow(o, tap)
				for k, v := range w[row:][:s.C/s.Groups] {
					y[p*s.O+o] = FMA(x[at+c+k], v, y[p*s.O+o])
				}
			}
		})
	}
	for i := range y {
		var bias T
		if b != nil {
			bias = b[i%s.O]
		}
		y[i] += bias
	}
}

// ConvInputGrad overwrites dx; see [ConvForward].
func ConvInputGrad[T Float](s *ConvShape, dx, dy, w []T) {
	clear(dx)
	for n := range s.N {
		s.eachTap(n, func(p, tap, at int) {
			for o, d := range dy[p*s.O:][:s.O] {
				row, c := s.weightRow(o, tap)
				for k, v := range w[row:][:s.C/s.Groups] {
					dx[at+c+k] = FMA(d, v, dx[at+c+k])
				}
			}
		})
	}
	for i := range dx {
		dx[i] += 0 // the absent bias, which turns -0 into +0
	}
}

// ConvWeightGrad adds to dw; see [ConvForward].
func ConvWeightGrad[T Float](s *ConvShape, dw, x, dy []T) {
	sum := make([]T, len(dw))
	for n := range s.N {
		clear(sum)
		s.eachTap(n, func(p, tap, at int) {
			for o, d := range dy[p*s.O:][:s.O] {
				row, c := s.weightRow(o, tap)
				for k := range s.C / s.Groups {
					sum[row+k] = FMA(d, x[at+c+k], sum[row+k])
				}
			}
		})
		for i, v := range sum {
			dw[i] += v
		}
	}
}

// eachTap calls f with every output position of an image and every tap of its
// window that lies inside, both ascending: at is the offset of the tap's channels.
func (s *ConvShape) eachTap(image int, f func(position, tap, at int)) {
	for p := range s.OH * s.OW {
		for tap := range s.KH * s.KW {
			y, x := p/s.OW*s.SH-s.Top+tap/s.KW*s.DH, p%s.OW*s.SW-s.Left+tap%s.KW*s.DW
			if y >= 0 && y < s.H && x >= 0 && x < s.W {
				f(image*s.OH*s.OW+p, tap, ((image*s.H+y)*s.W+x)*s.C)
			}
		}
	}
}

// weightRow returns where the weights of output o at a tap begin, and the first
// channel that they are for.
func (s *ConvShape) weightRow(o, tap int) (at, channel int) {
	cg := s.C / s.Groups
	return (o*s.KH*s.KW + tap) * cg, o / (s.O / s.Groups) * cg
}

// A ConvTrainer is a float32 convolution in training: [ConvForward],
// [ConvInputGrad] and [ConvWeightGrad] on the kernels of a level, each cut into
// tasks that may run at once. SetWeights must come before the first Forward or
// InputGrad, and not beside them.
type ConvTrainer struct {
	s       ConvShape
	level   Level
	ahead   *Conv
	back    *Conv         // of dy to dx, without strides
	phases  []*inputPhase // the same with strides; neither: not asked for, thin, or by the portable loop
	thin    bool          // one position that sees everything once: dx = dy w, with the weights as they lie
	w       []float32
	weights *WeightGrad
}

// NewConvTrainer makes a trainer that clamps its results to [lo, hi]; input says
// that InputGrad will be called.
func NewConvTrainer(l Level, s ConvShape, lo, hi float32, input bool) (*ConvTrainer, error) {
	t := &ConvTrainer{s: s, level: l}
	var err error
	if t.weights, err = NewWeightGrad(l, s); err != nil {
		return nil, err
	}
	zeros := make([]float32, max(0, s.WeightLen()))
	if t.ahead, err = newChains(l, &ConvParams{Shape: s, Weights: zeros, Lo: lo, Hi: hi}); err != nil {
		return nil, err
	}
	t.thin = s.pointwise() && s.Groups == 1 && s.N*s.OH*s.OW == 1
	switch b, ok := s.backward(); {
	case !input || t.thin:
	case s.SH > 1 || s.SW > 1:
		t.phases, err = newPhases(l, &s)
	case ok:
		t.back, err = newChains(l, &ConvParams{Shape: b, Weights: zeros, Lo: -inf32, Hi: inf32})
	}
	return t, err
}

// newChains is [NewConv] without Winograd's algorithm: weights that change with
// every step are not worth its transform.
func newChains(l Level, p *ConvParams) (*Conv, error) {
	if err := p.check(); err != nil || !p.Shape.Winograd() {
		return NewConv(l, p)
	}
	return newDirect(l, p), nil
}

// backward returns the convolution that gives the input's gradient where strides are 1:
// that of dy with flipped windows.
func (s *ConvShape) backward() (b ConvShape, ok bool) {
	b = *s
	b.C, b.O, b.H, b.W, b.OH, b.OW = s.O, s.C, s.OH, s.OW, s.H, s.W
	b.Top, b.Left = (s.KH-1)*s.DH-s.Top, (s.KW-1)*s.DW-s.Left
	return b, b.check(4) == nil
}

// SetWeights makes the following runs use w and b, which is nil for zeros; w must
// not change before the next SetWeights.
func (t *ConvTrainer) SetWeights(w, b []float32) {
	t.w = w
	t.ahead.SetWeights(w, b)
	if t.back != nil {
		t.back.setFlipped(&t.s, w)
	}
	for _, p := range t.phases {
		p.setWeights(&t.s, w)
	}
}

// setFlipped packs the weights of the convolution s for that of its input's
// gradient ([ConvShape.backward]): where they are the rows of a matrix they lie as
// a panel has them.
func (c *Conv) setFlipped(s *ConvShape, w []float32) {
	cg, og, taps := s.C/s.Groups, s.O/s.Groups, s.KH*s.KW
	if c.dw != nil {
		turned := make([]float32, len(w))
		for i, v := range w {
			turned[i-i%taps+taps-1-i%taps] = v
		}
		c.dw.pack(turned, nil)
		return
	}
	p, nr := c.plan, c.plan.tile.nr
	for i := range s.Groups * p.panels {
		body := view[float32](c.packed, i*p.panelBytes(), p.panelBytes()/4)[nr:]
		first := i % p.panels * nr
		n := min(nr, cg-first)
		for k := range og {
			row := w[(i/p.panels*og+k)*taps*cg+first:]
			for tap := range taps {
				at := ((taps-1-tap)*og + k) * nr
				if n == 32 {
					*(*[32]float32)(body[at:]) = [32]float32(row[tap*cg:])
				} else {
					copy(body[at:][:n], row[tap*cg:])
				}
			}
		}
	}
}

// Bytes returns what the trainer holds.
func (t *ConvTrainer) Bytes() int {
	n := t.ahead.PackedBytes()
	if t.back != nil {
		n += t.back.PackedBytes()
	}
	for _, p := range t.phases {
		n += p.bytes()
	}
	return n
}

// Scratch returns the bytes of scratch that one worker needs for any of the runs.
func (t *ConvTrainer) Scratch() int {
	n := max(t.ahead.Scratch(), t.weights.Scratch())
	if t.back != nil {
		n = max(n, t.back.Scratch())
	}
	for _, p := range t.phases {
		n = max(n, p.scratch(&t.s))
	}
	return n
}

// ForwardTasks and InputGradTasks return the number of independent pieces of a run.
func (t *ConvTrainer) ForwardTasks() int { return t.ahead.Tasks() }

// InputGradTasks is told with [ConvTrainer.ForwardTasks].
func (t *ConvTrainer) InputGradTasks() int {
	switch {
	case t.thin:
		return ceilDiv(t.s.C, tileCols)
	case t.back != nil:
		return t.back.Tasks()
	}
	return max(1, len(t.phases))
}

// Forward does tasks [t0, t1) of y.
func (t *ConvTrainer) Forward(y, x []float32, scratch []byte, t0, t1 int) {
	t.ahead.Run(y, x, scratch, t0, t1)
}

// InputGrad does tasks [t0, t1) of dx, which it overwrites.
func (t *ConvTrainer) InputGrad(dx, dy []float32, scratch []byte, t0, t1 int) {
	s := &t.s
	switch {
	case t.thin:
		var sums [tileCols]float32
		clear(dx[t0*tileCols : min(t1*tileCols, s.C)])
		for c := t0 * tileCols; c < min(t1*tileCols, s.C); c += tileCols {
			a := outerArgs{
				A: unsafe.Pointer(&dy[0]), B: unsafe.Pointer(&t.w[c]), ACol: 4, BCol: uintptr(4 * s.C),
				M: 1, N: uintptr(min(tileCols, s.C-c)), S: unsafe.Pointer(&sums[0]), C: unsafe.Pointer(&dx[c]),
			}
			a.outer(t.level, 1, s.O)
		}
		return
	case t.back != nil:
		t.back.Run(dx, dy, scratch, t0, t1)
	case t.phases != nil:
		for _, p := range t.phases[t0:t1] {
			p.run(s, dx, dy, scratch)
		}
	default:
		ConvInputGrad(s, dx, dy, t.w)
	}
}

// WeightGrad returns the weights' gradient.
func (t *ConvTrainer) WeightGrad() *WeightGrad { return t.weights }

// A WeightGrad is [ConvWeightGrad] on the kernels of a level, cut into tasks that
// may run at once.
type WeightGrad struct {
	s     ConvShape
	level Level
	tiles weightTiles
}

// NewWeightGrad plans the gradient of a convolution's weights; with a [GemmShape]
// that of a dense layer's, over as many samples as it has rows.
func NewWeightGrad(l Level, s ConvShape) (*WeightGrad, error) {
	if err := s.check(4); err != nil {
		return nil, err
	}
	return &WeightGrad{s: s, level: l, tiles: newWeightTiles(&s)}, nil
}

// Tasks returns the number of independent pieces of the work.
func (g *WeightGrad) Tasks() int { return g.tiles.tasks }

// Scratch returns the bytes of scratch that one worker needs.
func (g *WeightGrad) Scratch() int { return g.tiles.scratch() }

// Run does tasks [t0, t1) of dw, to which it adds. It panics if a buffer is shorter
// than the shape says.
func (g *WeightGrad) Run(dw, x, dy []float32, scratch []byte, t0, t1 int) {
	s := &g.s
	checkRun(len(dw), s.WeightLen(), min(len(x)-s.InLen(), len(dy)-s.OutLen()), 0, len(scratch), g.tiles.scratch())
	g.tiles.run(g.level, s, dw, x, dy, scratch, t0, t1)
}

// weightTiles cuts a weight gradient into tiles: some outputs against some
// channels of a tap, summed over the positions whose tap lies inside of the image.
// There are as many lanes across as a vector has: channels, or outputs where a tap
// has few channels.
type weightTiles struct {
	run0, taps int  // elements and number of taps; a window's row is one where nothing is padded beside it
	wide       bool // a tap is a window's row
	byOutput   bool // lanes are outputs
	depthwise  bool // lanes are channels, each with its own output
	rows, cols int  // of tiles: over what is broadcast, over lanes
	tasks      int
}

const tileRows, tileCols = 12, 32

func newWeightTiles(s *ConvShape) weightTiles {
	cg, og := s.C/s.Groups, s.O/s.Groups
	t := weightTiles{run0: cg, taps: s.KH * s.KW}
	if s.depthwise() {
		t.depthwise, t.rows, t.cols = true, 1, ceilDiv(s.C, 2*tileCols)
		t.tasks = t.cols
		return t
	}
	if s.Groups == 1 && s.KW > 1 && s.DW == 1 && s.Left == 0 && (s.OW-1)*s.SW+s.KW <= s.W && cg < tileCols {
		t.wide, t.run0, t.taps = true, s.KW*cg, s.KH
	}
	t.byOutput = t.run0 < og && t.run0 < 16
	across, down := t.run0, og
	if t.byOutput {
		across, down = down, across
	}
	t.rows, t.cols = ceilDiv(down, tileRows), ceilDiv(across, tileCols)
	t.tasks = s.Groups * t.taps * t.rows
	return t
}

func (t *weightTiles) scratch() int { return cacheLine + 4*tileRows*tileCols }

// outerArgs describes a tile of a weight gradient, sums over Rows x Cols positions:
//
//	S[m][n] (+)= Σ over positions of A[m] · B[n]
//
// one chain of fused multiply-adds. It starts from +0 if First is set and else from
// S, and goes to S; if Last is set it is added to C instead. A is broadcast.
type outerArgs struct {
	A, B        unsafe.Pointer // of the first position
	ACol, ARow  uintptr        // bytes from one position to the next of a row, and from one row to the next
	BCol, BRow  uintptr
	Cols, Rows  uintptr        // positions
	M, N        uintptr        // rows and lanes: 1, 4, 8 or 12, and at most 32
	S           unsafe.Pointer // [12][32]float32
	C           unsafe.Pointer
	LDC         uintptr // bytes from one row of C to the next
	First, Last bool
}

// run does tasks [t0, t1).
func (t *weightTiles) run(l Level, s *ConvShape, dw, x, dy []float32, scratch []byte, t0, t1 int) {
	if t.depthwise {
		t.runDepthwise(l, s, dw, x, dy, t0, t1)
		return
	}
	sums := view[float32](alignUp(scratch), 0, tileRows*tileCols)
	cg, og := s.C/s.Groups, s.O/s.Groups
	depth := s.KH * s.KW * cg
	for task := t0; task < t1; task++ {
		row, tap, g := task%t.rows, task/t.rows%t.taps, task/t.rows/t.taps
		kh, kw := tap/s.KW, tap%s.KW
		if t.wide {
			kh, kw = tap, 0
		}
		y0, y1 := inside(s.OH, s.SH, s.Top-kh*s.DH, s.H)
		x0, x1 := inside(s.OW, s.SW, s.Left-kw*s.DW, s.W)
		if t.wide {
			x0, x1 = 0, s.OW
		}
		if y0 >= y1 || x0 >= x1 {
			continue
		}
		for img := range s.N {
			dyAt := ((img*s.OH+y0)*s.OW+x0)*s.O + g*og
			xAt := ((img*s.H+y0*s.SH-s.Top+kh*s.DH)*s.W+x0*s.SW-s.Left+kw*s.DW)*s.C + g*cg
			a := outerArgs{
				ACol: uintptr(4 * s.O), ARow: uintptr(4 * s.OW * s.O), BCol: uintptr(4 * s.SW * s.C), BRow: uintptr(4 * s.SH * s.W * s.C),
				S: unsafe.Pointer(&sums[0]),
			}
			if t.byOutput {
				a.ACol, a.ARow, a.BCol, a.BRow = a.BCol, a.BRow, a.ACol, a.ARow
			}
			for col := range t.cols {
				m, n := row*tileRows, col*tileCols // outputs, channels; the other way round by output
				if t.byOutput {
					a.M, a.N = uintptr(min(tileRows, t.run0-m)), uintptr(min(tileCols, og-n))
					a.A, a.B = unsafe.Pointer(&x[xAt+m]), unsafe.Pointer(&dy[dyAt+n])
					clear(sums)
					a.outer(l, y1-y0, x1-x0)
					for i := range int(a.M) {
						for j := range int(a.N) {
							dw[(g*og+n+j)*depth+tap*t.run0+m+i] += sums[i*tileCols+j]
						}
					}
					continue
				}
				a.M, a.N = uintptr(min(tileRows, og-m)), uintptr(min(tileCols, t.run0-n))
				a.A, a.B = unsafe.Pointer(&dy[dyAt+m]), unsafe.Pointer(&x[xAt+n])
				a.C, a.LDC = unsafe.Pointer(&dw[(g*og+m)*depth+tap*t.run0+n]), uintptr(4*depth)
				a.outer(l, y1-y0, x1-x0)
			}
		}
	}
}

// maxOuter is how many positions one call of a kernel does.
const maxOuter = 4096

// outer sums over rows x cols positions, in pieces.
func (a outerArgs) outer(l Level, rows, cols int) {
	if cols == 1 { // the inner loop is the fast one
		rows, cols, a.ACol, a.BCol = 1, rows, a.ARow, a.BRow
	}
	h := max(1, maxOuter/cols)
	for r := 0; r < rows; r += h {
		for c := 0; c < cols; c += maxOuter {
			b := a
			from := unsafe.Add(a.A, r*int(a.ARow)+c*int(a.ACol))
			b.B = unsafe.Add(a.B, r*int(a.BRow)+c*int(a.BCol))
			b.Rows, b.Cols = uintptr(min(h, rows-r)), uintptr(min(maxOuter, cols-c))
			b.First = r+c == 0
			b.Last = a.C != nil && r+h >= rows && c+maxOuter >= cols
			for m := uintptr(0); m < a.M; m += b.M {
				b.M = outerHeights[a.M-m]
				b.A, b.S = unsafe.Add(from, 4*m), unsafe.Add(a.S, 4*tileCols*m)
				if a.C != nil {
					b.C = unsafe.Add(a.C, m*a.LDC)
				}
				outer(l, &b)
			}
		}
	}
}

// outerHeights are the most rows of a number left that a kernel does at once.
var outerHeights = [tileRows + 1]uintptr{0, 1, 1, 1, 4, 4, 4, 4, 8, 8, 8, 8, 12}

func outerGo(a *outerArgs) {
	m, n := int(a.M), int(a.N)
	s := unsafe.Slice((*float32)(a.S), (m-1)*tileCols+n)
	if a.First {
		for i := range m {
			clear(s[i*tileCols:][:n])
		}
	}
	for r := range int(a.Rows) {
		for c := range int(a.Cols) {
			p := unsafe.Slice((*float32)(unsafe.Add(a.A, r*int(a.ARow)+c*int(a.ACol))), m)
			q := unsafe.Slice((*float32)(unsafe.Add(a.B, r*int(a.BRow)+c*int(a.BCol))), n)
			for i, v := range p {
				axpy(s[i*tileCols:][:n], v, q)
			}
		}
	}
	if !a.Last {
		return
	}
	for i := range m {
		out := unsafe.Slice((*float32)(unsafe.Add(a.C, i*int(a.LDC))), n)
		for j := range out {
			out[j] += s[i*tileCols+j]
		}
	}
}

// inside returns the outputs [from, to) of n whose tap, pad pixels before the
// window's place, lies in [0, size).
func inside(n, stride, pad, size int) (from, to int) {
	from = max(0, ceilDiv(max(pad, 0), stride))
	if size+pad <= 0 {
		return 0, 0
	}
	return from, min(n, (size+pad-1)/stride+1)
}

// pairArgs describes the weight gradient of a tap of a depthwise convolution:
//
//	S[n] (+)= Σ over Rows x Cols positions of A[n] · B[n]
type pairArgs struct {
	A, B       unsafe.Pointer
	ACol, ARow uintptr // bytes from one position to the next of a row, and from one row to the next
	BCol, BRow uintptr
	Cols, Rows uintptr        // positions
	N          uintptr        // channels, at most 64
	S          unsafe.Pointer // [64]float32
}

func pairGo(a *pairArgs) {
	s := unsafe.Slice((*float32)(a.S), int(a.N))
	for r := range int(a.Rows) {
		for c := range int(a.Cols) {
			p := unsafe.Slice((*float32)(unsafe.Add(a.A, r*int(a.ARow)+c*int(a.ACol))), len(s))
			q := unsafe.Slice((*float32)(unsafe.Add(a.B, r*int(a.BRow)+c*int(a.BCol))), len(s))
			for i := range s {
				s[i] = FMA32(p[i], q[i], s[i])
			}
		}
	}
}

func (t *weightTiles) runDepthwise(l Level, s *ConvShape, dw, x, dy []float32, t0, t1 int) {
	const lanes = 2 * tileCols
	var sums [lanes]float32
	for task := t0; task < t1; task++ {
		c := task * lanes
		n := min(lanes, s.C-c)
		for img := range s.N {
			for tap := range t.taps {
				y0, y1 := inside(s.OH, s.SH, s.Top-tap/s.KW*s.DH, s.H)
				x0, x1 := inside(s.OW, s.SW, s.Left-tap%s.KW*s.DW, s.W)
				if y0 >= y1 || x0 >= x1 {
					continue
				}
				a := pairArgs{
					A:    unsafe.Pointer(&dy[((img*s.OH+y0)*s.OW+x0)*s.O+c]),
					B:    unsafe.Pointer(&x[((img*s.H+y0*s.SH-s.Top+tap/s.KW*s.DH)*s.W+x0*s.SW-s.Left+tap%s.KW*s.DW)*s.C+c]),
					ACol: uintptr(4 * s.O), ARow: uintptr(4 * s.OW * s.O), BCol: uintptr(4 * s.SW * s.C), BRow: uintptr(4 * s.SH * s.W * s.C),
					Cols: uintptr(x1 - x0), Rows: uintptr(y1 - y0), N: uintptr(n), S: unsafe.Pointer(&sums[0]),
				}
				clear(sums[:])
				pair(l, &a)
				for i, v := range sums[:n] {
					dw[(c+i)*t.taps+tap] += v
				}
			}
		}
	}
}

// SGDStep is a step of gradient descent with momentum in PyTorch's form:
//
//	v = momentum v + (g + decay p);   p = p - lr v
//
// every operation rounded. Without v there is no momentum.
func SGDStep(l Level, p, g, v []float32, lr, momentum, decay float32) {
	g = g[:len(p)]
	done := inChunks(len(p), 8*chunk, func(from, to int) int {
		if v == nil {
			return sgdFront(l, p[from:to], g[from:], nil, lr, momentum, decay)
		}
		return sgdFront(l, p[from:to], g[from:], v[from:to], lr, momentum, decay)
	})
	for i := done; i < len(p); i++ {
		d := g[i] + float32(decay*p[i])
		if v != nil {
			d += float32(momentum * v[i])
			v[i] = d
		}
		p[i] -= float32(lr * d)
	}
}

// AdamW holds the constants of a step of [AdamWStep].
type AdamW struct{ Rate, Corr, Shrink, Beta1, Beta2, Eps float32 }

// AdamWStep is a step of Adam with decoupled weight decay,
//
//	p = p - Shrink p
//	m = Beta1 m + (1-Beta1) g;   v = Beta2 v + (1-Beta2) g g
//	p = p - Rate m / (sqrt(v)/Corr + Eps)
//
// every operation rounded.
func AdamWStep(l Level, a AdamW, p, g, m, v []float32) {
	c1, c2 := 1-a.Beta1, 1-a.Beta2
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	constants := [8]float32{a.Rate, a.Corr, a.Shrink, a.Beta1, a.Beta2, a.Eps, c1, c2}
	done := inChunks(len(p), chunk, func(from, to int) int {
		return adamFront(l, &constants, p[from:to], g[from:], m[from:], v[from:])
	})
	for i := done; i < len(p); i++ {
		d := g[i]
		p[i] -= float32(a.Shrink * p[i])
		m[i] = float32(a.Beta1*m[i]) + float32(c1*d)
		v[i] = float32(a.Beta2*v[i]) + float32(float32(c2*d)*d)
		p[i] -= float32(a.Rate * (m[i] / (Sqrt(v[i])/a.Corr + a.Eps)))
	}
}

// AddTo adds src to dst.
func AddTo(l Level, dst, src []float32) {
	for len(dst) > 0 {
		n := min(len(dst), 16*chunk)
		arith(l, Add, dst[:n], dst[:n], src[:n], -inf32, inf32)
		dst, src = dst[n:], src[n:]
	}
}

// SumRows adds to dst [n] the sums of the rows of src [rows, n], each one
// ascending chain from +0.
func SumRows(l Level, dst, src []float32, rows, n int) {
	var sums [256]float32
	for j := 0; j < n; j += len(sums) {
		s := sums[:min(len(sums), n-j)]
		avgTaps(l, s, src, len(s), line(j, rows, n), 1, -inf32, inf32)
		AddTo(l, dst[j:][:len(s)], s)
	}
}

// RangeBits sets the bits, eight a byte from the lowest, that say where y is between lo
// and hi and not NaN: what is left to [KeepBits] is the gradient of a clamp.
func RangeBits[T Float](l Level, bits []byte, y []T, lo, hi T) {
	done := 0
	if v, ok := any(y).([]float32); ok {
		done = inChunks(len(v), 8*chunk, func(from, to int) int {
			return rangeBitsFront(l, bits[from/8:], v[from:to], float32(lo), float32(hi))
		})
	}
	for i := done; i < len(y); i++ {
		if i%8 == 0 {
			bits[i/8] = 0
		}
		if y[i] > lo && y[i] < hi {
			bits[i/8] |= 1 << (i % 8)
		}
	}
}

// KeepBits clears dy where a bit of [RangeBits] is not set.
func KeepBits[T Float](l Level, dy []T, bits []byte) {
	done := 0
	if v, ok := any(dy).([]float32); ok {
		done = inChunks(len(v), 8*chunk, func(from, to int) int { return keepBitsFront(l, v[from:to], bits[from/8:]) })
	}
	for i := done; i < len(dy); i++ {
		if bits[i/8]>>(i%8)&1 == 0 {
			dy[i] = 0
		}
	}
}

// MaxTap writes to dst the maximum of every channel over the taps of a window,
// which lie off elements behind src, and to won the first tap that has it.
func MaxTap[T Float](l Level, dst []T, won []uint8, src []T, off []int32) {
	n := len(dst)
	_ = won[n-1]
	done := 0
	if y, ok := any(dst).([]float32); ok {
		done = maxTapFront(l, y, won, any(src).([]float32), off)
	}
	for c := done; c < n; c++ {
		best, at := src[int(off[0])+c], 0
		for t, o := range off[1:] {
			if v := src[int(o)+c]; v > best {
				best, at = v, t+1
			}
		}
		dst[c], won[c] = best, uint8(at)
	}
}

// MaxTapGrad writes dy at the taps that won and zeros at the others, or adds
// them; see [MaxTap].
func MaxTapGrad[T Float](l Level, dx, dy []T, won []uint8, off []int32, add bool) {
	done := 0
	if y, ok := any(dy).([]float32); ok {
		done = maxTapGradFront(l, any(dx).([]float32), y, won, off, add)
	}
	for c := done; c < len(dy); c++ {
		for t, o := range off {
			var d T
			if int(won[c]) == t {
				d = dy[c]
			}
			if add {
				d += dx[int(o)+c]
			}
			dx[int(o)+c] = d
		}
	}
}

// SetWeights packs other weights, and biases, which are nil for +0, in the place of
// those that it has. It must not run beside [Conv.Run].
func (c *Conv) SetWeights(weights, bias []float32) {
	if c.dw != nil {
		c.dw.pack(weights, bias)
		return
	}
	packPanels(c.level, c.plan, c.packed, weights, bias)
}
