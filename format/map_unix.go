//go:build unix

package format

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const canMap = true

func mapFile(f *os.File, size int) ([]byte, func() error, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, mapFlags)
	if err != nil {
		return nil, nil, err
	}
	return b, func() error { return unix.Munmap(b) }, nil
}

// release gives whole pages of a mapped file back to the system, which reads
// them again if they are needed.
func release(b []byte) {
	page := uintptr(os.Getpagesize())
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (page - 1)
	if n := uintptr(len(b)); n > skip && (n-skip)&^(page-1) > 0 {
		_ = unix.Madvise(b[skip:skip+(n-skip)&^(page-1)], unix.MADV_DONTNEED) // only advice
	}
}
