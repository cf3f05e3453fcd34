//go:build purego || (!amd64 && !arm64)

package kernels

// Without assembly every level is the portable one.

func gemm16Shape(Level) gemmShape      { return gemm16ShapeGo }
func gemm16(_ Level, a *qGemmArgs)     { gemm16Go(a) }
func dw16Shape(Level) dwShape          { return dw16ShapeGo }
func dw16(_ Level, _ bool, a *qDWArgs) { dw16Go(a) }

// Conv16Asm reports whether the level has assembly for 16x8 products.
func Conv16Asm(Level) bool { return false }

func binary16Front(Level, []int16, []int16, []int16, *QBinary16) int { return 0 }
