//go:build !purego

package amd64

import "unsafe"

// QBinary16Args are the parameters of [QAdd16AVX2] and [QMul16AVX2].
type QBinary16Args struct {
	Ra, Rb       float64 // scale of a, of b (negative to subtract), each over the output's; of a product Ra is that of both
	Lo, Hi       float64 // lowest and highest output code, minus Zero
	Za, Zb, Zero int32   // zero points of a, b and the output
}

// QAdd16AVX2 adds two int16 tensors of different scales, every operation rounded:
//
//	for i := range n { // n a multiple of 8
//		x := float64(a[i]-Za)*Ra + float64(b[i]-Zb)*Rb
//		dst[i] = Zero + rne(clamp(x, Lo, Hi))
//	}
//
//go:noescape
func QAdd16AVX2(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)

// QMul16AVX2 multiplies two int16 tensors:
//
//	for i := range n { // n a multiple of 8
//		x := float64((a[i]-Za)*(b[i]-Zb)) * Ra
//		dst[i] = Zero + rne(clamp(x, Lo, Hi))
//	}
//
//go:noescape
func QMul16AVX2(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)
