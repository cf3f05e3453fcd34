// Package arm64 holds the hand-written NEON, dotprod and i8mm micro-kernels of
// package kernels. Each kernel computes one small tile from packed weights; the
// loops over tiles, the packing and the threads are Go code in package kernels,
// which also defines the result of every kernel by a portable Go twin.
//
// Go 1.26 does not assemble most vector arithmetic, so those instructions are
// macros around WORD in macros_arm64.h; a test decodes every one of them.
//
// Nothing here checks its arguments, and calling a kernel above the level of the
// CPU is an illegal instruction: only package kernels may call this package.
package arm64
