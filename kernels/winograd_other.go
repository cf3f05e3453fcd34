//go:build purego || (!amd64 && !arm64)

package kernels

func winogradIn(_ Level, a *winogradArgs)  { winogradInGo(a) }
func winogradOut(_ Level, a *winogradArgs) { winogradOutGo(a) }
