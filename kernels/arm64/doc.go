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
// (neoverse-n1 is the same core as the A76; the A53 is judged by its measured issue):
//
//	                            cortex-a53   cortex-a55   cortex-a72   neoverse-n1
//	QGemm2x8c8NEON                3.0 of 8     3.2 of 8     8.0 of 8
//	QGemm2x8c8PairsNEON           3.7 of 8     3.9 of 8     8.0 of 8
//	QGemm1x8c8NEON                2.5 of 8     2.8 of 8     7.1 of 8
//	QGemm4x16c4Dotprod                        10.9 of 16                32.0 of 32
//	QGemm1x16c4Dotprod                         3.9 of 16                30.0 of 32
//	Q16Gemm4x8NEON                2.9 of 4     2.4 of 4     4.0 of 4      4.0 of 4
//	Gemm8x8NEON                   2.5 of 4     4.4 of 8     4.0 of 4      8.0 of 8
//	Gemm8x8InOrderNEON            3.1 of 4     3.5 of 8     3.5 of 4      6.3 of 8
//	Gemv32NEON                    1.2 of 4     3.3 of 8     3.9 of 4      7.7 of 8
//	BlockGemv32Int4NEON           0.8          0.9          1.1           1.5
//	Outer4x8NEON                  1.9 of 4     3.6 of 8     4.0 of 4      7.9 of 8
//	QDepthwiseColumnsNEON         1.6          1.2          3.3
//	QDepthwiseColumnsDotprod                   1.6                        6.9
//	QDepthwise9NEON               1.0 of 4     1.2 of 4     2.4 of 4      2.7 of 4
//	DepthwiseColumnsNEON          1.1 of 4     2.0 of 8     2.6 of 4      4.8 of 8
//	DepthwiseNEON                 0.7 of 4     0.8 of 8     2.0 of 4      3.2 of 8
//
// The depthwise figures by columns and for nine taps include the ends of the sums: to
// convert an int8 sum to a code costs as much as its nine products, and only one of the
// N1's two pipes converts. Of weights of 4 bits most cycles go into making them floats;
// such a product is for weights that come from memory. DepthwiseNEON, for any taps, and the
// kernels of one row wait for their own chains of additions.
//
// # Cores that issue in order
//
// Loops are written for both kinds of cores at once: they load a step ahead of the
// products, take turns between independent chains, and load vectors one by one where the
// A55 takes longer for a pair. To multiply int8, a core that
// issues one vector operation of 128 bits a cycle is bound by how many there are:
// QGemm2x8c8PairsNEON adds two products in int16 before it widens the sum (as gemmlowp and
// ruy do), 48 operations for 256 multiply-accumulates where QGemm2x8c8NEON has 64. The
// A72, whose multiplier is the limit, takes as long for both, so that it depends on the
// weights alone which of them runs. By lanes (SMLAL), as XNNPACK multiplies on the A53,
// the A55's model gives 2.7.
//
// One loop is chosen by core type: Gemm8x8InOrderNEON, where every core of the machine is a
// Cortex-A53 or A55. There a load of 128 bits keeps all else from issuing for two cycles, so
// vectors are loaded in halves, one of which goes through a general register: 82 cycles for 64
// FMLA on the A53, where Gemm8x8NEON takes 101. The insertions would cost the A72 and N1 a
// vector operation each. On the A55 all but the FMLA hides; llvm-mca has it the other way
// round, for LLVM gives that core two FMLA of 128 bits a cycle and loads of 128 bits in one.
//
// LLVM's own model of the A53 judges nothing (package model of test/arm64), nor does that of
// the A55 for it: by the rules of its issue that others measured, XNNPACK's four published
// times of a Raspberry Pi 3 come out right within 5 % (test/arm64/boards), by the A55's
// model they are 19 to 23 % too long.
package arm64
