//go:build purego || (!amd64 && !arm64)

package kernels

// Without assembly a panel is unpacked for a product of one row, too.

func blocksGemvShape(Level) (gemmShape, bool) { return gemmShape{}, false }
func gemvBlocks(Level, int, *blockArgs)       {}

func unpackBlock(l Level, bits int, dst []float32, block []byte) {
	unpackBlockGo(bits, fgemmShape(l).nr, dst, block)
}
