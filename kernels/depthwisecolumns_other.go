//go:build purego || (!amd64 && !arm64)

package kernels

// qdwByColumns and dwByColumns do 3x3 windows at horizontal stride 1. Their Off
// is [Pixels+2][3]: the offsets of every input column.

func qdwByColumns(l Level, a *qDWArgs) {}

func dwByColumns(l Level, a *dwArgs) {}
