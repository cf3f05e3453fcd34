package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

func poolShapes(r *rand.Rand) []PoolShape {
	shapes := []PoolShape{
		{N: 1, H: 7, W: 7, C: 20, KH: 7, KW: 7, SH: 1, SW: 1, OH: 1, OW: 1},
		{N: 2, H: 8, W: 6, C: 3, KH: 2, KW: 2, SH: 2, SW: 2, OH: 4, OW: 3},
		{N: 1, H: 5, W: 5, C: 4, KH: 3, KW: 3, SH: 1, SW: 1, Top: 1, Left: 1, OH: 5, OW: 5},
		{N: 1, H: 1, W: 1, C: 1, KH: 1, KW: 1, SH: 1, SW: 1, OH: 1, OW: 1},
	}
	for len(shapes) < 60 {
		s := PoolShape{N: 1 + r.IntN(2), H: 1 + r.IntN(9), W: 1 + r.IntN(9), C: 1 + r.IntN(35), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4),
			SH: 1 + r.IntN(3), SW: 1 + r.IntN(3), DH: 1 + r.IntN(2), DW: 1 + r.IntN(2), Top: r.IntN(2), Left: r.IntN(2), OH: 1 + r.IntN(5), OW: 1 + r.IntN(5)}
		if s.Check() == nil {
			shapes = append(shapes, s)
		}
	}
	for i := range shapes {
		shapes[i].DH, shapes[i].DW = max(shapes[i].DH, 1), max(shapes[i].DW, 1)
	}
	return shapes
}

// eachTap calls f for the input elements of one output, in ascending order.
func (s *PoolShape) eachTap(out int, f func(i int)) {
	c, ox := out%s.C, out/s.C%s.OW
	oy, n := out/s.C/s.OW%s.OH, out/s.C/s.OW/s.OH
	for ky := range s.KH {
		for kx := range s.KW {
			y, x := oy*s.SH-s.Top+ky*s.DH, ox*s.SW-s.Left+kx*s.DW
			if y >= 0 && y < s.H && x >= 0 && x < s.W {
				f(((n*s.H+y)*s.W+x)*s.C + c)
			}
		}
	}
}

func TestPools(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, s := range poolShapes(r) {
		n, m := s.N*s.H*s.W*s.C, s.N*s.OH*s.OW*s.C
		x, x8 := randFloats(r, n, 4), randInt8s(r, n)
		fmax, favg, qmax, qavg, uavg, ravg := make([]float32, m), make([]float32, m), make([]int8, m), make([]int8, m), make([]int8, m), make([]int8, m)
		in := QParams{0.1, -4}
		same := QAvgPool{Shape: s, In: in, Out: in, Lo: -128, Hi: 127}
		uns, req := same, same
		uns.Unsigned = true
		req.Out, req.Lo = QParams{0.13, 9}, -50
		for _, q := range []*QAvgPool{&same, &uns, &req} {
			if err := q.Check(); err != nil {
				t.Fatal(err)
			}
		}
		inPieces(r, s.Rows(), func(from, to int) {
			MaxPool(&s, fmax, x, from, to)
			AvgPool(&s, favg, x, -2, 2.5, from, to)
			MaxPool(&s, qmax, x8, from, to)
			sums := make([]int32, same.Scratch())
			RunQAvgPool(&same, qavg, x8, sums, from, to)
			RunQAvgPool(&uns, uavg, x8, sums, from, to)
			RunQAvgPool(&req, ravg, x8, sums, from, to)
		})
		for i := range m {
			var best, sum float32
			var best8 int8
			var sum8, count int
			s.eachTap(i, func(j int) {
				if count == 0 || x[j] > best {
					best = x[j]
				}
				if count == 0 || x8[j] > best8 {
					best8 = x8[j]
				}
				sum += x[j]
				sum8 += int(x8[j])
				count++
			})
			avg := min(max(sum/float32(count), -2), 2.5)
			if fmax[i] != best || qmax[i] != best8 || math.Float32bits(favg[i]) != math.Float32bits(avg) {
				t.Fatalf("%+v [%d]: max %g, %d, avg %g; want %g, %d, %g", s, i, fmax[i], qmax[i], favg[i], best, best8, avg)
			}
			mean := float64(sum8) / float64(count)
			if want := int8(math.Round(mean)); qavg[i] != want { // half away from zero
				t.Fatalf("%+v [%d]: average of codes %d, want %d", s, i, qavg[i], want)
			}
			if want := int8(math.Round(mean+128) - 128); uavg[i] != want {
				t.Fatalf("%+v [%d]: average of unsigned codes %d, want %d", s, i, uavg[i], want)
			}
			want := min(max(math.RoundToEven((mean+4)*(float64(float32(0.1))/float64(float32(0.13))))+9, -50), 127)
			if d := math.Abs(float64(ravg[i]) - want); d > 1 {
				t.Fatalf("%+v [%d]: requantized average %d, want %g", s, i, ravg[i], want)
			}
		}
	}
}

func TestPoolRefuses(t *testing.T) {
	ok := PoolShape{N: 1, H: 4, W: 4, C: 1, KH: 2, KW: 2, SH: 1, SW: 1, DH: 1, DW: 1, OH: 3, OW: 3}
	if err := ok.Check(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []func(s *PoolShape){
		func(s *PoolShape) { s.SH = 0 }, func(s *PoolShape) { s.Top = 2 }, func(s *PoolShape) { s.OW = 9 }, func(s *PoolShape) { s.KH = 0 },
	} {
		s := ok
		f(&s)
		if s.Check() == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

func BenchmarkPool(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	s := PoolShape{N: 1, H: 7, W: 7, C: 1280, KH: 7, KW: 7, SH: 1, SW: 1, DH: 1, DW: 1, OH: 1, OW: 1}
	q := &QAvgPool{Shape: s, In: QParams{0.1, 0}, Out: QParams{0.1, 0}, Lo: -128, Hi: 127}
	x, y, sums := randInt8s(r, 49*1280), make([]int8, 1280), make([]int32, q.Scratch())
	b.Run("avg7x7x1280", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			RunQAvgPool(q, y, x, sums, 0, 1)
		}
	})
	m := PoolShape{N: 1, H: 112, W: 112, C: 64, KH: 3, KW: 3, SH: 2, SW: 2, DH: 1, DW: 1, OH: 56, OW: 56, Top: 1, Left: 1}
	x, y = randInt8s(r, 112*112*64), make([]int8, 56*56*64)
	b.Run("max3x3_112x112x64", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			MaxPool(&m, y, x, 0, m.Rows())
		}
	})
}
