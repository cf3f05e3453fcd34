package explain

import "math"

// legendre returns the points between 0 and 1 and the weights, whose sum is 1, of the
// rule of Gauss and Legendre: with n points it is exact for polynomials up to degree
// 2n-1. The points are the roots of the Legendre polynomial P_n, found by Newton's
// method from Tricomi's approximation; the weights are those of Abramowitz and Stegun,
// "Handbook of Mathematical Functions", 25.4.29.
func legendre(n int) (points, weights []float64) {
	points, weights = make([]float64, n), make([]float64, n)
	for i := range (n + 1) / 2 {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		slope := 0.0
		for range 20 { // three or four do
			before, p := 1.0, x
			for k := 2; k <= n; k++ {
				before, p = p, (float64(2*k-1)*x*p-float64(k-1)*before)/float64(k)
			}
			slope = float64(n) * (x*p - before) / (x*x - 1)
			step := p / slope
			x -= step
			if math.Abs(step) < 1e-15 {
				break
			}
		}
		w := 1 / ((1 - x*x) * slope * slope)
		points[i], points[n-1-i] = (1-x)/2, (1+x)/2
		weights[i], weights[n-1-i] = w, w
	}
	return points, weights
}
