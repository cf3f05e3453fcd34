package net

import (
	"slices"
	"testing"
)

// TestPhases sums one dimension both ways, with whole numbers.
func TestPhases(t *testing.T) {
	done := 0
	for kernel := 1; kernel <= 7; kernel++ {
		for stride := 1; stride <= 4; stride++ {
			for cut := range kernel {
				const in = 5
				for out := max(1, (in-1)*stride+kernel-2*cut-1); out <= (in-1)*stride+kernel-cut; out++ {
					p, ok := NewPhases([]int{kernel}, []int{stride}, []int{cut}, []int{in}, []int{out})
					if !ok {
						continue
					}
					done++
					w := make([]byte, kernel)
					for i := range w {
						w[i] = byte(i + 1)
					}
					x := []int{3, 1, 4, 1, 5}
					whole := make([]int, (in-1)*stride+kernel)
					for i, v := range x {
						for k, c := range w {
							whole[i*stride+k] += v * int(c)
						}
					}
					padded := slices.Concat(make([]int, p.Before[0]), x, make([]int, p.After[0]))
					v, n := p.Weights(w, 1, 1), p.Kernel[0]
					var got []int
					for i := range len(padded) - n + 1 {
						for phase := range stride {
							sum := 0
							for k := range n {
								sum += padded[i+k] * int(v[phase*n+k])
							}
							got = append(got, sum)
						}
					}
					if want := whole[cut:][:out]; !slices.Equal(got[:out], want) {
						t.Errorf("kernel %d, stride %d, cut %d: %v, want %v", kernel, stride, cut, got, want)
					}
				}
			}
		}
	}
	if done < 100 {
		t.Errorf("only %d geometries", done)
	}
}
