package mel

import "math"

// Resample changes the rate of a sound by a sinc filter under a Kaiser window
// (32 zero crossings, beta 9: about 90 dB of damping), cut at nine tenths of the
// lower rate's half.
func Resample(sound []float32, from, to int) []float32 {
	if from == to || len(sound) == 0 {
		return sound
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	const crossings, beta, roll = 32, 9.0, 0.9
	cut := roll * min(1, float64(to)/float64(from)) // as a share of the source's half rate
	reach := int(math.Ceil(crossings / cut))
	out := make([]float32, (len(sound)*up+down-1)/down)
	// The filter depends on where between two samples an output lies: up places.
	phases := make([][]float64, up)
	for i := range out {
		whole, phase := i*down/up, i*down%up
		if phases[phase] == nil {
			w := make([]float64, 2*reach+1)
			for k := range w {
				x := float64(k-reach) - float64(phase)/float64(up)
				w[k] = cut * sinc(cut*x) * kaiser(x/float64(reach+1), beta)
			}
			phases[phase] = w
		}
		sum := 0.0
		for k, w := range phases[phase] {
			if j := whole + k - reach; j >= 0 && j < len(sound) {
				sum += float64(w * float64(sound[j]))
			}
		}
		out[i] = float32(sum)
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the window I0(beta sqrt(1-x²)) / I0(beta) for x from -1 to 1.
func kaiser(x, beta float64) float64 {
	return bessel(beta*math.Sqrt(max(0, 1-float64(x*x)))) / bessel(beta)
}

// bessel is I0, by its power series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1; term > 1e-17*sum; k++ {
		term *= x / 2 / float64(k) * (x / 2 / float64(k))
		sum += term
	}
	return sum
}
