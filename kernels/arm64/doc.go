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
// For speed, test/arm64/mca takes the inner loop of every kernel out of the built
// program and gives it to llvm-mca; test/arm64/boards says what a model takes on a board.
// Multiply-accumulates a cycle by these models, beside what the multiplier ports allow
// (neoverse-n1 is the same core as the A76):
//
//	                            cortex-a72   neoverse-n1
//	QGemm2x8c8NEON                8.0 of 8
//	QGemm1x8c8NEON                7.1 of 8
//	QGemm4x16c4Dotprod                        32.0 of 32
//	QGemm1x16c4Dotprod                        30.0 of 32
//	Gemm8x8NEON                   4.0 of 4      8.0 of 8
//	Gemv32NEON                    3.9 of 4      7.7 of 8
//	Outer4x8NEON                  4.0 of 4      7.9 of 8
//	QDepthwiseColumnsNEON         3.3
//	QDepthwiseColumnsDotprod                    6.9
//	QDepthwise9NEON               2.5 of 4      2.7 of 4
//	DepthwiseColumnsNEON          2.5 of 4      4.8 of 8
//	DepthwiseNEON                 1.6 of 4      3.5 of 8
//
// The depthwise figures by columns and for nine taps include the ends of the sums: to
// convert an int8 sum to a code costs as much as its nine products, and only one of the
// N1's two pipes converts. DepthwiseNEON, for any taps, and the kernels of one row wait
// for their own chains of additions.
//
// The models of the cores that issue in order are of less use. That of the Cortex-A53
// writes results in order, so that a load among multiplications waits for them: it gives
// Gemm8x8NEON 1.6 of 4, and the loops that XNNPACK schedules for this core 0.6 to 1.2,
// where the core itself was measured to reach 4.
package arm64
