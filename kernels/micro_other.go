//go:build purego || (!amd64 && !arm64)

package kernels

// Without assembly every level is the portable one.

func qgemmShape(Level) gemmShape { return qgemmShapeGo }
func fgemmShape(Level) gemmShape { return fgemmShapeGo }
func qdwShape(Level) dwShape     { return qdwShapeGo }
func fdwShape(Level) dwShape     { return fdwShapeGo }

func qgemm(_ Level, a *qGemmArgs) { qgemmGo(a) }
func gemm(_ Level, a *gemmArgs)   { gemmGo(a) }
func qdw(_ Level, a *qDWArgs)     { qdwGo(a) }
func dw(_ Level, a *dwArgs)       { dwGo(a) }
