// Package kernels holds whet's numeric kernels.
//
// Every function here has a portable Go version, and that version defines the
// result to the bit: an assembly kernel of any level, on any number of
// threads, gives the same bytes. The rules that make this possible:
//
//   - int8: sums are exact in int32 (modulo 2^32); they are requantized with one
//     int32→float32 conversion, one float32 multiplication, a clamp and one
//     conversion to int32, each rounded to nearest, ties to even.
//   - float32: an output of a matrix product or convolution is ONE chain of fused
//     multiply-adds from +0 in ascending (kh, kw, channel); a padded tap is
//     multiplied as +0. Then the bias is added (+0 if there is none), then the
//     result is clamped.
//
// Convolutions and matrix products are whole-op kernels: [NewQConv], [NewQDyn]
// and [NewConv] pack the weights for one [Level] and return an immutable object
// that any number of sessions share. Such an object splits its work into tasks
// which may run in any order on any thread; running them allocates nothing.
//
// Layout: activations are NHWC, weights [O][KH][KW][C/Groups].
package kernels
