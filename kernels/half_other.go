//go:build purego || (!amd64 && !arm64)

package kernels

// widenHalves converts numbers from the front and returns how many.
func widenHalves(Level, []float32, []uint16) int { return 0 }
