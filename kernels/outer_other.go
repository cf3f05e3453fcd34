//go:build purego || (!amd64 && !arm64)

package kernels

func outer(_ Level, a *outerArgs) { outerGo(a) }
func pair(_ Level, a *pairArgs)   { pairGo(a) }
