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

// QAddAVX512 is QAddAVX2 for any n, with AVX-512. The sums lie within an int32.
//
//go:noescape
func QAddAVX512(dst, a, b unsafe.Pointer, n uintptr, p *QAddArgs)

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

// SigmoidAVX512 is SigmoidAVX2 of n floats, a multiple of 16.
//
//go:noescape
func SigmoidAVX512(dst, src unsafe.Pointer, n uintptr)

// SiluAVX512 is SiluAVX2 of n floats, a multiple of 16.
//
//go:noescape
func SiluAVX512(dst, src unsafe.Pointer, n uintptr)

// TanhAVX2 is the hyperbolic tangent of n floats (a multiple of 8), by the
// operations of the portable Tanh.
//
//go:noescape
func TanhAVX2(dst, src unsafe.Pointer, n uintptr)

// ExpAVX2 is e**(x-sub) of n floats (a multiple of 8), by the operations of the
// portable Exp.
//
//go:noescape
func ExpAVX2(dst, src unsafe.Pointer, n uintptr, sub float32)

// ErfAVX2, GeluAVX2, GeluTanhAVX2, LogAVX2, SoftplusAVX2, SiluAVX2, HardSwishAVX2, SqrtAVX2, RsqrtAVX2,
// ReciprocalAVX2, AbsAVX2, NegAVX2, FloorAVX2, CeilAVX2 and RoundAVX2 are the functions of these
// names on n floats (a multiple of 8), by the operations of their portable twins.
//
//go:noescape
func ErfAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func GeluAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func GeluTanhAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func LogAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func SoftplusAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func SiluAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func HardSwishAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func SqrtAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func RsqrtAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func ReciprocalAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func AbsAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func NegAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func FloorAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func CeilAVX2(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func RoundAVX2(dst, src unsafe.Pointer, n uintptr)

// HardSigmoidAVX2 is clamp(fma(alpha, x, beta), 0, 1) of n floats (a multiple of 8).
//
//go:noescape
func HardSigmoidAVX2(dst, src unsafe.Pointer, n uintptr, alpha, beta float32)

// EluAVX2 is x<0 ? alpha*(e**x-1) : x of n floats (a multiple of 8).
//
//go:noescape
func EluAVX2(dst, src unsafe.Pointer, n uintptr, alpha float32)

// LeakyAVX2 is x<0 ? alpha*x : x of n floats (a multiple of 8).
//
//go:noescape
func LeakyAVX2(dst, src unsafe.Pointer, n uintptr, alpha float32)

// ClampAVX2 is x<lo ? lo : x>hi ? hi : x of n floats (a multiple of 8).
//
//go:noescape
func ClampAVX2(dst, src unsafe.Pointer, n uintptr, lo, hi float32)

// DivideAVX2 is x/by of n floats (a multiple of 8).
//
//go:noescape
func DivideAVX2(dst, src unsafe.Pointer, n uintptr, by float32)

// CellAVX2 advances n cells of an LSTM (a multiple of 8):
//
//	c[k] = clamp(fma(i[k], z[k], f[k]*c[k]), lo, hi)
//
//go:noescape
func CellAVX2(c, i, z, f unsafe.Pointer, n uintptr, lo, hi float32)

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

// DivAVX2 is AddAVX2 for a[i]/b[i].
//
//go:noescape
func DivAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

// MaxAVX2 is AddAVX2 for a[i]>b[i] ? a[i] : b[i].
//
//go:noescape
func MaxAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

// MinAVX2 is AddAVX2 for a[i]<b[i] ? a[i] : b[i].
//
//go:noescape
func MinAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

// SquaredDifferenceAVX2 is AddAVX2 for (a[i]-b[i])**2, both steps rounded.
//
//go:noescape
func SquaredDifferenceAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

// QMulArgs are the parameters of [QMulAVX2].
type QMulArgs struct {
	M, Lo, Hi    float32 // multiplier; lowest and highest output code, minus Zero
	Za, Zb, Zero int32   // zero points of a, b and the output
}

// QMulAVX2 multiplies two int8 tensors:
//
//	for i := range n { // n a multiple of 16
//		x := float32((a[i]-Za)*(b[i]-Zb)) * M
//		dst[i] = Zero + rne(clamp(x, Lo, Hi))
//	}
//
//go:noescape
func QMulAVX2(dst, a, b unsafe.Pointer, n uintptr, p *QMulArgs)

// RequantizeArgs are the parameters of [RequantizeAVX2].
type RequantizeArgs struct {
	M, Lo, Hi float32 // multiplier; lowest and highest output code, minus Zero
	Sub, Zero int32
}

// RequantizeAVX2 turns n int32 sums (a multiple of 16) into int8 codes:
//
//	dst[i] = Zero + rne(clamp(float32(sums[i]-Sub)*M, Lo, Hi))
//
//go:noescape
func RequantizeAVX2(dst, sums unsafe.Pointer, n uintptr, p *RequantizeArgs)

// QMeanArgs are the parameters of [QMeanAVX2].
type QMeanArgs struct {
	Count, Half     float32 // elements of a sum, and half of it rounded down
	SumShift, Shift int32   // added to a sum, subtracted from a mean
	Lo, Hi          int32   // lowest and highest output code
}

// QMeanAVX2 divides n int32 sums (a multiple of 16) by their count, half away
// from zero; the shifted sums lie within ±(2**24 - Count):
//
//	x := (sums[i] + SumShift ± Half) / Count
//	dst[i] = clamp(x-Shift, Lo, Hi)
//
//go:noescape
func QMeanAVX2(dst, sums unsafe.Pointer, n uintptr, p *QMeanArgs)

// QuantizeDivAVX2 quantizes n floats (a multiple of 16) to int8:
//
//	dst[i] = zero + rne(clamp(src[i]/scale, lo, hi)), NaN as 0
//
//go:noescape
func QuantizeDivAVX2(dst, src unsafe.Pointer, n uintptr, scale, lo, hi float32, zero int32)

// DequantizeAVX2 turns n codes (a multiple of 16) into floats:
// dst[i] = float32(src[i]-zero) * scale.
//
//go:noescape
func DequantizeAVX2(dst, src unsafe.Pointer, n uintptr, scale float32, zero int32)

// FlipAVX2 turns the sign bits of n bytes (a multiple of 64):
// dst[i] = src[i] ^ 0x80.
//
//go:noescape
func FlipAVX2(dst, src unsafe.Pointer, n uintptr)

// LookupAVX2 maps n codes (a multiple of 64) through a table of 256 bytes:
// dst[i] = table[uint8(src[i])].
//
//go:noescape
func LookupAVX2(dst, src unsafe.Pointer, n uintptr, table unsafe.Pointer)

// LookupVBMI is LookupAVX2 for any n, with AVX-512 VBMI.
//
//go:noescape
func LookupVBMI(dst, src unsafe.Pointer, n uintptr, table unsafe.Pointer)

// WindowArgs describes a reduction over the Rows by Cols taps of a window, for
// each of N neighbouring channels, for Outs windows. Tap (r, c) lies r*RowStep +
// c*ColStep bytes from Src, the next window SrcStep bytes further; its result goes
// DstStep bytes further. The kernels use Dst, Src and Outs up.
type WindowArgs struct {
	Dst, Src         unsafe.Pointer
	N                uintptr
	Rows, Cols       uintptr // at least 1
	RowStep, ColStep uintptr
	Outs             uintptr // at least 1
	DstStep, SrcStep uintptr
	Count, Lo, Hi    float32 // of AvgWindowAVX2
}

// QSumAVX2 adds the int8 taps of N channels (a multiple of 16) to the int32
// sums at Dst. There are at most 256 taps.
//
//go:noescape
func QSumAVX2(a *WindowArgs)

// QMaxAVX2 sets N int8 at Dst (a multiple of 16) to the greatest tap.
//
//go:noescape
func QMaxAVX2(a *WindowArgs)

// MaxWindowAVX2 sets N floats at Dst (a multiple of 8) to the greatest tap: from
// the first one on, m = x>m ? x : m.
//
//go:noescape
func MaxWindowAVX2(a *WindowArgs)

// AvgWindowAVX2 sets N floats at Dst (a multiple of 8) to clamp(sum/Count, Lo,
// Hi); the sum is a chain from +0.
//
//go:noescape
func AvgWindowAVX2(a *WindowArgs)
