//go:build !amd64 || purego

package kernels

func outer(_ Level, a *outerArgs) { outerGo(a) }

func pair(_ Level, a *pairArgs) { pairGo(a) }

func turnFront(_ Level, _, _ []float32, _, _, _ int) int { return 0 }
