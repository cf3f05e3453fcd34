package kernels

import "unsafe"

// winogradArgs describes the transform of one tile of N channels, a multiple of 8.
// The input transform reads 6x6 pixels and writes 36 points, the output transform
// reads the points and writes 4x4 pixels. Nothing else is read or written.
type winogradArgs struct {
	Tile   unsafe.Pointer // pixel (0, 0), float32
	Row    uintptr        // bytes from one row of pixels to the next
	Pixel  uintptr        // bytes from one pixel to the next
	Points unsafe.Pointer // point (0, 0), float32; point (i, j) is the (6i+j)-th
	Step   uintptr        // bytes from one point to the next
	N      uintptr
	Bias   unsafe.Pointer // output only: [N]float32
	Lo, Hi float32        // output only: x<Lo ? Lo : x, then x>Hi ? Hi : x
}

// The points 0, ±A, ±B, ∞ and what the transforms make of them.
const (
	winogradA  = 0.75
	winogradB  = 1.5
	winogradA2 = winogradA * winogradA
	winogradB2 = winogradB * winogradB
	winogradA3 = winogradA2 * winogradA
	winogradB3 = winogradB2 * winogradB
	winogradP  = winogradA2 * winogradB2
	winogradS  = winogradA2 + winogradB2
)

// winogradIn6 is Bᵀ times a column. Row p of Bᵀ holds the coefficients of the
// polynomial that is 0 at all finite points but p, row ∞ of the one that is 0 at all.
func winogradIn6(x *[6]float32) [6]float32 {
	t1, u1 := FMA32(-winogradB2, x[2], x[4]), FMA32(-winogradB2, x[1], x[3])
	t2, u2 := FMA32(-winogradA2, x[2], x[4]), FMA32(-winogradA2, x[1], x[3])
	return [6]float32{
		FMA32(winogradP, x[0], FMA32(-winogradS, x[2], x[4])),
		FMA32(winogradA, u1, t1),
		FMA32(-winogradA, u1, t1),
		FMA32(winogradB, u2, t2),
		FMA32(-winogradB, u2, t2),
		FMA32(winogradP, x[1], FMA32(-winogradS, x[3], x[5])),
	}
}

// winogradOut4 is Aᵀ times a column. Row i of Aᵀ holds the i-th powers of the points.
func winogradOut4(m *[6]float32) [4]float32 {
	s1, d1, s2, d2 := m[1]+m[2], m[1]-m[2], m[3]+m[4], m[3]-m[4]
	return [4]float32{
		(m[0] + s1) + s2,
		FMA32(winogradB, d2, float32(winogradA*d1)),
		FMA32(winogradB2, s2, float32(winogradA2*s1)),
		FMA32(winogradB3, d2, FMA32(winogradA3, d1, m[5])),
	}
}

// winogradInGo is the input transform, channel by channel.
func winogradInGo(a *winogradArgs) {
	for c := range a.N {
		var t [6][6]float32 // [column][row]
		for j := range uintptr(6) {
			var x [6]float32
			for i := range uintptr(6) {
				x[i] = *(*float32)(unsafe.Add(a.Tile, i*a.Row+j*a.Pixel+4*c))
			}
			t[j] = winogradIn6(&x)
		}
		for i := range 6 {
			v := winogradIn6(&[6]float32{t[0][i], t[1][i], t[2][i], t[3][i], t[4][i], t[5][i]})
			for j, v := range v {
				*(*float32)(unsafe.Add(a.Points, uintptr(6*i+j)*a.Step+4*c)) = v
			}
		}
	}
}

// winogradOutGo is the output transform, channel by channel.
func winogradOutGo(a *winogradArgs) {
	bias := unsafe.Slice((*float32)(a.Bias), a.N)
	for c := range a.N {
		var t [6][4]float32 // [column][row]
		for j := range uintptr(6) {
			var x [6]float32
			for i := range uintptr(6) {
				x[i] = *(*float32)(unsafe.Add(a.Points, (6*i+j)*a.Step+4*c))
			}
			t[j] = winogradOut4(&x)
		}
		for i := range 4 {
			y := winogradOut4(&[6]float32{t[0][i], t[1][i], t[2][i], t[3][i], t[4][i], t[5][i]})
			for j, y := range y {
				*(*float32)(unsafe.Add(a.Tile, uintptr(i)*a.Row+uintptr(j)*a.Pixel+4*c)) = clampFloat(y+bias[c], a.Lo, a.Hi)
			}
		}
	}
}

// winogradWeight6 is G times a column. Row p of G is 1, p, p² divided by the product
// of p's distances to the other points, so that the rows of p and -p differ in the
// sign of the middle term. Products are rounded by themselves: whether the compiler
// fuses them depends on the architecture.
func winogradWeight6(x0, x1, x2 float64) [6]float64 {
	const a2, b2 = winogradA2, winogradB2
	const f0, fa, fb = 1 / (a2 * b2), 1 / (2 * a2 * (a2 - b2)), 1 / (2 * b2 * (b2 - a2))
	ea, oa := float64(fa*x0)+float64(fa*a2*x2), float64(fa*winogradA*x1)
	eb, ob := float64(fb*x0)+float64(fb*b2*x2), float64(fb*winogradB*x1)
	return [6]float64{f0 * x0, ea + oa, ea - oa, eb + ob, eb - ob, x2}
}

// winogradWeights returns U as [winogradPoints][O][C], of weights [O][3][3][C].
func winogradWeights(weights []float32, o, c int) []float32 {
	u := make([]float32, winogradPoints*o*c)
	var buf [winogradPoints][64]float32 // the points lie too far apart in u to be written one by one
	for done := 0; done < o*c; {
		w := weights[done/c*9*c+done%c:]
		n := min(len(buf[0]), c-done%c)
		for i := range n {
			var t [3][6]float64 // [column][row]
			for j := range t {
				t[j] = winogradWeight6(float64(w[j*c+i]), float64(w[(3+j)*c+i]), float64(w[(6+j)*c+i]))
			}
			for k := range 6 {
				for j, v := range winogradWeight6(t[0][k], t[1][k], t[2][k]) {
					buf[6*k+j][i] = float32(v)
				}
			}
		}
		for k := range buf {
			copy(u[k*o*c+done:][:n], buf[k][:])
		}
		done += n
	}
	return u
}
