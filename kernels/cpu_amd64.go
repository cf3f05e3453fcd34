//go:build amd64 && !purego

package kernels

import "golang.org/x/sys/cpu"

// detect returns this machine's levels in ascending order. x/sys/cpu has also
// checked that the operating system saves the registers.
func detect() []Level {
	have := []Level{Generic}
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasFMA {
		return have
	}
	have = append(have, AVX2)
	if x.HasAVXVNNI {
		have = append(have, AVXVNNI)
	}
	if !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512DQ || !x.HasAVX512VL {
		return have
	}
	have = append(have, AVX512)
	if x.HasAVX512VNNI {
		have = append(have, AVX512VNNI)
	}
	return have
}
