// Package private trains a model's head so that no single sample shows in the
// result (differential privacy), counts what that has cost, and checks from the
// outside what a tuned model gives away.
package private

import (
	"fmt"
	"math"
)

// orders are those of Rényi's divergence at which the cost is counted.
var orders = func() (list []float64) {
	for x := 1.1; x < 10.95; x += 0.1 {
		list = append(list, math.Round(10*x)/10)
	}
	for x := 11.0; x <= 64; x++ {
		list = append(list, x)
	}
	return append(list, 80, 96, 128, 192, 256, 512, 1024)
}()

// Epsilon returns the ε of (ε, δ)-differential privacy that steps of DP-SGD cost,
// each with noise of so many times the clipping norm on samples that are drawn
// independently with probability rate (Poisson sampling): the moments of the
// subsampled Gaussian mechanism (Mironov, Talwar and Zhang, 2019,
// arXiv:1908.10530, section 3.3) and the conversion of Canonne, Kamath and Steinke
// (2020, arXiv:2004.00010, proposition 12). Neighbouring data sets differ by
// the presence of one sample.
func Epsilon(noise, rate float64, steps int, delta float64) (float64, error) {
	if !(noise > 0) || !(rate > 0 && rate <= 1) || steps < 0 || !(delta > 0 && delta < 1) {
		return 0, fmt.Errorf("private: noise %v, rate %v, %d steps, delta %v: one is out of range", noise, rate, steps, delta)
	}
	if steps == 0 {
		return 0, nil
	}
	best := math.Inf(1)
	for _, a := range orders {
		divergence := float64(steps) * logMoment(noise, rate, a) / (a - 1)
		if e := divergence + math.Log1p(-1/a) - math.Log(delta*a)/(a-1); e < best {
			best = e
		}
	}
	return max(best, 0), nil
}

// Noise returns the least noise, to a thousandth, with which [Epsilon] is at most
// the one given.
func Noise(epsilon, rate float64, steps int, delta float64) (float64, error) {
	if !(epsilon > 0) {
		return 0, fmt.Errorf("private: an epsilon of %v: it must be positive", epsilon)
	}
	lo, hi := 0.0, 1.0
	for {
		e, err := Epsilon(hi, rate, steps, delta)
		if err != nil {
			return 0, err
		}
		if e <= epsilon {
			break
		}
		if lo, hi = hi, 2*hi; hi > 1e6 {
			return 0, fmt.Errorf("private: no noise makes %d steps cost an epsilon of %v", steps, epsilon)
		}
	}
	for hi-lo > 1e-3 {
		mid := (lo + hi) / 2
		if e, err := Epsilon(mid, rate, steps, delta); err == nil && e <= epsilon {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}

// logMoment is the logarithm of A(α) = E[((1-q) + q μ1/μ0)^α] over μ0, where μ0 is
// N(0, σ²) and μ1 N(1, σ²).
func logMoment(sigma, q, alpha float64) float64 {
	switch {
	case q == 1:
		return alpha * (alpha - 1) / (2 * sigma * sigma)
	case alpha == math.Trunc(alpha):
		return logMomentInt(sigma, q, int(alpha))
	}
	return logMomentReal(sigma, q, alpha)
}

// logMomentInt is the binomial sum of a whole α.
func logMomentInt(sigma, q float64, alpha int) float64 {
	sum, coefficient := math.Inf(-1), 0.0 // the logarithm of the binomial coefficient
	for k := 0; k <= alpha; k++ {
		i := float64(k)
		sum = logAdd(sum, coefficient+i*math.Log(q)+float64(alpha-k)*math.Log1p(-q)+(i*i-i)/(2*sigma*sigma))
		coefficient += math.Log(float64(alpha-k)) - math.Log(i+1)
	}
	return sum
}

// logMomentReal is the pair of series for any α, split where q μ1 = (1-q) μ0.
func logMomentReal(sigma, q, alpha float64) float64 {
	z := sigma*sigma*math.Log(1/q-1) + 0.5
	low, high := math.Inf(-1), math.Inf(-1)
	coefficient, sign := 0.0, 1.0 // binomial: logarithm of its magnitude, and sign
	const least, most = -30, 1000 // terms below exp(-30) do not count
	for i := 0.0; i < most; i++ {
		j := alpha - i
		below := coefficient + i*math.Log(q) + j*math.Log1p(-q) + (i*i-i)/(2*sigma*sigma) + logHalfErfc((i-z)/(math.Sqrt2*sigma))
		above := coefficient + j*math.Log(q) + i*math.Log1p(-q) + (j*j-j)/(2*sigma*sigma) + logHalfErfc((z-j)/(math.Sqrt2*sigma))
		if sign > 0 {
			low, high = logAdd(low, below), logAdd(high, above)
		} else {
			low, high = logSub(low, below), logSub(high, above)
		}
		if i > alpha && max(below, above) < least {
			return logAdd(low, high)
		}
		coefficient += math.Log(math.Abs(j)) - math.Log(i+1)
		if j < 0 {
			sign = -sign
		}
	}
	return math.Inf(1) // this order bounds nothing; others do
}

// logHalfErfc is log(erfc(x)/2); far out by the asymptotic series.
func logHalfErfc(x float64) float64 {
	if x < 20 {
		return math.Log(math.Erfc(x) / 2)
	}
	y := 1 / (2 * x * x)
	return -x*x - math.Log(2*x*math.SqrtPi) + math.Log1p(-y*(1-3*y*(1-5*y)))
}

// logAdd is log(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// logSub is log(exp(a) - exp(b)); what rounding has made negative counts as 0.
func logSub(a, b float64) float64 {
	switch {
	case math.IsInf(b, -1):
		return a
	case a <= b:
		return math.Inf(-1)
	}
	return a + math.Log1p(-math.Exp(b-a))
}
