//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

// blocksGemvShape returns the tile of the level's kernel for products of one row with
// weights in blocks, if it has one.
func blocksGemvShape(l Level) (gemmShape, bool) {
	if l >= AVX512 {
		return gemmShape{mr: 1, nr: 64, kr: 1}, true
	}
	return gemmShape{mr: 1, nr: 32, kr: 1}, l >= AVX2
}

func gemvBlocks(l Level, bits int, a *blockArgs) {
	b := (*amd64.BlockArgs)(a)
	switch wide := l >= AVX512; {
	case wide && bits == 4:
		amd64.BlockGemv64Int4AVX512(b)
	case wide:
		amd64.BlockGemv64Int8AVX512(b)
	case bits == 4:
		amd64.BlockGemv32Int4AVX2(b)
	default:
		amd64.BlockGemv32Int8AVX2(b)
	}
}

func unpackBlock(l Level, bits int, dst []float32, block []byte) {
	nr := fgemmShape(l).nr
	k := uintptr(len(dst) / nr)
	switch wide := l >= AVX512; {
	case l == Generic:
		unpackBlockGo(bits, nr, dst, block)
	case wide && bits == 4:
		amd64.UnpackInt4AVX512(pointer(dst), pointer(block), k)
	case wide:
		amd64.UnpackInt8AVX512(pointer(dst), pointer(block), k)
	case bits == 4:
		amd64.UnpackInt4AVX2(pointer(dst), pointer(block), k)
	default:
		amd64.UnpackInt8AVX2(pointer(dst), pointer(block), k)
	}
}
