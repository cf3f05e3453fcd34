package kernels

import "testing"

func TestDot8(t *testing.T) {
	atLevels(t, 100, func(t *testing.T, l Level, m *memory) {
		n := m.length()
		x, w := m.codes(n), m.codes(n+m.r.IntN(4))
		if m.r.IntN(4) == 0 {
			setAll(x, -128)
			setAll(w, -128)
		}
		if got, want := dot8(l, x, w), dot8Go(x, w); got != want {
			t.Fatalf("%d elements: %d, want %d", n, got, want)
		}
	})
}
