//go:build purego || (!amd64 && !arm64)

package kernels

// dot8 is the sum of x*w in int32; w is at least as long as x.
func dot8(_ Level, x, w []int8) int32 { return dot8Go(x, w) }

// DotAsm reports whether the recurrent int8 layers' sums of products are
// assembly at the level.
func DotAsm(Level) bool { return false }
