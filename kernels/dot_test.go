package kernels

import (
	"math/rand/v2"
	"testing"
)

func TestDot8(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, l := range Levels() {
		for n := range 100 {
			x, w := make([]int8, n), make([]int8, n+3)
			var want int32
			for i := range x {
				x[i], w[i] = int8(r.IntN(256)-128), int8(r.IntN(256)-128)
				if r.IntN(4) == 0 {
					x[i], w[i] = -128, -128
				}
				want += int32(x[i]) * int32(w[i])
			}
			if got := dot8(l, x, w); got != want {
				t.Fatalf("%v: %d elements: %d, want %d", l, n, got, want)
			}
		}
	}
}
