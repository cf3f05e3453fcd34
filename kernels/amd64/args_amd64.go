//go:build !purego

package amd64

import "unsafe"

// The argument structs are those of package kernels (micro.go), which explains them.

// QGemmArgs describes a tile of an int8 matrix product or convolution.
type QGemmArgs struct {
	A    unsafe.Pointer
	Pad  unsafe.Pointer
	Off  *int32
	Taps uintptr
	KC   uintptr
	W    unsafe.Pointer
	C    unsafe.Pointer
	LDC  uintptr
	Rows uintptr
	Cols uintptr
	Corr *int32
	Lo   float32
	Hi   float32
	Zero int32
	Raw  uint32
	Step uintptr
	Next unsafe.Pointer
	Left uintptr

	Residual uintptr
	Sum      unsafe.Pointer
	Second   uint32
	Least    int32
	Most     int32
	Pairs    uint32
}

// GemmArgs describes a tile of a float32 matrix product or convolution.
type GemmArgs struct {
	A    unsafe.Pointer
	Pad  unsafe.Pointer
	Off  *int32
	Taps uintptr
	KC   uintptr
	W    unsafe.Pointer
	C    unsafe.Pointer
	LDC  uintptr
	Rows uintptr
	Cols uintptr
	Lo   float32
	Hi   float32
}

// QDWArgs describes a run of pixels of an int8 depthwise convolution.
type QDWArgs struct {
	A      unsafe.Pointer
	Pad    unsafe.Pointer
	Off    *int32
	Taps   uintptr
	C      uintptr
	W      unsafe.Pointer
	Out    unsafe.Pointer
	LDC    uintptr
	Pixels uintptr
	Lo     float32
	Hi     float32
	Zero   int32
}

// DWArgs describes a run of pixels of a float32 depthwise convolution.
type DWArgs struct {
	A      unsafe.Pointer
	Pad    unsafe.Pointer
	Off    *int32
	Taps   uintptr
	C      uintptr
	W      unsafe.Pointer
	Out    unsafe.Pointer
	LDC    uintptr
	Pixels uintptr
	Lo     float32
	Hi     float32
}
