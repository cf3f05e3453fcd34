package ondevice

import (
	"runtime/debug"
	"testing"
)

// What a budget sets in Go's collector lasts until the last one who holds it lets go.
func TestHoldHeap(t *testing.T) {
	percent, limit := debug.SetGCPercent(77), debug.SetMemoryLimit(1<<40)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	check := func(when string, percent int, limit int64) {
		t.Helper()
		p := debug.SetGCPercent(percent)
		if l := debug.SetMemoryLimit(-1); p != percent || l != limit {
			t.Errorf("%s: GOGC %d and a limit of %d bytes, not %d and %d", when, p, l, percent, limit)
		}
	}
	holdHeap(0)()
	check("without a budget", 77, 1<<40)
	first := holdHeap(1 << 30)
	second := holdHeap(1 << 29)
	check("within two budgets", garbage, 1<<29)
	first()
	check("within one", garbage, 1<<29)
	second()
	check("afterwards", 77, 1<<40)
}
