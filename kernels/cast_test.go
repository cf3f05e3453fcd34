package kernels

import (
	"math"
	"slices"
	"testing"
	"unsafe"
)

// castTo converts src to numbers of D.
func castTo[D, S Float | Integer](src []S) []D {
	dst := make([]D, len(src))
	bytes := func(p unsafe.Pointer, n uintptr) []byte { return unsafe.Slice((*byte)(p), n) }
	Cast(bytes(unsafe.Pointer(unsafe.SliceData(dst)), uintptr(len(dst))*unsafe.Sizeof(D(0))), numberOf[D](),
		bytes(unsafe.Pointer(unsafe.SliceData(src)), uintptr(len(src))*unsafe.Sizeof(S(0))), numberOf[S]())
	return dst
}

func numberOf[T Float | Integer]() Number {
	n := Number{Signed, int(unsafe.Sizeof(T(0)))}
	switch {
	case isFloat[T]():
		n.Kind = IEEE
	case T(0)-1 > 0:
		n.Kind = Unsigned
	}
	return n
}

func testCast[D, S Float | Integer](t *testing.T, src []S, want []D) {
	t.Helper()
	// Repeated, so that chunks and what is left of one are gone through.
	for _, times := range []int{1, castChunk / 3} {
		if got := castTo[D](slices.Repeat(src, times)); !slices.Equal(got, slices.Repeat(want, times)) {
			t.Errorf("%T to %T: %v, want %v (%d times)", src, want, got, want, times)
		}
	}
}

func TestCastFloatToInt(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	x := []float64{0, 1.9, -1.9, 300, -300, 1e10, -1e10, 1e30, -1e30, inf, -inf, nan, 255, 254.9, 1 << 63, 1 << 62}
	const m, n = math.MaxInt32, math.MinInt32
	testCast(t, x, []int8{0, 1, -1, 127, -128, 127, -128, 127, -128, 127, -128, 0, 127, 127, 127, 127})
	testCast(t, x, []uint8{0, 1, 0, 255, 0, 255, 0, 255, 0, 255, 0, 0, 255, 254, 255, 255})
	testCast(t, x, []int32{0, 1, -1, 300, -300, m, n, m, n, m, n, 0, 255, 254, m, m})
	testCast(t, x, []int64{0, 1, -1, 300, -300, 1e10, -1e10, math.MaxInt64, math.MinInt64, math.MaxInt64, math.MinInt64, 0, 255, 254, math.MaxInt64, 1 << 62})
	testCast(t, x, []uint64{0, 1, 0, 300, 0, 1e10, 0, math.MaxUint64, 0, math.MaxUint64, 0, 0, 255, 254, 1 << 63, 1 << 62})
}

func TestCastOthers(t *testing.T) {
	testCast(t, []int64{1<<24 + 1, -5, math.MaxInt64}, []float32{1 << 24, -5, 1 << 63})
	// Through float64 this one would round twice, to 1<<62.
	testCast(t, []int64{1<<62 + 1<<38 + 1}, []float32{1<<62 + 1<<39})
	testCast(t, []uint64{math.MaxUint64, 1 << 63, 3}, []float64{1 << 64, 1 << 63, 3})
	testCast(t, []uint64{math.MaxUint64, 1 << 63, 3}, []float32{1 << 64, 1 << 63, 3})
	testCast(t, []float64{1 + 0x1p-24, 1 + 0x1p-23, 1e300}, []float32{1, 1 + 0x1p-23, float32(math.Inf(1))})
	testCast(t, []int32{130, -130, 256}, []int8{-126, 126, 0})
	testCast(t, []int8{-1, 5}, []uint64{math.MaxUint64, 5})
	testCast(t, []uint16{65535, 5}, []int32{65535, 5})
	b, x := make([]byte, 5), []float32{0, float32(math.Copysign(0, -1)), 1e-40, float32(math.NaN()), -3}
	Cast(b, Number{Truth, 1}, unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 20), Number{IEEE, 4})
	if want := []byte{0, 0, 1, 1, 1}; !slices.Equal(b, want) {
		t.Errorf("float32 to truth: %v, want %v", b, want)
	}
}

// TestFloat16 goes through all halves and all that lies between two of them.
func TestFloat16(t *testing.T) {
	one := func(x float32) uint16 {
		h := make([]uint16, 1)
		Float32ToFloat16(h, []float32{x})
		return h[0]
	}
	real := func(h uint16) float64 {
		s, e, m := 1.0, int(h>>10&31), float64(h&1023)
		if h>>15 == 1 {
			s = -1
		}
		switch e {
		case 0:
			return s * math.Ldexp(m, -24)
		case 31:
			if m != 0 {
				return math.NaN()
			}
			return math.Inf(int(s))
		}
		return s * math.Ldexp(1024+m, e-25)
	}
	for i := range 1 << 16 {
		f := make([]float32, 1)
		Float16ToFloat32(f, []uint16{uint16(i)})
		want := real(uint16(i))
		if float64(f[0]) != want && !(f[0] != f[0] && want != want) || want == 0 && math.Signbit(float64(f[0])) != (i != 0) {
			t.Fatalf("half %#x is %g, want %g", i, f[0], want)
		}
		if want != want {
			if h := one(f[0]); real(h) == real(h) {
				t.Fatalf("NaN became %#x", h)
			}
			continue
		}
		if h := one(f[0]); h != uint16(i) {
			t.Fatalf("%g became half %#x, want %#x", f[0], h, i)
		}
		next := real(uint16(i) + 1)
		if i&0x7fff >= 0x7bff || next != next {
			continue
		}
		mid := float32((want + next) / 2)
		even := uint16(i) + uint16(i&1)
		if h := one(mid); h != even {
			t.Fatalf("%g, between two halves, became %#x, want the even %#x", mid, h, even)
		}
		away := math.Nextafter32(mid, float32(math.Copysign(1e30, float64(mid))))
		if h := one(away); h != uint16(i)+1 {
			t.Fatalf("%g became %#x, want %#x", away, h, i+1)
		}
		if h := one(math.Nextafter32(mid, 0)); h != uint16(i) {
			t.Fatalf("just below %g became %#x, want %#x", mid, h, i)
		}
	}
	for x, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, -1e30: 0xfc00, 0x1p-25: 0, 0x1.000002p-25: 1} {
		if h := one(x); h != want {
			t.Errorf("%g became %#x, want %#x", x, h, want)
		}
	}
}

func TestBFloat16(t *testing.T) {
	for i := range 1 << 16 {
		f, h := make([]float32, 1), make([]uint16, 1)
		BFloat16ToFloat32(f, []uint16{uint16(i)})
		Float32ToBFloat16(h, f)
		if f[0] != f[0] {
			if back := math.Float32frombits(uint32(h[0]) << 16); back == back {
				t.Fatalf("NaN %#x became %#x", i, h[0])
			}
			continue
		}
		if h[0] != uint16(i) {
			t.Fatalf("%#x became %#x", i, h[0])
		}
	}
	x := []float32{1 + 0x1p-8, 1 + 3*0x1p-8, 1 + 0x1p-8 + 0x1p-20, math.MaxFloat32}
	h := make([]uint16, len(x))
	Float32ToBFloat16(h, x)
	if want := []uint16{0x3f80, 0x3f82, 0x3f81, 0x7f80}; !slices.Equal(h, want) {
		t.Errorf("%#x, want %#x", h, want)
	}
}
