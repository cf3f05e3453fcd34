//go:build !purego

package arm64

// The kernels below sum products over positions, one chain of fused multiply-adds an
// output. Positions are Rows rows of Cols; both are at least 1.

// Outer4x8NEON computes 4 rows and 8 lanes of S, whose rows are 32 floats apart, as
// kernels.outerGo does. M and N are not read.
//
//go:noescape
func Outer4x8NEON(a *OuterArgs)

// Outer1x32NEON is Outer4x8NEON for one row and 32 lanes.
//
//go:noescape
func Outer1x32NEON(a *OuterArgs)

// Pair16NEON adds up the products of 16 lanes of A and B in S, as kernels.pairGo does. N
// is not read.
//
//go:noescape
func Pair16NEON(a *PairArgs)
