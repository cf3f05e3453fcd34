package explain

import (
	"math"
	"testing"
)

// A rule of n points is exact up to degree 2n-1, and no further.
func TestLegendre(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8, 50, 257} {
		points, weights := legendre(n)
		integral := func(degree int) (sum float64) { // of x to a power, from 0 to 1
			for i, x := range points {
				sum += weights[i] * math.Pow(x, float64(degree))
			}
			return sum
		}
		for _, degree := range []int{0, 1, n, 2*n - 1} {
			if got, want := integral(degree), 1/float64(degree+1); math.Abs(got-want) > 1e-12 {
				t.Errorf("%d points: the integral of x^%d is %v, want %v", n, degree, got, want)
			}
		}
		if got, want := integral(2*n), 1/float64(2*n+1); n <= 3 && math.Abs(got-want) < 1e-5 {
			t.Errorf("%d points are exact for degree %d, too", n, 2*n)
		}
		for i := 1; i < n; i++ {
			if points[i] <= points[i-1] {
				t.Errorf("%d points: %v is not above %v", n, points[i], points[i-1])
			}
		}
	}
}
