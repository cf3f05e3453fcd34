// Package amd64 holds the assembly kernels for x86-64, one file a kernel
// family and instruction-set level, and their declarations. Callers go through
// package kernels, which checks shapes, packs weights and picks the level.
package amd64
