//go:build amd64 && !purego

package kernels

func blocksGemvShape(Level) (gemmShape, bool) { return gemmShape{}, false }
func gemvBlocks(Level, int, *blockArgs)       {}

func unpackBlock(l Level, bits int, dst []float32, block []byte) {
	unpackBlockGo(bits, fgemmShape(l).nr, dst, block)
}
