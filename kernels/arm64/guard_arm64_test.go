//go:build linux && !purego

package arm64

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// guarded is memory between two pages that may not be touched: reading or
// writing past the end of a buffer that lies against one of them is a fault.
type guarded struct{ mem []byte }

func newGuarded(t *testing.T, size int) *guarded {
	t.Helper()
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			t.Error(err)
		}
	})
	for _, g := range [][]byte{all[:page], all[page+size:]} {
		if err := syscall.Mprotect(g, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return &guarded{all[page : page+size]}
}

// bytes returns n bytes that end, or sometimes begin, at a forbidden page.
func (g *guarded) bytes(r *rand.Rand, n int) []byte {
	if r.IntN(4) == 0 {
		return g.mem[:n:n]
	}
	return g.mem[len(g.mem)-n:]
}

// slice returns n elements as bytes does.
func slice[T any](g *guarded, r *rand.Rand, n int) []T {
	var z T
	b := g.bytes(r, n*int(unsafe.Sizeof(z)))
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
