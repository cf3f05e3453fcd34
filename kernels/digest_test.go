package kernels

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// digest runs the portable kernels on inputs made from fixed seeds and returns
// a hash of all their bits.
func digest() map[string]uint64 {
	out := map[string]uint64{}
	add := func(name string, v any) {
		h := fnv.New64a()
		switch x := v.(type) {
		case []float32: // any NaN equals any NaN
			for i := range x {
				if x[i] != x[i] {
					x[i] = math.Float32frombits(0x7fc00000)
				}
			}
		case []float64:
			for i := range x {
				if x[i] != x[i] {
					x[i] = math.Float64frombits(0x7ff8 << 48)
				}
			}
		}
		binary.Write(h, binary.LittleEndian, v)
		out[name] = h.Sum64()
	}
	r := rand.New(rand.NewPCG(2024, 7))
	const n = 20_000
	wild, wild64 := make([]float32, n), make([]float64, n)
	for i := range wild { // all bit patterns, and the ranges where functions live
		wild[i], wild64[i] = math.Float32frombits(r.Uint32()), math.Float64frombits(r.Uint64())
		if i%2 == 0 {
			wild[i] = (r.Float32() - 0.5) * float32(math.Ldexp(1, r.IntN(9)))
			wild64[i] = (r.Float64() - 0.5) * math.Ldexp(1, r.IntN(11))
		}
	}
	for op := Relu; op <= Silu; op++ {
		u := Unary{Op: op, A: 0.3, B: 0.7}
		y, y64 := make([]float32, n), make([]float64, n)
		ApplyUnary(u, y, wild)
		ApplyUnary(u, y64, wild64)
		add("unary/"+unaryRefs[op].name, y)
		add("unary64/"+unaryRefs[op].name, y64)
		add("table/"+unaryRefs[op].name, MakeTable(UnaryFunc[float32](u), 0.05, 3, 0.02, -9)[:])
	}
	c, _ := NewBcast([]int{n}, []int{n})
	a8, b8, wild2 := randInt8s(r, n), randInt8s(r, n), append(append([]float32(nil), wild[1:]...), 0)
	for op, name := range []string{"add", "sub", "mul", "div", "max", "min", "pow", "sqdiff"} {
		op := BinaryOp(op)
		y, q, q16 := make([]float32, n), make([]int8, n), make([]int16, n)
		Binary(op, c, y, wild, wild2, 0, n)
		add("binary/"+name, y)
		NewQBinary(op, c, QParams{0.03, 5}, QParams{0.007, -8}, QParams{0.02, 1}, -128, 127).Run(q, a8, b8, 0, n)
		add("qbinary/"+name, q)
		a16, b16 := make([]int16, n), make([]int16, n)
		for i := range a16 {
			a16[i], b16[i] = int16(a8[i])*250+int16(b8[i]), int16(b8[i])*250-int16(a8[i])
		}
		NewQBinary16(op, c, QParams{0.003, 0}, QParams{0.0007, 0}, QParams{0.0002, 0}, -32768, 32767).Run(q16, a16, b16, 0, n)
		add("qbinary16/"+name, q16)
	}
	x := randFloats(r, n, 20)
	y, y64 := make([]float32, n), make([]float64, n)
	Softmax(y, x, 100, 0, n/100)
	add("softmax", y)
	Softmax(y64, widen(x), 100, 0, n/100)
	add("softmax64", y64)
	LogSoftmax(y, x, 100, 0, n/100)
	add("logsoftmax", y)
	q8, q16 := make([]int8, n), make([]int16, n)
	qs := NewQSoftmax(100, false, QParams{0.1, 0}, QParams{1.0 / 256, -128})
	RunQSoftmax(qs, q8, a8, make([]float32, 100), 0, n/100)
	add("qsoftmax", q8)
	pt, pt16 := PerTensor(n, 0.03, 4), PerTensor(n, 0.0003, 0)
	Quantize(&pt, q8, wild)
	add("quantize8", q8)
	Quantize(&pt16, q16, wild)
	add("quantize16", q16)
	for _, rs := range []Rescale{NewRescale(0.03, 4, 0.051, -7), NewRescale(0.9, -4, 0.051, 3)} {
		Requantize(rs, q8, q16)
		add("requantize16", q8)
		q32 := make([]int32, n)
		Requantize(rs, q32, q16)
		add("requantize32", q32)
	}
	scale, zero := QuantizeRow(q8, x)
	add("row", q8)
	add("row scale", []float32{scale, float32(zero)})
	p := PoolShape{N: 1, H: 20, W: 20, C: 50, KH: 3, KW: 3, SH: 2, SW: 2, DH: 1, DW: 1, Top: 1, Left: 1, OH: 10, OW: 10}
	AvgPool(&p, y, x, -9, 9, 0, p.Rows())
	add("avgpool", y)
	for _, red := range [][]int{{0}, {1}, {2}, {0, 2}} {
		rd, _ := NewReduce([]int{20, 10, 100}, red)
		rd.Mean32(y[:rd.Out], x)
		add("mean", y[:rd.Out])
	}
	f16, b16 := make([]uint16, n), make([]uint16, n)
	Float32ToFloat16(f16, x)
	Float32ToBFloat16(b16, x)
	add("float16", f16)
	add("bfloat16", b16)
	add("cast", castTo[int32](wild))

	lp := &LSTMParams{T: 10, N: 2, I: 13, H: 9, Dirs: 2, W: randFloats(r, 2*36*13, 1), R: randFloats(r, 2*36*9, 1), B: randFloats(r, 2*72, 1)}
	l, _ := NewLSTM(Generic, lp)
	ly, lh, lc := make([]float32, 10*2*2*9), make([]float32, 36), make([]float32, 36)
	l.Run(ly, lh, lc, x[:260], nil, alignedBytes(l.Scratch()))
	add("lstm", append(append(ly, lh...), lc...))
	qp := &QLSTMParams{T: 20, N: 1, I: 13, H: 9, X: QParams{0.02, 11}, Hidden: QParams{1.0 / 128, -3}, CellExp: -12}
	for k := range 4 {
		qp.W[k], qp.R[k], qp.B[k] = randInt8s(r, 9*13), randInt8s(r, 81), []int32{1, 2, 3, 4, 5, 6, 7, 8, 999}
		qp.ScaleW[k], qp.ScaleR[k] = 0.01, 0.005
	}
	ql, _ := NewQLSTM(qp)
	qy, qh, qc := make([]int8, 180), make([]int8, 9), make([]int16, 9)
	ql.Run(qy, qh, qc, a8[:260], make([]int8, ql.Scratch()))
	add("qlstm", qy)
	add("qlstm cell", qc)
	s := SVDFShape{N: 1, I: 30, Units: 10, Rank: 2, M: 7}
	sv, _ := NewSVDF(Generic, s, x[:600], x[600:740], x[740:750])
	sy, sn := make([]float32, 10), make([]float32, 140)
	sv.Run(sy, sn, x[800:830], x[900:1040], alignedBytes(sv.Scratch()))
	add("svdf", append(sy, sn...))
	cv, _ := NewConv16(Generic, &Conv16Params{Shape: GemmShape(4, 6, 600), Weights: a8[:3600], Scale: []float64{1e-5}, Lo: -32768, Hi: 32767})
	cy := make([]int16, 24)
	cv.Run(cy, q16[:2400], alignedBytes(cv.Scratch()), 0, cv.Tasks())
	add("conv16", cy)
	ws := square("", 9, 16, 24, 3, 1, 1).ConvShape
	wc, _ := NewConv(Generic, &ConvParams{Shape: ws, Weights: randFloats(r, ws.WeightLen(), 1), Bias: x[:24], Lo: -9, Hi: 9})
	wy := make([]float32, ws.OutLen())
	wc.Run(wy, x[:ws.InLen()], alignedBytes(wc.Scratch()), 0, wc.Tasks())
	add("winograd", wy)
	return out
}

// digests are the hashes that every architecture, every GOAMD64 and every
// version of Go must give. A change of a kernel's definition changes them on
// purpose; anything else that does is a bug.
func TestDigest(t *testing.T) {
	got := digest()
	h := fnv.New64a()
	for _, name := range sortedKeys(got) {
		h.Write([]byte(name))
		binary.Write(h, binary.LittleEndian, got[name])
	}
	const want = 0x8137d1c711f2fa0b
	if s := h.Sum64(); s != want {
		for _, name := range sortedKeys(got) {
			t.Logf("%-20s %#016x", name, got[name])
		}
		t.Errorf("the kernels' bits have the digest %#x, want %#x; compare the lines above with those of another machine", s, uint64(want))
	}
}

func sortedKeys(m map[string]uint64) []string { return slices.Sorted(maps.Keys(m)) }
