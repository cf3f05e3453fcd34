package mel

import "math"

// A fixedFFT is the transform of 16-bit real values that microfrontend takes
// from KISS FFT: a complex transform of half the length in radix 4 (and 2 where
// the length is no power of four), halved or quartered at every stage and rounded
// at every product, so that nothing overflows; the features depend on its bits.
type fixedFFT struct {
	n     int // real values
	roots [][2]int16
	last  [][2]int16 // roots of the stage that makes a real transform of it
}

func newFixedFFT(n int) *fixedFFT {
	f := &fixedFFT{n: n, roots: make([][2]int16, n/2), last: make([][2]int16, n/4)}
	fixed := func(z complex128) [2]int16 {
		return [2]int16{int16(math.Floor(0.5 + math.MaxInt16*real(z))), int16(math.Floor(0.5 + math.MaxInt16*imag(z)))}
	}
	for i := range f.roots {
		f.roots[i] = fixed(unit(-i, n/2))
	}
	for i := range f.last {
		// exp(-πi((i+1)/(n/2) + 1/2))
		f.last[i] = fixed(unit(-(i+1)-n/4, n))
	}
	return f
}

// bins has the length of the result.
func (f *fixedFFT) bins() [][2]int16 { return make([][2]int16, f.n/2+1) }

func round15(v int32) int16 { return int16((v + 1<<14) >> 15) }

// over divides by 2 or 4, as a product with the share of 2^15-1.
func over(z [2]int16, k int32) [2]int16 {
	return [2]int16{round15(int32(z[0]) * (math.MaxInt16 / k)), round15(int32(z[1]) * (math.MaxInt16 / k))}
}

func times(a, b [2]int16) [2]int16 {
	ar, ai, br, bi := int32(a[0]), int32(a[1]), int32(b[0]), int32(b[1])
	return [2]int16{round15(ar*br - ai*bi), round15(ar*bi + ai*br)}
}

func plus(a, b [2]int16) [2]int16  { return [2]int16{a[0] + b[0], a[1] + b[1]} }
func minus(a, b [2]int16) [2]int16 { return [2]int16{a[0] - b[0], a[1] - b[1]} }

// work transforms every stride-th value of x into out.
func (f *fixedFFT) work(out, x [][2]int16, stride int) {
	n := len(out)
	if n == 1 {
		out[0] = x[0]
		return
	}
	radix := 4
	if n%4 != 0 {
		radix = 2
	}
	m := n / radix
	for q := range radix {
		f.work(out[q*m:(q+1)*m], x[q*stride:], stride*radix)
	}
	for k := range m {
		if radix == 2 {
			a, b := over(out[k], 2), over(out[k+m], 2)
			t := times(b, f.roots[k*stride])
			out[k], out[k+m] = plus(a, t), minus(a, t)
			continue
		}
		a := over(out[k], 4)
		t0 := times(over(out[k+m], 4), f.roots[k*stride])
		t1 := times(over(out[k+2*m], 4), f.roots[2*k*stride])
		t2 := times(over(out[k+3*m], 4), f.roots[3*k*stride])
		d, s := minus(a, t1), plus(a, t1)
		sum, diff := plus(t0, t2), minus(t0, t2)
		out[k], out[k+2*m] = plus(s, sum), minus(s, sum)
		out[k+m] = [2]int16{d[0] + diff[1], d[1] - diff[0]}
		out[k+3*m] = [2]int16{d[0] - diff[1], d[1] + diff[0]}
	}
}

// transform returns bins 0 to n/2 of the transform of n real values.
func (f *fixedFFT) transform(x []int16) [][2]int16 {
	half := f.n / 2
	in, z := make([][2]int16, half), make([][2]int16, half)
	for i := range in {
		in[i] = [2]int16{x[2*i], x[2*i+1]}
	}
	f.work(z, in, 1)
	out := f.bins()
	dc := over(z[0], 2)
	out[0], out[half] = [2]int16{dc[0] + dc[1], 0}, [2]int16{dc[0] - dc[1], 0}
	for k := 1; k <= half/2; k++ {
		a := over(z[k], 2)
		b := over([2]int16{z[half-k][0], -z[half-k][1]}, 2)
		s, t := plus(a, b), times(minus(a, b), f.last[k-1])
		out[k] = [2]int16{int16((int32(s[0]) + int32(t[0])) >> 1), int16((int32(s[1]) + int32(t[1])) >> 1)}
		out[half-k] = [2]int16{int16((int32(s[0]) - int32(t[0])) >> 1), int16((int32(t[1]) - int32(s[1])) >> 1)}
	}
	return out
}
