//go:build !purego

package arm64

import "unsafe"

// QAddArgs are the parameters of [QAddNEON].
type QAddArgs struct {
	Ra, Rb       float32 // scale of a, of b (negative to subtract), each over the output's
	Lo, Hi       float32 // lowest and highest output code, minus Zero
	Za, Zb, Zero int32   // zero points of a, b and the output
}

// QAddNEON adds two int8 tensors of different scales:
//
//	for i := range n { // n a multiple of 16, not 0
//		x := fma(float32(b[i]-Zb), Rb, float32(a[i]-Za)*Ra)
//		dst[i] = Zero + rne(clamp(x, Lo, Hi))
//	}
//
//go:noescape
func QAddNEON(dst, a, b unsafe.Pointer, n uintptr, p *QAddArgs)

// AddNEON, SubNEON and MulNEON compute, for n floats (a multiple of 4, not 0)
//
//	x := a[i] + b[i] // or a[i] - b[i], a[i] * b[i]
//	dst[i] = x<lo ? lo : x>hi ? hi : x
//
//go:noescape
func AddNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func SubNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func MulNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

// SpanNEON returns the least and the greatest of n floats (a multiple of 4, not
// 0) and of +0; NaN are passed over.
//
//go:noescape
func SpanNEON(src unsafe.Pointer, n uintptr) (lo, hi float32)

// QuantizeNEON quantizes n floats (a multiple of 16, not 0) to int8, NaN as 0:
//
//	dst[i] = zero + rne(clamp(src[i]*inv, lo, hi))
//
//go:noescape
func QuantizeNEON(dst, src unsafe.Pointer, n uintptr, inv, lo, hi float32, zero int32)

// DynArgs are the parameters of [DynNEON].
type DynArgs struct {
	Scale  float32 // of the row of activations
	Zero   int32   // of the row of activations
	Lo, Hi float32
}

// DynNEON turns a row of int32 sums of a hybrid product into n floats (a
// multiple of 4, not 0):
//
//	y := float32(sums[i]-Zero*wsum[i]) * (Scale*scale[i])
//	dst[i] = clamp(y+bias[i], Lo, Hi)
//
//go:noescape
func DynNEON(dst, sums, wsum, scale, bias unsafe.Pointer, n uintptr, p *DynArgs)

// ExpNEON is e**x of n floats (a multiple of 4, not 0), by the operations of the
// portable Exp.
//
//go:noescape
func ExpNEON(dst, src unsafe.Pointer, n uintptr)

// SigmoidNEON is 1/(1+e**-x) of n floats (a multiple of 4, not 0), by the
// operations of the portable Sigmoid.
//
//go:noescape
func SigmoidNEON(dst, src unsafe.Pointer, n uintptr)

// TanhNEON is the hyperbolic tangent of n floats (a multiple of 4, not 0), by the
// operations of the portable Tanh.
//
//go:noescape
func TanhNEON(dst, src unsafe.Pointer, n uintptr)
