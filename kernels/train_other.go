//go:build purego || (!amd64 && !arm64)

package kernels

func outer(_ Level, a *outerArgs) { outerGo(a) }
func pair(_ Level, a *pairArgs)   { pairGo(a) }

func turnFront(_ Level, _, _ []float32, _, _, _ int) int { return 0 }

func sgdFront(_ Level, _, _, _ []float32, _, _, _ float32) int { return 0 }

func adamFront(_ Level, _ *[8]float32, _, _, _, _ []float32) int { return 0 }

func rangeBitsFront(_ Level, _ []byte, _ []float32, _, _ float32) int { return 0 }

func keepBitsFront(_ Level, _ []float32, _ []byte) int { return 0 }

func maxTapFront(_ Level, _ []float32, _ []uint8, _ []float32, _ []int32) int { return 0 }

func maxTapGradFront(_ Level, _, _ []float32, _ []uint8, _ []int32, _ bool) int { return 0 }
