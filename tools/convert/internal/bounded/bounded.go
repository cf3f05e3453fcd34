// Package bounded holds what is imported to the converter's promise about files
// that nobody vouches for: a second of processor time, and memory in proportion to
// the file. Only tests import it.
package bounded

import (
	"runtime/metrics"
	"time"
)

// All that an import allocates, also what it gives back while it runs, stays within
// Fixed bytes and PerByte for each byte of the file; it takes at most Time of the
// process. Processor time, not the clock's: fuzzing on a busy machine would report the
// neighbours.
const (
	Fixed   = 256 << 20
	PerByte = 320
	Time    = time.Second
)

// A TB is what Check needs of a testing.T.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
}

// Check runs f, which imports a file of size bytes. It fails the test where f takes or
// allocates more than it may, and ends the process where f seems not to come back.
func Check(t TB, size int, f func()) {
	t.Helper()
	check(t, size, Time, f)
}

func check(t TB, size int, limit time.Duration, f func()) {
	t.Helper()
	bytes, took := measure(f)
	if most := uint64(Fixed + PerByte*size); bytes > most {
		t.Errorf("%d MiB allocated for a file of %d bytes, want at most %d MiB", bytes>>20, size, most>>20)
	}
	if took > limit {
		// Collecting another test's garbage counts, too: once more, to be sure.
		if _, took = measure(f); took > limit {
			t.Errorf("%v for a file of %d bytes, want at most %v", took, size, limit)
		}
	}
}

func measure(f func()) (bytes uint64, took time.Duration) {
	before, start := allocated(), processTime()
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if processTime()-start > 10*Time {
					panic("bounded: the import does not come back")
				}
			}
		}
	}()
	f()
	return allocated() - before, processTime() - start
}

// allocated returns the bytes that the process has ever allocated on its heap.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
