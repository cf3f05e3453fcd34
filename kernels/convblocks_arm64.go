//go:build arm64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/arm64"

// blocksGemvShape returns the tile of the level's kernel for products of one row with
// weights in blocks, if it has one.
func blocksGemvShape(l Level) (gemmShape, bool) {
	return gemmShape{mr: 1, nr: arm64.BlockGemvNEONNR, kr: 1}, l != Generic
}

func gemvBlocks(_ Level, bits int, a *blockArgs) {
	if b := (*arm64.BlockArgs)(a); bits == 4 {
		arm64.BlockGemv32Int4NEON(b)
	} else {
		arm64.BlockGemv32Int8NEON(b)
	}
}

func unpackBlock(l Level, bits int, dst []float32, block []byte) {
	nr := fgemmShape(l).nr
	switch k := uintptr(len(dst) / nr); {
	case l == Generic:
		unpackBlockGo(bits, nr, dst, block)
	case bits == 4:
		arm64.UnpackInt4NEON(pointer(dst), pointer(block), k)
	default:
		arm64.UnpackInt8NEON(pointer(dst), pointer(block), k)
	}
}
