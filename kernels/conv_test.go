package kernels

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// TestMain fails the run if the level named by WHET_TEST_REQUIRE is not there:
// a suite that silently skips a level proves nothing about it.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if name := os.Getenv("WHET_TEST_REQUIRE"); name != "" {
		l, err := ParseLevel(name)
		if err == nil && !Has(l) {
			err = fmt.Errorf("level %s is required, this process has %v", name, Levels())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "WHET_TEST_REQUIRE:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// window calls f with the input index of every tap of output pixel (n, oh, ow)
// in ascending (kh, kw), or -1 where the tap lies in the padding.
func (s *ConvShape) window(n, oh, ow int, f func(tap, pixel int)) {
	for kh := range s.KH {
		for kw := range s.KW {
			y, x := oh*s.SH-s.Top+kh*s.DH, ow*s.SW-s.Left+kw*s.DW
			pixel := -1
			if y >= 0 && x >= 0 && y < s.H && x < s.W {
				pixel = (n*s.H+y)*s.W + x
			}
			f(kh*s.KW+kw, pixel)
		}
	}
}

// convRef is the convolution as its definition reads.
func convRef(p *ConvParams, src []float32) []float32 {
	s := &p.Shape
	if s.Winograd() {
		return winogradRef(p, src)
	}
	dst := make([]float32, 0, s.OutLen())
	cg, og := s.C/s.Groups, s.O/s.Groups
	for i := range s.N * s.OH * s.OW {
		for o := range s.O {
			var acc float32
			s.window(i/s.OW/s.OH, i/s.OW%s.OH, i%s.OW, func(tap, pixel int) {
				for c := range cg {
					var x float32
					if pixel >= 0 {
						x = src[pixel*s.C+o/og*cg+c]
					}
					acc = FMA32(x, p.Weights[(o*s.KH*s.KW+tap)*cg+c], acc)
				}
			})
			var bias float32
			if p.Bias != nil {
				bias = p.Bias[o]
			}
			acc += bias
			if acc < p.Lo {
				acc = p.Lo
			}
			if acc > p.Hi {
				acc = p.Hi
			}
			dst = append(dst, acc)
		}
	}
	return dst
}

// sumsRef returns the int32 sums Σ(x-zx)(w-zw) of a convolution; zx is asked for by input pixel.
func sumsRef(s *ConvShape, weights []int8, zw int32, src []int8, zx func(pixel int) int32) []int32 {
	dst := make([]int32, 0, s.OutLen())
	cg, og := s.C/s.Groups, s.O/s.Groups
	for i := range s.N * s.OH * s.OW {
		for o := range s.O {
			var acc int32
			s.window(i/s.OW/s.OH, i/s.OW%s.OH, i%s.OW, func(tap, pixel int) {
				if pixel < 0 {
					return
				}
				for c := range cg {
					x := int32(src[pixel*s.C+o/og*cg+c]) - zx(pixel)
					acc += x * (int32(weights[(o*s.KH*s.KW+tap)*cg+c]) - zw)
				}
			})
			dst = append(dst, acc)
		}
	}
	return dst
}

func qconvRef(p *QConvParams, src []int8) []int8 {
	s := &p.Shape
	dst := make([]int8, s.OutLen())
	for i, acc := range sumsRef(s, p.Weights, p.WeightZero, src, func(int) int32 { return p.InZero }) {
		if p.Bias != nil {
			acc += p.Bias[i%s.O]
		}
		x := float64(float32(acc) * perChannel(p.Scale, i%s.O))
		x = math.Max(float64(p.Lo-p.OutZero), math.Min(float64(p.Hi-p.OutZero), x))
		dst[i] = int8(p.OutZero + int32(math.RoundToEven(x)))
	}
	return dst
}

// runner is what all packed convolutions have in common.
type runner interface {
	Tasks() int
	Scratch() int
}

// runTasks runs all tasks of c, mostly in random order, on garbage in the scratch.
func runTasks(t *testing.T, m *memory, c runner, run func(scratch []byte, t0, t1 int)) {
	t.Helper()
	scratch := take[byte](m, c.Scratch())
	if m.r.IntN(4) == 0 {
		run(scratch, 0, c.Tasks())
	} else {
		for _, i := range m.r.Perm(c.Tasks()) {
			run(scratch, i, i+1)
		}
	}
	m.check(t)
}

// randomShape draws a small shape; its sizes cover all residues of the tiles.
func randomShape(rng *rand.Rand, depthwise bool) ConvShape {
	pick := func(list ...int) int { return list[rng.IntN(len(list))] }
	for {
		s := ConvShape{
			N: pick(1, 1, 1, 2, 3), H: 1 + rng.IntN(12), W: 1 + rng.IntN(20),
			KH: pick(1, 1, 2, 3, 3, 5), KW: pick(1, 1, 2, 3, 3, 4, 5, 7),
			SH: pick(1, 1, 2, 3), SW: pick(1, 1, 2, 3), DH: pick(1, 1, 1, 2), DW: pick(1, 1, 1, 3),
			Groups: 1,
		}
		switch {
		case depthwise:
			s.C = 2 + rng.IntN(pick(20, 100, 200))
			s.O, s.Groups = s.C, s.C
		case rng.IntN(5) == 0:
			s.Groups = 1 + rng.IntN(4)
			s.C, s.O = s.Groups*(1+rng.IntN(20)), s.Groups*(1+rng.IntN(40))
		default:
			s.C, s.O = 1+rng.IntN(pick(4, 40, 150)), 1+rng.IntN(pick(20, 100))
		}
		if rng.IntN(3) == 0 { // a matrix product
			s.KH, s.KW, s.SH, s.SW, s.DH, s.DW = 1, 1, 1, 1, 1, 1
			s.OH, s.OW = s.H, s.W
		} else {
			s.Top, s.Left = rng.IntN(2+s.KH*s.DH), rng.IntN(2+s.KW*s.DW)
			bottom, right := rng.IntN(2+s.KH*s.DH), rng.IntN(2+s.KW*s.DW)
			h, w := s.H+s.Top+bottom-(s.KH-1)*s.DH-1, s.W+s.Left+right-(s.KW-1)*s.DW-1
			if h < 0 || w < 0 {
				continue
			}
			s.OH, s.OW = h/s.SH+1, w/s.SW+1
		}
		if s.MACs() < 3_000_000 {
			return s
		}
	}
}

// edgeShapes are shapes that random ones hit too rarely.
func edgeShapes() []ConvShape {
	var list []ConvShape
	for m := 1; m <= 29; m++ { // all residues of rows
		list = append(list, GemmShape(m, 33, 16))
	}
	for n := 1; n <= 97; n += 3 { // of columns
		list = append(list, GemmShape(15, n, 20))
	}
	for k := 1; k <= 70; k++ { // of depth
		list = append(list, GemmShape(5, 17, k), GemmShape(1, 2*k, k))
	}
	first := ConvShape{N: 1, H: 23, W: 21, C: 3, O: 32, KH: 3, KW: 3, SH: 2, SW: 2, DH: 1, DW: 1, OH: 11, OW: 10, Groups: 1}
	grey := ConvShape{N: 1, H: 49, W: 10, C: 1, O: 8, KH: 10, KW: 8, SH: 2, SW: 2, DH: 1, DW: 1, Top: 4, Left: 3, OH: 25, OW: 5, Groups: 1}
	padded := ConvShape{N: 2, H: 2, W: 2, C: 32, O: 16, KH: 3, KW: 3, SH: 1, SW: 1, DH: 2, DW: 2, Top: 7, Left: 7, OH: 12, OW: 12, Groups: 1}
	strided := ConvShape{N: 2, H: 9, W: 9, C: 32, O: 40, KH: 1, KW: 1, SH: 2, SW: 2, DH: 1, DW: 1, OH: 5, OW: 5, Groups: 1}
	valid := ConvShape{N: 3, H: 3, W: 3, C: 20, O: 70, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, OH: 1, OW: 1, Groups: 1}
	// Rows that lie 4 KiB apart.
	apart := ConvShape{N: 2, H: 9, W: 7, C: 512, O: 270, KH: 1, KW: 1, SH: 2, SW: 2, DH: 1, DW: 1, OH: 5, OW: 4, Groups: 1}
	return append(list, first, grey, padded, strided, valid, apart, GemmShape(14, 257, 1024), GemmShape(1, 1000, 1280), GemmShape(3, 5, 3000), GemmShape(1, 640, 128), GemmShape(1, 300, 20), GemmShape(1, 270, 9), GemmShape(1, 520, 64))
}

// productShapes are convolutions and matrix products.
func productShapes(rng *rand.Rand) []ConvShape {
	var list []ConvShape
	if !testing.Short() {
		list = edgeShapes()
	}
	for range rounds(150) {
		list = append(list, randomShape(rng, false))
	}
	return list
}

// fewShapes are every third edge and fewer random shapes, for kernels whose tiles are cut
// as those of others.
func fewShapes(rng *rand.Rand) []ConvShape {
	var list []ConvShape
	for i, s := range edgeShapes() {
		if i%3 == 0 || *long {
			list = append(list, s)
		}
	}
	for range rounds(60) {
		list = append(list, randomShape(rng, false))
	}
	return list
}

// depthwiseShapes have a window for each channel.
func depthwiseShapes(rng *rand.Rand) []ConvShape {
	var list []ConvShape
	if !testing.Short() {
		for c := 2; c < 140; c++ {
			list = append(list, square("", 6, c, c, 3, 1, c).ConvShape)
			if c%5 == 0 {
				list = append(list, square("", 9, c, c, 5, 1, c).ConvShape)
			}
		}
		// Rows so long that one call of a micro-kernel does not do them.
		for _, k := range []int{3, 5} {
			list = append(list, ConvShape{
				N: 1, H: k, W: 80, C: 900, O: 900, Groups: 900, KH: k, KW: k, SH: 1, SW: 1, DH: 1, DW: 1, Left: 1, OH: 1, OW: 80,
			})
		}
	}
	for range rounds(150) {
		list = append(list, randomShape(rng, true))
	}
	return list
}

func randomInt8(rng *rand.Rand, n int) []int8 {
	x := make([]int8, n)
	extreme := rng.IntN(6)
	for i := range x {
		switch extreme {
		case 0:
			x[i] = -128
		case 1:
			x[i] = int8(127 - 255*rng.IntN(2))
		default:
			x[i] = int8(rng.Int())
		}
	}
	return x
}

// randomFloats returns floats of mixed magnitude; wild ones may be zero,
// negative zero, subnormal, huge, infinite or not a number.
func randomFloats(rng *rand.Rand, n int, wild bool) []float32 {
	x := make([]float32, n)
	odd := []float32{0, float32(math.Copysign(0, -1)), 1e-45, -3e-39, 3e38, -3e38,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	for i := range x {
		x[i] = float32(rng.NormFloat64())
		if wild && rng.IntN(50) == 0 {
			x[i] = odd[rng.IntN(len(odd))]
		}
	}
	return x
}

func randomScales(rng *rand.Rand, o, depth int) []float32 {
	list := make([]float32, []int{1, o}[rng.IntN(2)])
	for i := range list {
		list[i] = float32(math.Exp(rng.NormFloat64()) / (40 * math.Sqrt(float64(depth))))
	}
	return list
}

func eachLevel(t *testing.T, shapes func(rng *rand.Rand) []ConvShape, f func(t *testing.T, l Level, m *memory, s ConvShape)) {
	for _, l := range Levels() {
		t.Run(l.String(), func(t *testing.T) {
			m := newMemory(uint64(l), 8, 16<<20)
			for i, s := range shapes(m.r) {
				f(t, l, m, s)
				if t.Failed() {
					t.Fatalf("level %v, shape %d: %+v", l, i, s)
				}
			}
		})
	}
}

func TestQConv(t *testing.T)      { eachLevel(t, productShapes, checkQConv) }
func TestQDepthwise(t *testing.T) { eachLevel(t, depthwiseShapes, checkQConv) }
func TestConv(t *testing.T)       { eachLevel(t, productShapes, checkConv) }
func TestDepthwise(t *testing.T)  { eachLevel(t, depthwiseShapes, checkConv) }
func TestWinograd(t *testing.T)   { eachLevel(t, winogradShapes, checkConv) }
func TestQConvAdd(t *testing.T)   { eachLevel(t, fewShapes, checkQConvAdd) }
func TestQDyn(t *testing.T)       { eachLevel(t, productShapes, checkQDyn) }

func checkQConv(t *testing.T, l Level, m *memory, s ConvShape) {
	p := randomQConv(m.r, s)
	src := taken(m, randomInt8(m.r, s.InLen()))
	dst := take[int8](m, s.OutLen())
	c := packedQConv(t, l, m, &p)
	runTasks(t, m, c, func(scratch []byte, t0, t1 int) { c.Run(dst, src, scratch, t0, t1) })
	if want := qconvRef(&p, src); !equal(dst, want) {
		t.Error(cmp.Diff(want, dst))
	}
}

// checkQConvAdd compares with the Add that follows the convolution.
func checkQConvAdd(t *testing.T, l Level, m *memory, s ConvShape) {
	rng := m.r
	if s.depthwise() {
		return
	}
	p := randomQConv(rng, s)
	params := func() QParams {
		return QParams{Scale: float32(math.Exp(rng.NormFloat64())), Zero: int32(rng.IntN(256) - 128)}
	}
	add := &QConvAdd{A: params(), B: params(), Y: params(), Second: rng.IntN(2) == 0, Lo: int32(rng.IntN(200) - 128)}
	add.Hi = add.Lo + int32(rng.IntN(int(128-add.Lo)))
	if rng.IntN(20) == 0 { // sums beyond int32
		add.Y.Scale = 1e-30
	}
	if add.Second {
		p.OutZero = add.B.Zero
	} else {
		p.OutZero = add.A.Zero
	}
	p.Lo, p.Hi = max(-128, p.OutZero-int32(rng.IntN(200))), 127
	src, residual := taken(m, randomInt8(rng, s.InLen())), taken(m, randomInt8(rng, s.OutLen()))
	want := qconvRef(&p, src)
	c, err := NewBcast([]int{len(want)}, []int{len(want)})
	if err != nil {
		t.Fatal(err)
	}
	a, b := want, residual
	if add.Second {
		a, b = b, a
	}
	NewQBinary(Add, c, add.A, add.B, add.Y, add.Lo, add.Hi).Run(want, a, b, 0, len(want))
	p.Add = add
	q := packedQConv(t, l, m, &p)
	dst := take[int8](m, s.OutLen())
	runTasks(t, m, q, func(scratch []byte, t0, t1 int) { q.RunAdd(dst, src, residual, scratch, t0, t1) })
	if !equal(dst, want) {
		t.Error(cmp.Diff(want, dst))
	}
}

func packedQConv(t *testing.T, l Level, m *memory, p *QConvParams) *QConv {
	t.Helper()
	c, err := NewQConv(l, p)
	if err != nil {
		t.Fatal(err)
	}
	if c.dw != nil {
		c.dw.packed, c.dw.pad = m.packed(c.dw.packed), taken(m, c.dw.pad)
	} else {
		c.packed, c.pad = m.packed(c.packed), taken(m, c.pad)
	}
	return c
}

func randomQConv(rng *rand.Rand, s ConvShape) QConvParams {
	p := QConvParams{
		Shape: s, Weights: randomInt8(rng, s.WeightLen()), Scale: randomScales(rng, s.O, s.KH*s.KW*s.C/s.Groups*100),
		InZero: int32(rng.IntN(256) - 128), OutZero: int32(rng.IntN(256) - 128), Lo: -128, Hi: 127,
	}
	if rng.IntN(2) == 0 { // as weights are that whet quantizes
		for i, w := range p.Weights {
			p.Weights[i] = max(w, -127)
		}
	}
	if rng.IntN(3) == 0 {
		p.WeightZero = int32(rng.IntN(256) - 128)
	}
	if rng.IntN(10) == 0 { // products beyond int32
		p.Scale[0] = float32(math.Exp2(rng.Float64() * 30))
	}
	if rng.IntN(3) == 0 {
		p.Lo, p.Hi = p.OutZero, p.OutZero+int32(rng.IntN(int(128-p.OutZero)))
	}
	if rng.IntN(4) != 0 {
		p.Bias = make([]int32, s.O)
		for i := range p.Bias {
			p.Bias[i] = int32(rng.IntN(4000) - 2000)
			if rng.IntN(30) == 0 {
				p.Bias[i] = int32(rng.Uint32())
			}
		}
	}
	return p
}

func equal(a, b []int8) bool {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(a))), len(a))) ==
		string(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b))), len(b)))
}

// sameFloats compares bits; any NaN equals any NaN.
func sameFloats(t *testing.T, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if g := got[i]; math.Float32bits(g) != math.Float32bits(w) && (g == g || w == w) {
			t.Errorf("element %d: got %v (%#x), want %v (%#x)", i, g, math.Float32bits(g), w, math.Float32bits(w))
			return
		}
	}
}

func checkConv(t *testing.T, l Level, m *memory, s ConvShape) {
	rng := m.r
	inf := float32(math.Inf(1))
	p := ConvParams{Shape: s, Weights: randomFloats(rng, s.WeightLen(), false), Lo: -inf, Hi: inf}
	switch rng.IntN(3) {
	case 0:
		p.Lo = 0
	case 1:
		p.Lo, p.Hi = -1, 6
	}
	if rng.IntN(4) != 0 {
		p.Bias = randomFloats(rng, s.O, false)
	}
	src := taken(m, randomFloats(rng, s.InLen(), rng.IntN(2) == 0))
	c, err := NewConv(l, &p)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.dw != nil:
		c.dw.packed, c.dw.pad = m.packed(c.dw.packed), taken(m, c.dw.pad)
	case c.wino != nil:
		c.wino.packed, c.wino.bias = m.packed(c.wino.packed), taken(m, c.wino.bias)
	default:
		c.packed, c.pad = m.packed(c.packed), taken(m, c.pad)
	}
	dst := take[float32](m, s.OutLen())
	runTasks(t, m, c, func(scratch []byte, t0, t1 int) { c.Run(dst, src, scratch, t0, t1) })
	sameFloats(t, dst, convRef(&p, src))
}

func checkQDyn(t *testing.T, l Level, m *memory, s ConvShape) {
	rng := m.r
	inf := float32(math.Inf(1))
	p := QDynParams{
		Shape: s, Weights: randomInt8(rng, s.WeightLen()), Scale: randomScales(rng, s.O, 1),
		Bias: randomFloats(rng, s.O, false), Lo: -inf, Hi: inf,
	}
	if rng.IntN(2) == 0 {
		p.Bias, p.Lo = nil, 0
	}
	c, err := NewQDyn(l, &p)
	if err != nil {
		t.Fatal(err)
	}
	c.packed = m.packed(c.packed)
	src := taken(m, randomInt8(rng, s.InLen()))
	scale, zero := make([]float32, c.Rows()), make([]int32, c.Rows())
	for i := range scale {
		scale[i], zero[i] = rng.Float32(), int32(rng.IntN(256)-128)
	}
	perRow := s.InLen() / s.C / c.Rows() // pixels that share a scale
	dst := take[float32](m, s.OutLen())
	runTasks(t, m, c, func(scratch []byte, t0, t1 int) { c.Run(dst, src, scale, zero, scratch, t0, t1) })
	want := make([]float32, s.OutLen())
	for i, acc := range sumsRef(&s, p.Weights, 0, src, func(pixel int) int32 { return zero[pixel/perRow] }) {
		row := i / s.O / (s.OH * s.OW)
		if c.perPixel {
			s.window(row, i/s.O/s.OW%s.OH, i/s.O%s.OW, func(_, pixel int) { row = pixel })
		}
		y := float32(acc) * (scale[row] * perChannel(p.Scale, i%s.O))
		var bias float32
		if p.Bias != nil {
			bias = p.Bias[i%s.O]
		}
		y = float32(y) + bias
		if y < p.Lo {
			y = p.Lo
		}
		want[i] = y
	}
	sameFloats(t, dst, want)
}
