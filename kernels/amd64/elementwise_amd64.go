//go:build !purego

package amd64

import "unsafe"

// QAddArgs are the parameters of [QAddAVX2].
type QAddArgs struct {
	Ra, Rb       float32 // scale of a, of b (negative to subtract), each over the output's
	Lo, Hi       float32 // lowest and highest output code, minus Zero
	Za, Zb, Zero int32   // zero points of a, b and the output
}

// QAddAVX2 adds two int8 tensors of different scales:
//
//	for i := range n { // n a multiple of 16
//		x := fma(float32(b[i]-Zb), Rb, float32(a[i]-Za)*Ra)
//		dst[i] = Zero + rne(clamp(x, Lo, Hi))
//	}
//
//go:noescape
func QAddAVX2(dst, a, b unsafe.Pointer, n uintptr, p *QAddArgs)

// SpanAVX2 returns the least and the greatest of n floats (a multiple of 8)
// and 0; NaN are passed over.
//
//go:noescape
func SpanAVX2(src unsafe.Pointer, n uintptr) (lo, hi float32)

// QuantizeAVX2 quantizes n floats (a multiple of 16) to int8:
//
//	dst[i] = zero + rne(clamp(src[i]*inv, lo, hi)), NaN as 0
//
//go:noescape
func QuantizeAVX2(dst, src unsafe.Pointer, n uintptr, inv, lo, hi float32, zero int32)

// DynArgs are the parameters of [DynAVX2].
type DynArgs struct {
	Scale  float32 // of the row of activations
	Zero   int32   // of the row of activations
	Lo, Hi float32
}

// DynAVX2 turns a row of int32 sums of a hybrid product into n floats (a
// multiple of 8):
//
//	y := float32(sums[i]-Zero*wsum[i]) * (Scale*scale[i])
//	dst[i] = clamp(y+bias[i], Lo, Hi)
//
//go:noescape
func DynAVX2(dst, sums, wsum, scale, bias unsafe.Pointer, n uintptr, p *DynArgs)

// SigmoidAVX2 is 1/(1+e**-x) of n floats (a multiple of 8), by the operations
// of the portable Sigmoid.
//
//go:noescape
func SigmoidAVX2(dst, src unsafe.Pointer, n uintptr)

// TanhAVX2 is the hyperbolic tangent of n floats (a multiple of 8), by the
// operations of the portable Tanh.
//
//go:noescape
func TanhAVX2(dst, src unsafe.Pointer, n uintptr)

// ExpAVX2 is e**x of n floats (a multiple of 8), by the operations of the
// portable Exp.
//
//go:noescape
func ExpAVX2(dst, src unsafe.Pointer, n uintptr)

// AddAVX2 adds n floats (a multiple of 8): dst[i] = clamp(a[i]+b[i], lo, hi).
//
//go:noescape
func AddAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

// SubAVX2 is AddAVX2 for a[i]-b[i].
//
//go:noescape
func SubAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

// MulAVX2 is AddAVX2 for a[i]*b[i].
//
//go:noescape
func MulAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
