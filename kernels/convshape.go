package kernels

import (
	"fmt"
	"math"
	"unsafe"
)

// ConvShape is the geometry of a 2-D convolution on NHWC activations. A matrix
// product of M rows, K deep, N wide is the convolution
// {N: 1, H: M, W: 1, C: K, O: N, KH: 1, KW: 1, ...}; see [GemmShape].
type ConvShape struct {
	N, H, W, C int // input: images, height, width, channels
	O          int // output channels
	KH, KW     int // kernel
	SH, SW     int // strides
	DH, DW     int // dilations
	Top, Left  int // padding before; what the last window needs behind is implied
	OH, OW     int // output height and width
	Groups     int // C and O are split into this many groups; C == O == Groups is depthwise
}

// GemmShape returns the shape of the matrix product A[m,k]·B[n,k]ᵀ.
func GemmShape(m, n, k int) ConvShape {
	return ConvShape{N: 1, H: m, W: 1, C: k, O: n, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, OH: m, OW: 1, Groups: 1}
}

// InLen returns the number of input elements.
func (s *ConvShape) InLen() int { return s.N * s.H * s.W * s.C }

// OutLen returns the number of output elements.
func (s *ConvShape) OutLen() int { return s.N * s.OH * s.OW * s.O }

// WeightLen returns the number of weights.
func (s *ConvShape) WeightLen() int { return s.O * s.KH * s.KW * (s.C / s.Groups) }

// MACs returns the multiply-accumulates of one run.
func (s *ConvShape) MACs() int { return s.OutLen() * s.KH * s.KW * (s.C / s.Groups) }

func (s *ConvShape) depthwise() bool { return s.Groups > 1 && s.Groups == s.C && s.C == s.O }

// pointwise reports whether input rows and output rows are the same pixels.
func (s *ConvShape) pointwise() bool {
	return s.KH == 1 && s.KW == 1 && s.SH == 1 && s.SW == 1 && s.Top == 0 && s.Left == 0 && s.OH == s.H && s.OW == s.W
}

// check refuses what the kernels cannot index: sizes below 1, groups that do
// not divide the channels, images that have 2 GiB and more with their padding
// (offsets are int32).
func (s *ConvShape) check(elem int) error {
	for _, d := range []struct {
		name string
		v    int
	}{
		{"N", s.N}, {"H", s.H}, {"W", s.W}, {"C", s.C}, {"O", s.O}, {"KH", s.KH}, {"KW", s.KW},
		{"SH", s.SH}, {"SW", s.SW}, {"DH", s.DH}, {"DW", s.DW}, {"OH", s.OH}, {"OW", s.OW}, {"Groups", s.Groups},
	} {
		if d.v < 1 || d.v > math.MaxInt32 {
			return fmt.Errorf("kernels: convolution: %s is %d", d.name, d.v)
		}
	}
	if s.Top < 0 || s.Left < 0 || s.Top > math.MaxInt32 || s.Left > math.MaxInt32 {
		return fmt.Errorf("kernels: convolution: padding %d, %d", s.Top, s.Left)
	}
	if s.C%s.Groups != 0 || s.O%s.Groups != 0 {
		return fmt.Errorf("kernels: convolution: %d groups do not divide %d input and %d output channels", s.Groups, s.C, s.O)
	}
	high, wide := extent(s.OH, s.SH, s.KH, s.DH), extent(s.OW, s.SW, s.KW, s.DW)
	if high > math.MaxInt32 || wide > math.MaxInt32 || !fits(math.MaxInt32/elem, int(high), int(wide), s.C) || !fits(math.MaxInt32/elem, s.H, s.W, s.C) || !fits(math.MaxInt32/elem, s.OH, s.OW, s.O) || !fits(math.MaxInt32/elem, s.KH, s.KW, s.C/s.Groups) ||
		!fits(math.MaxInt/64, s.N, s.H, s.W, s.C) || !fits(math.MaxInt/64, s.N, s.OH, s.OW, s.O) || !fits(math.MaxInt/64, s.O, s.KH, s.KW, s.C/s.Groups) {
		return fmt.Errorf("kernels: convolution: shape %+v is too large", *s)
	}
	return nil
}

// extent returns how many input rows (or columns) the windows of n outputs span.
func extent(n, stride, kernel, dilation int) int64 {
	return int64(n-1)*int64(stride) + int64(kernel-1)*int64(dilation) + 1
}

// fits reports whether the product of the positive sizes is at most limit.
func fits(limit int, sizes ...int) bool {
	for _, n := range sizes {
		if n > limit {
			return false
		}
		limit /= n
	}
	return true
}

func checkLen(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("kernels: convolution: %d %s, want %d", got, what, want)
	}
	return nil
}

// checkRun panics if a buffer is too short: the micro-kernels do not check.
func checkRun(dst, wantDst, src, wantSrc, scratch, wantScratch int) {
	if dst < wantDst || src < wantSrc || scratch < wantScratch {
		panic(fmt.Sprintf("kernels: convolution: buffers of %d, %d, %d elements, want %d, %d, %d (output, input, scratch)",
			dst, src, scratch, wantDst, wantSrc, wantScratch))
	}
}

// cacheLine is what packed weights and scratch are aligned to.
const cacheLine = 64

// alignedBytes returns n zeroed bytes that start on a cache line.
func alignedBytes(n int) []byte {
	b := make([]byte, n+cacheLine)
	return alignUp(b)[:n:n]
}

// alignUp returns b from its first cache line boundary on.
func alignUp(b []byte) []byte {
	return b[-int(uintptr(unsafe.Pointer(unsafe.SliceData(b))))&(cacheLine-1):]
}

func roundUp(n, m int) int { return (n + m - 1) / m * m }

func ceilDiv(a, b int) int { return (a + b - 1) / b }
