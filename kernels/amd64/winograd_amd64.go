//go:build !purego

package amd64

import "unsafe"

// WinogradArgs describes the transform of one tile of a convolution by Winograd's
// algorithm F(4x4, 3x3). The struct is that of package kernels (winograd_go.go),
// which explains it.
type WinogradArgs struct {
	Tile   unsafe.Pointer
	Row    uintptr
	Pixel  uintptr
	Points unsafe.Pointer
	Step   uintptr
	N      uintptr
	Bias   unsafe.Pointer
	Lo, Hi float32
}

// WinogradInAVX2 transforms 6x6 input pixels to 36 points with AVX2 and FMA. It
// equals kernels.winogradInGo; N is a multiple of 8, not 0.
//
//go:noescape
func WinogradInAVX2(a *WinogradArgs)

// WinogradOutAVX2 transforms 36 points to 4x4 output pixels with AVX2 and FMA. It
// equals kernels.winogradOutGo; N is a multiple of 8, not 0.
//
//go:noescape
func WinogradOutAVX2(a *WinogradArgs)
