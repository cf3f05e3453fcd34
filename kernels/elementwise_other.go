//go:build purego || (!amd64 && !arm64)

package kernels

// Without vector kernels the portable loops do everything.

func qaddFront(Level, []int8, []int8, []int8, *QBinary) int { return 0 }

func arithFront(Level, BinaryOp, []float32, []float32, []float32, float32, float32) int { return 0 }

func spanFront(Level, []float32) (n int, lo, hi float32) { return 0, 0, 0 }

func quantizeFront(Level, []int8, []float32, float32, float32, float32, int32) int { return 0 }

func dynFront(Level, []float32, []int32, []int32, []float32, []float32, float32, int32, float32, float32) int {
	return 0
}

func unaryFront(Level, UnaryOp, []float32, []float32) int { return 0 }
