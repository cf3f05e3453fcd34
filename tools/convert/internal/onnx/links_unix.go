//go:build unix

package onnx

import (
	"io/fs"
	"syscall"
)

// links returns how many names a file has.
func links(fi fs.FileInfo) int {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(s.Nlink)
	}
	return 1
}
