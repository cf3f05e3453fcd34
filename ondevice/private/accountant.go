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
	for x := 11.0; x < 64; x++ {
		list = append(list, x)
	}
	return append(list, 128, 256, 512, 1024)
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

// logMomentReal is the integral over z of μ0(z) ((1-q) + q exp((2z-1)/2σ²))^α by the
// trapezoidal rule, which for such a smooth peak is exact to rounding (Trefethen and
// Weideman, 2014). The series of the paper do not converge for small α.
func logMomentReal(sigma, q, alpha float64) float64 {
	step, far := sigma/8, 12*sigma
	sum := math.Inf(-1)
	for z := -far; z <= alpha+far; z += step {
		ratio := logAdd(math.Log1p(-q), math.Log(q)+(2*z-1)/(2*sigma*sigma))
		sum = logAdd(sum, alpha*ratio-z*z/(2*sigma*sigma))
	}
	return sum + math.Log(step/(sigma*math.Sqrt(2*math.Pi)))
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
