package kernels

import (
	"os"
	"syscall"
)

// fence returns n bytes between two pages that cannot be touched: a kernel that
// reads or writes past a buffer which ends there is killed.
func fence(n int) []byte {
	page := os.Getpagesize()
	n = roundUp(n, page)
	b, err := syscall.Mmap(-1, 0, n+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for _, edge := range [][]byte{b[:page], b[page+n:]} {
		if err := syscall.Mprotect(edge, syscall.PROT_NONE); err != nil {
			panic(err)
		}
	}
	return b[page : page+n : page+n]
}
