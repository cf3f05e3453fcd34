//go:build purego || (!amd64 && !arm64)

package kernels

// fgemvShape returns the tile of the level's float32 kernel for products of one
// row, if it has one.
func fgemvShape(Level) (gemmShape, bool) { return gemmShape{}, false }

func gemv(Level, *gemmArgs) {}
