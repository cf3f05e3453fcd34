//go:build purego || (!amd64 && !arm64)

package kernels

// Without vector kernels the portable loops do everything.

func qaddFront(Level, []int8, []int8, []int8, *QBinary) int { return 0 }

func qmulFront(Level, []int8, []int8, []int8, *QBinary) int { return 0 }

func arithFront(Level, BinaryOp, []float32, []float32, []float32, float32, float32) int { return 0 }

func spanFront(Level, []float32) (n int, lo, hi float32) { return 0, 0, 0 }

func quantizeFront(Level, []int8, []float32, float32, float32, float32, int32) int { return 0 }

func quantizeDivFront(Level, []int8, []float32, float32, float32, float32, int32) int { return 0 }

func dequantizeFront(Level, []float32, []int8, float32, int32) int { return 0 }

func requantizeFront(Level, []int8, []int32, int32, float32, float32, float32, int32) int { return 0 }

func qmeanFront(Level, []int8, []int32, int32, int32, int32, int32) int { return 0 }

func flipFront(Level, []byte, []byte) int { return 0 }

func lookupFront(Level, []int8, []int8, *Table8) int { return 0 }

func dynFront(Level, []float32, []int32, []int32, []float32, []float32, float32, int32, float32, float32) int {
	return 0
}

func unaryFront(Level, Unary, []float32, []float32) int { return 0 }

func expFront(Level, []float32, []float32, float32) int { return 0 }

func divideFront(Level, []float32, []float32, float32) int { return 0 }

func cellFront(Level, []float32, []float32, []float32, []float32, float32, float32) int { return 0 }

func qsumFront(Level, []int32, []int8, int, *taps) int { return 0 }

func qmaxFront(Level, []int8, []int8, int, *taps) int { return 0 }

func maxFront(Level, []float32, []float32, int, *taps) int { return 0 }

func avgFront(Level, []float32, []float32, int, *taps, float32, float32, float32) int { return 0 }
