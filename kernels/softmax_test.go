package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

func softmaxRef(x []float64, log bool) []float64 {
	m, s := math.Inf(-1), 0.0
	for _, v := range x {
		m = max(m, v)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Exp(v - m)
		s += y[i]
	}
	for i := range y {
		if log {
			y[i] = x[i] - m - math.Log(s)
		} else {
			y[i] /= s
		}
	}
	return y
}

func TestSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, n := range []int{1, 2, 3, 10, 16, 17, 100, 1001} {
		const rows = 4
		x := randFloats(r, rows*n, 12)
		x8, x16 := randInt8s(r, rows*n), make([]int16, rows*n)
		for i := range x16 {
			x16[i] = int16(r.IntN(1<<16) - 1<<15)
		}
		x64 := make([]float64, len(x))
		for i, v := range x {
			x64[i] = float64(v)
		}
		for _, log := range []bool{false, true} {
			y, y64, y8, y16, z16 := make([]float32, len(x)), make([]float64, len(x)), make([]int8, len(x)), make([]int16, len(x)), make([]int16, len(x))
			in, out, out16 := QParams{0.11, 20}, QParams{1.0 / 256, -128}, QParams{1.0 / 32768, 0}
			if log {
				out, out16 = QParams{16.0 / 256, 127}, QParams{24.0 / 65536, 32767}
			}
			q8, q16 := NewQSoftmax(n, log, in, out), NewQSoftmax(n, log, in, out16)
			s16 := &Softmax16{N: n, Log: log, In: QParams{10.0 / 32768, 0}, Out: out16}
			inPieces(r, rows, func(from, to int) {
				if log {
					LogSoftmax(y, x, n, from, to)
					LogSoftmax(y64, x64, n, from, to)
				} else {
					Softmax(y, x, n, from, to)
					Softmax(y64, x64, n, from, to)
				}
				e := make([]float32, q8.Scratch())
				RunQSoftmax(q8, y8, x8, e, from, to)
				RunQSoftmax(q16, y16, x8, e, from, to)
				s16.Run(z16, x16, make([]float32, s16.Scratch()), from, to)
			})
			for row := range rows {
				a, b, c := make([]float64, n), make([]float64, n), make([]float64, n)
				for i := range n {
					a[i], b[i] = x64[row*n+i], float64(in.Scale)*float64(x8[row*n+i])
					c[i] = float64(s16.In.Scale) * float64(x16[row*n+i])
				}
				a, b, c = softmaxRef(a, log), softmaxRef(b, log), softmaxRef(c, log)
				for i := range n {
					k := row*n + i
					tol := 3e-6 * max(1e-3, math.Abs(a[i]))
					if log { // the logarithm of a sum near 1 has its rounding error
						tol = 2e-7 + 1e-6*math.Abs(a[i])
					}
					if math.Abs(float64(y[k])-a[i]) > tol {
						t.Fatalf("n=%d log=%v: %g, want %g", n, log, y[k], a[i])
					}
					if math.Abs(y64[k]-a[i]) > 1e-14*max(1, math.Abs(a[i])) {
						t.Fatalf("n=%d log=%v: float64 %g, want %g", n, log, y64[k], a[i])
					}
					for _, v := range []struct {
						got   float64
						want  float64
						p     QParams
						lo    float64
						hi    float64
						slack float64
					}{
						{float64(y8[k]), b[i], out, -128, 127, 1e-3},
						{float64(y16[k]), b[i], out16, -32768, 32767, 0.1},
						{float64(z16[k]), c[i], out16, -32768, 32767, 0.1},
					} {
						want := min(max(v.want/float64(v.p.Scale)+float64(v.p.Zero), v.lo), v.hi)
						if math.Abs(v.got-want) > 0.5+v.slack {
							t.Fatalf("n=%d log=%v: code %g, want %g", n, log, v.got, want)
						}
					}
				}
			}
		}
	}
}
