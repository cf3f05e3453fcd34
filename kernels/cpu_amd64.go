//go:build amd64 && !purego

package kernels

import "golang.org/x/sys/cpu"

// vexVNNI tells that this CPU has VNNI in the VEX encoding (AVX-VNNI). CPUs that
// have it only as part of AVX-512 run level AVXVNNI in the EVEX encoding.
var vexVNNI = cpu.X86.HasAVXVNNI

// vbmi tells that this CPU has AVX-512 VBMI, as all with AVX-512 VNNI but the
// first have.
var vbmi = cpu.X86.HasAVX512VBMI

// detect returns this machine's levels in ascending order. x/sys/cpu has also
// checked that the operating system saves the registers.
func detect() []Level {
	have := []Level{Generic}
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasFMA {
		return have
	}
	have = append(have, AVX2)
	avx512 := x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL
	if vexVNNI || avx512 && x.HasAVX512VNNI {
		have = append(have, AVXVNNI)
	}
	if !avx512 {
		return have
	}
	have = append(have, AVX512)
	if x.HasAVX512VNNI {
		have = append(have, AVX512VNNI)
	}
	return have
}
