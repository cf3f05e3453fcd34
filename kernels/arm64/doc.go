// Package arm64 holds the hand-written NEON, dotprod and i8mm micro-kernels of
// package kernels. Each kernel computes one small tile from packed weights; the
// loops over tiles, the packing and the threads are Go code in package kernels,
// which also defines the result of every kernel by a portable Go twin.
//
// Go 1.26 does not assemble most vector arithmetic, so those instructions are
// macros around WORD in macros_arm64.h and macros_elementwise_arm64.h; a test decodes
// every one of them.
//
// Nothing here checks its arguments, and calling a kernel above the level of the
// CPU is an illegal instruction: only package kernels may call this package.
//
// # Checking without a board
//
// The tests put every buffer against a page that may not be touched. They run under
// user-mode emulation, which has the cores of a Raspberry Pi 3 (cortex-a53), 4
// (cortex-a72) and 5 (cortex-a76), and one with i8mm (max):
//
//	CGO_ENABLED=0 GOARCH=arm64 go test -exec "qemu-aarch64-static -cpu cortex-a72" ./kernels/...
//
// For speed, take a loop out of the disassembly of a test binary (go test -c,
// aarch64-linux-gnu-objdump -d) and give it to llvm-mca 19 with -mcpu=cortex-a72 or
// neoverse-n1 (the same core as the A76). Multiply-accumulates a cycle of the inner
// loops by these models, beside what the multiplier ports allow:
//
//	                            cortex-a72   neoverse-n1
//	QGemm2x8c8NEON                8.0 of 8      8.0 of 8
//	QGemm1x8c8NEON                7.1 of 8      8.0 of 8
//	QGemm4x16c4Dotprod                        31.9 of 32
//	QGemm1x16c4Dotprod                        29.9 of 32
//	Gemm8x8NEON                   4.0 of 4      8.0 of 8
//	Gemv32NEON                    3.9 of 4      7.7 of 8
//	QDepthwiseColumnsNEON         3.3           3.3
//	QDepthwiseColumnsDotprod                    5.1
//	QDepthwise9NEON               2.5 of 4      2.7 of 4
//	DepthwiseColumnsNEON          2.5 of 4      4.8 of 8
//	DepthwiseNEON                 1.6 of 4      3.5 of 8
//
// The depthwise figures by columns and for nine taps include the ends of the sums: to
// convert an int8 sum to a code costs as much as its nine products. llvm-mca has a Cortex-A53 write its results in
// order, so that loads among multiplications look slower than loads before them;
// whether the core does so was not measured.
package arm64
