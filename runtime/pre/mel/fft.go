package mel

import "math"

// An FFT is a plan for the discrete Fourier transform of real signals of one
// length: Cooley and Tukey's algorithm for powers of two, and Bluestein's, which
// makes a convolution of it, for all other lengths.
type FFT struct {
	n     int
	size  int          // of the complex transform, a power of two
	roots []complex128 // exp(-2πi k/size), k < size/2
	chirp []complex128 // exp(-πi k²/n), of Bluestein's
	wave  []complex128 // transform of the inverse chirp
}

// NewFFT plans transforms of n real values.
func NewFFT(n int) *FFT {
	f := &FFT{n: n, size: 1}
	need := n
	if n&(n-1) != 0 {
		need = 2*n - 1
	}
	for f.size < need {
		f.size *= 2
	}
	f.roots = make([]complex128, f.size/2)
	for k := range f.roots {
		f.roots[k] = unit(-k, f.size)
	}
	if n&(n-1) == 0 {
		return f
	}
	f.chirp = make([]complex128, n)
	f.wave = make([]complex128, f.size)
	for k := range f.chirp {
		f.chirp[k] = unit(-k*k%(2*n), 2*n)
		c := conj(f.chirp[k])
		f.wave[k], f.wave[(f.size-k)%f.size] = c, c
	}
	f.transform(f.wave)
	return f
}

// unit returns exp(2πi part/whole), from the Taylor series within an eighth of a turn.
func unit(part, whole int) complex128 {
	k, n := int64(part), int64(whole) // multiples of 2**30 leave 32 bits
	k = (k%n + n) % n
	flip, swap, neg := false, false, false
	if 2*k > n { // the lower half turn mirrors the upper
		k, flip = n-k, true
	}
	if 4*k > n {
		k, neg = n-2*k, true // of 2n from here on
	} else {
		k *= 2
	}
	if 4*k > n {
		k, swap = n-2*k, true // of 4n
	} else {
		k *= 2
	}
	x := float64(k) / float64(4*n) * (2 * math.Pi)
	x2 := float64(x * x)
	s, c := 0.0, 0.0
	for i := 18; i >= 0; i -= 2 {
		s = math.FMA(s, -x2/float64((i+2)*(i+3)), 1)
		c = math.FMA(c, -x2/float64((i+1)*(i+2)), 1)
	}
	s *= x
	if swap {
		s, c = c, s
	}
	if neg {
		c = -c
	}
	if flip {
		s = -s
	}
	return complex(c, s)
}

func conj(z complex128) complex128 { return complex(real(z), -imag(z)) }

// mul is the product with every operation rounded: a compiler that fuses would
// give other bits.
func mul(a, b complex128) complex128 {
	return complex(float64(real(a)*real(b))-float64(imag(a)*imag(b)), float64(real(a)*imag(b))+float64(imag(a)*real(b)))
}

// transform replaces x, of f.size values, by its transform.
func (f *FFT) transform(x []complex128) {
	n := len(x)
	for i, j := 1, 0; i < n; i++ { // the order of reversed bits
		bit := n >> 1
		for ; j&bit != 0; bit >>= 1 {
			j ^= bit
		}
		j ^= bit
		if i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for half := 1; half < n; half *= 2 {
		step := n / (2 * half)
		for at := 0; at < n; at += 2 * half {
			for k := range half {
				a, b := x[at+k], mul(x[at+k+half], f.roots[k*step])
				x[at+k], x[at+k+half] = a+b, a-b
			}
		}
	}
}

// Power writes the squared magnitudes of bins 0 to n/2 of the transform of x,
// which has n values, to dst.
func (f *FFT) Power(dst, x []float64) {
	z := make([]complex128, f.size)
	if f.chirp == nil {
		for i, v := range x {
			z[i] = complex(v, 0)
		}
		f.transform(z)
	} else {
		for i, v := range x {
			z[i] = mul(complex(v, 0), f.chirp[i])
		}
		f.transform(z)
		for i := range z { // the inverse transform is the conjugate of that of the conjugate
			z[i] = conj(mul(z[i], f.wave[i]))
		}
		f.transform(z)
		for i := range f.chirp {
			z[i] = mul(conj(z[i]), f.chirp[i])
			z[i] = complex(real(z[i])/float64(f.size), imag(z[i])/float64(f.size))
		}
	}
	for i := range f.n/2 + 1 {
		dst[i] = float64(real(z[i])*real(z[i])) + float64(imag(z[i])*imag(z[i]))
	}
}
