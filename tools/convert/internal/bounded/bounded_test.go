package bounded

import (
	"testing"
	"time"
)

var kept []byte

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit time.Duration
		f     func()
		want  int
	}{
		{"nothing", Time, func() {}, 0},
		{"memory", 1 << 60, func() {
			kept = make([]byte, Fixed+1)
		}, 1},
		{"time", 100 * time.Millisecond, func() {
			for start := processTime(); processTime()-start < 120*time.Millisecond; {
			}
		}, 1},
	} {
		c := faults(0)
		if check(&c, 0, tt.limit, tt.f); int(c) != tt.want {
			t.Errorf("%s: %d faults, want %d", tt.name, c, tt.want)
		}
	}
}

// faults counts what Check finds.
type faults int

func (f *faults) Helper()               {}
func (f *faults) Errorf(string, ...any) { *f++ }
