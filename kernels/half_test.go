package kernels

import (
	"math"
	"testing"
)

// TestWidenHalves converts every half at every level, in pieces of every length.
func TestWidenHalves(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	want := make([]float32, len(all))
	float16ToFloat32Go(want, all)
	for _, l := range Levels() {
		got := make([]float32, len(all))
		for i, n := 0, 0; i < len(all); i, n = i+n, n%37+1 {
			n = min(n, len(all)-i)
			done := widenHalves(l, got[i:i+n], all[i:i+n])
			float16ToFloat32Go(got[i+done:i+n], all[i+done:i+n])
		}
		for i, x := range got {
			if math.Float32bits(x) != math.Float32bits(want[i]) && (x == x || want[i] == want[i]) {
				t.Fatalf("%v: half %#x is %x, want %x", l, i, math.Float32bits(x), math.Float32bits(want[i]))
			}
		}
	}
}

func BenchmarkFloat16ToFloat32(b *testing.B) {
	src, dst := make([]uint16, 1<<14), make([]float32, 1<<14)
	for i := range src {
		src[i] = uint16(i)
	}
	b.SetBytes(int64(2 * len(src)))
	for b.Loop() {
		Float16ToFloat32(dst, src)
	}
}
