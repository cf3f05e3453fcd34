//go:build linux && !purego

package arm64

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/cpu"
)

func TestDot8(t *testing.T) {
	for _, k := range []struct {
		name string
		run  func(x, w unsafe.Pointer, n uintptr) int32
		has  bool
	}{{"Dot8NEON", Dot8NEON, true}, {"Dot8Dotprod", Dot8Dotprod, cpu.ARM64.HasASIMDDP}} {
		t.Run(k.name, func(t *testing.T) {
			if !k.has {
				t.Skip("NOT RUN: this CPU has not the instructions")
			}
			r := rand.New(rand.NewPCG(23, 24))
			gx, gw := newGuarded(t, 4096), newGuarded(t, 4096)
			for range cases() {
				n := 16 * (1 + r.IntN(20))
				x, w := slice[int8](gx, r, n), slice[int8](gw, r, n)
				fillInt8(r, x)
				fillInt8(r, w)
				var want int32
				for i := range x {
					want += int32(x[i]) * int32(w[i])
				}
				if got := k.run(unsafe.Pointer(&x[0]), unsafe.Pointer(&w[0]), uintptr(n)); got != want {
					t.Fatalf("%d products: got %d, want %d", n, got, want)
				}
			}
		})
	}
}
