//go:build arm64 && !purego

package kernels

import "golang.org/x/sys/cpu"

// detect returns this machine's levels in ascending order. NEON is part of
// the ARMv8-A baseline.
func detect() []Level {
	have := []Level{Generic, NEON}
	if !cpu.ARM64.HasASIMDDP {
		return have
	}
	have = append(have, Dotprod)
	if cpu.ARM64.HasI8MM {
		have = append(have, I8MM)
	}
	return have
}
