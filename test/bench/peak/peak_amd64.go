package main

import "github.com/whet-edge/whet/kernels"

// probes returns those of the levels that this machine has.
func probes() []probe {
	var ps []probe
	for _, l := range kernels.Levels() {
		switch l {
		case kernels.AVX2:
			ps = append(ps, probe{l.String(), "f32", 12 * 8, fma256}, probe{l.String(), "int8", 6 * 16, madd256})
		case kernels.AVX512VNNI:
			ps = append(ps, probe{l.String(), "f32", 12 * 16, fma512}, probe{l.String(), "int8", 12 * 64, dot512})
		}
	}
	return ps
}

// fma256 runs n times twelve VFMADD231PS on YMM registers.
//
//go:noescape
func fma256(n uintptr)

// madd256 runs n times six pairs of VPMADDWD and VPADDD on YMM registers.
//
//go:noescape
func madd256(n uintptr)

// fma512 runs n times twelve VFMADD231PS on ZMM registers.
//
//go:noescape
func fma512(n uintptr)

// dot512 runs n times twelve VPDPBUSD on ZMM registers.
//
//go:noescape
func dot512(n uintptr)
