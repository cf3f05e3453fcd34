//go:build !purego

package arm64

import "unsafe"

// QAddArgs are the parameters of [QAddNEON].
type QAddArgs struct {
	Ra, Rb       float32 // scale of a, of b (negative to subtract), each over the output's
	Lo, Hi       float32 // lowest and highest output code, minus Zero
	Za, Zb, Zero int32   // zero points of a, b and the output, int8
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

// AddNEON, SubNEON, MulNEON, DivNEON, MaxNEON, MinNEON and SquaredDifferenceNEON
// compute, for n floats (a multiple of 4, not 0)
//
//	x := a[i] + b[i] // -, *, /; b>a ? b : a; b<a ? b : a; (a-b)**2, each step rounded
//	dst[i] = x<lo ? lo : x>hi ? hi : x
//
//go:noescape
func AddNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func SubNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func MulNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func DivNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func MaxNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func MinNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

//go:noescape
func SquaredDifferenceNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)

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

// ExpNEON is e**(x-sub) of n floats (a multiple of 4, not 0), by the operations of the
// portable Exp.
//
//go:noescape
func ExpNEON(dst, src unsafe.Pointer, n uintptr, sub float32)

// ErfNEON, GeluNEON, GeluTanhNEON, LogNEON, SoftplusNEON, SiluNEON, HardSwishNEON, SqrtNEON, RsqrtNEON,
// ReciprocalNEON, AbsNEON, NegNEON, FloorNEON, CeilNEON and RoundNEON are the functions of these
// names on n floats (a multiple of 4, not 0), by the operations of their portable twins.
//
//go:noescape
func ErfNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func GeluNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func GeluTanhNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func LogNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func SoftplusNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func SiluNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func HardSwishNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func SqrtNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func RsqrtNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func ReciprocalNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func AbsNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func NegNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func FloorNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func CeilNEON(dst, src unsafe.Pointer, n uintptr)

//go:noescape
func RoundNEON(dst, src unsafe.Pointer, n uintptr)

// HardSigmoidNEON is clamp(fma(alpha, x, beta), 0, 1) of n floats (a multiple of 4, not 0).
//
//go:noescape
func HardSigmoidNEON(dst, src unsafe.Pointer, n uintptr, alpha, beta float32)

// EluNEON is x<0 ? alpha*(e**x-1) : x of n floats (a multiple of 4, not 0).
//
//go:noescape
func EluNEON(dst, src unsafe.Pointer, n uintptr, alpha float32)

// LeakyNEON is x<0 ? alpha*x : x of n floats (a multiple of 4, not 0).
//
//go:noescape
func LeakyNEON(dst, src unsafe.Pointer, n uintptr, alpha float32)

// ClampNEON is x<lo ? lo : x>hi ? hi : x of n floats (a multiple of 4, not 0).
//
//go:noescape
func ClampNEON(dst, src unsafe.Pointer, n uintptr, lo, hi float32)

// DivideNEON is x/by of n floats (a multiple of 4, not 0).
//
//go:noescape
func DivideNEON(dst, src unsafe.Pointer, n uintptr, by float32)

// CellNEON advances n cells of an LSTM (a multiple of 4, not 0):
//
//	c[k] = clamp(fma(i[k], z[k], f[k]*c[k]), lo, hi)
//
//go:noescape
func CellNEON(c, i, z, f unsafe.Pointer, n uintptr, lo, hi float32)

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

// QMulArgs are the parameters of [QMulNEON].
type QMulArgs struct {
	M, Lo, Hi    float32 // multiplier; lowest and highest output code, minus Zero
	Za, Zb, Zero int32   // zero points of a, b and the output, int8
}

// QMulNEON multiplies two int8 tensors:
//
//	for i := range n { // n a multiple of 16, not 0
//		x := float32((a[i]-Za)*(b[i]-Zb)) * M
//		dst[i] = Zero + rne(clamp(x, Lo, Hi))
//	}
//
//go:noescape
func QMulNEON(dst, a, b unsafe.Pointer, n uintptr, p *QMulArgs)

// RequantizeArgs are the parameters of [RequantizeNEON].
type RequantizeArgs struct {
	M, Lo, Hi float32 // multiplier; lowest and highest output code, minus Zero
	Sub, Zero int32
}

// RequantizeNEON turns n int32 sums (a multiple of 16, not 0) into int8 codes:
//
//	dst[i] = Zero + rne(clamp(float32(sums[i]-Sub)*M, Lo, Hi))
//
//go:noescape
func RequantizeNEON(dst, sums unsafe.Pointer, n uintptr, p *RequantizeArgs)

// QMeanArgs are the parameters of [QMeanNEON].
type QMeanArgs struct {
	Count, Half     float32 // elements of a sum, and half of it rounded down
	SumShift, Shift int32   // added to a sum, subtracted from a mean
	Lo, Hi          int32   // lowest and highest output code
}

// QMeanNEON divides n int32 sums (a multiple of 16, not 0) by their count, half away
// from zero; the shifted sums lie within ±(2**24 - Count):
//
//	x := (sums[i] + SumShift ± Half) / Count
//	dst[i] = clamp(x-Shift, Lo, Hi)
//
//go:noescape
func QMeanNEON(dst, sums unsafe.Pointer, n uintptr, p *QMeanArgs)

// QuantizeDivNEON quantizes n floats (a multiple of 16, not 0) to int8:
//
//	dst[i] = zero + rne(clamp(src[i]/scale, lo, hi)), NaN as 0
//
//go:noescape
func QuantizeDivNEON(dst, src unsafe.Pointer, n uintptr, scale, lo, hi float32, zero int32)

// DequantizeNEON turns n codes (a multiple of 16, not 0) into floats:
// dst[i] = float32(src[i]-zero) * scale.
//
//go:noescape
func DequantizeNEON(dst, src unsafe.Pointer, n uintptr, scale float32, zero int32)

// FlipNEON turns the sign bits of n bytes (a multiple of 64, not 0):
// dst[i] = src[i] ^ 0x80.
//
//go:noescape
func FlipNEON(dst, src unsafe.Pointer, n uintptr)

// LookupNEON maps n codes (a multiple of 16, not 0) through a table of 256 bytes:
// dst[i] = table[uint8(src[i])].
//
//go:noescape
func LookupNEON(dst, src unsafe.Pointer, n uintptr, table unsafe.Pointer)

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
	Count, Lo, Hi    float32 // of AvgWindowNEON
}

// QSumNEON adds the int8 taps of N channels (a multiple of 16, not 0) to the int32
// sums at Dst. There are at most 256 taps.
//
//go:noescape
func QSumNEON(a *WindowArgs)

// QMaxNEON sets N int8 at Dst (a multiple of 16, not 0) to the greatest tap.
//
//go:noescape
func QMaxNEON(a *WindowArgs)

// MaxWindowNEON sets N floats at Dst (a multiple of 4, not 0) to the greatest tap: from
// the first one on, m = x>m ? x : m.
//
//go:noescape
func MaxWindowNEON(a *WindowArgs)

// AvgWindowNEON sets N floats at Dst (a multiple of 4, not 0) to clamp(sum/Count, Lo,
// Hi); the sum is a chain from +0.
//
//go:noescape
func AvgWindowNEON(a *WindowArgs)
