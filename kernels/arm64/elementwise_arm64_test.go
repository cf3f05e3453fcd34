//go:build linux && !purego

package arm64

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

func TestQAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	ga, gb, gc := newGuarded(t, 4096), newGuarded(t, 4096), newGuarded(t, 4096)
	for range cases() {
		n := 16 * (1 + r.IntN(8))
		a, b, dst := slice[int8](ga, r, n), slice[int8](gb, r, n), slice[int8](gc, r, n)
		fillInt8(r, a)
		fillInt8(r, b)
		p := QAddArgs{Ra: scaleFor(r, 64), Rb: -scaleFor(r, 64), Za: r.Int32N(256) - 128, Zb: r.Int32N(256) - 128}
		p.Lo, p.Hi, p.Zero = outputRange(r)
		QAddNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0]), uintptr(n), &p)
		for i := range dst {
			x := fma32(float32(int32(b[i])-p.Zb), p.Rb, float32(int32(a[i])-p.Za)*p.Ra)
			want := p.Zero + int32(math.RoundToEven(float64(clampFloat(x, p.Lo, p.Hi))))
			if int32(dst[i]) != want {
				t.Fatalf("%+v: %d and %d: got %d, want %d", p, a[i], b[i], dst[i], want)
			}
		}
	}
}

func TestArith(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	ga, gb, gc := newGuarded(t, 4096), newGuarded(t, 4096), newGuarded(t, 4096)
	for range cases() {
		n := 4 * (1 + r.IntN(12))
		a, b, dst, want := slice[float32](ga, r, n), slice[float32](gb, r, n), slice[float32](gc, r, n), make([]float32, n)
		fillFloats(r, a)
		fillFloats(r, b)
		lo, hi := floatRange(r)
		for _, k := range []struct {
			name string
			run  func(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
			f    func(x, y float32) float32
		}{
			{"add", AddNEON, func(x, y float32) float32 { return x + y }},
			{"sub", SubNEON, func(x, y float32) float32 { return x - y }},
			{"mul", MulNEON, func(x, y float32) float32 { return x * y }},
		} {
			k.run(unsafe.Pointer(&dst[0]), unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0]), uintptr(n), lo, hi)
			for i := range want {
				want[i] = clampFloat(k.f(a[i], b[i]), lo, hi)
			}
			if err := sameFloats(dst, want); err != nil {
				t.Fatalf("%s: %v", k.name, err)
			}
		}
	}
}

func TestSpan(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	g := newGuarded(t, 4096)
	for range cases() {
		x := slice[float32](g, r, 4*(1+r.IntN(12)))
		fillFloats(r, x)
		var want [2]float32
		for _, v := range x {
			if v < want[0] {
				want[0] = v
			}
			if v > want[1] {
				want[1] = v
			}
		}
		lo, hi := SpanNEON(unsafe.Pointer(&x[0]), uintptr(len(x)))
		if err := sameFloats([]float32{lo, hi}, want[:]); err != nil {
			t.Fatalf("%v: %v", x, err)
		}
	}
}

func TestQuantize(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	g, gd := newGuarded(t, 4096), newGuarded(t, 4096)
	for range cases() {
		n := 16 * (1 + r.IntN(8))
		x, dst := slice[float32](g, r, n), slice[int8](gd, r, n)
		fillFloats(r, x)
		inv := scaleFor(r, 1)
		lo, hi, zero := outputRange(r)
		QuantizeNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&x[0]), uintptr(n), inv, lo, hi, zero)
		for i, v := range x {
			v *= inv
			if v != v {
				v = 0
			}
			want := zero + int32(math.RoundToEven(float64(clampFloat(v, lo, hi))))
			if int32(dst[i]) != want {
				t.Fatalf("%v: got %d, want %d", x[i], dst[i], want)
			}
		}
	}
}

func TestDyn(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	var g [5]*guarded
	for i := range g {
		g[i] = newGuarded(t, 4096)
	}
	for range cases() {
		n := 4 * (1 + r.IntN(12))
		sums, wsum := slice[int32](g[0], r, n), slice[int32](g[1], r, n)
		scale, bias, dst := slice[float32](g[2], r, n), slice[float32](g[3], r, n), slice[float32](g[4], r, n)
		for i := range sums {
			sums[i], wsum[i] = int32(r.Uint32()), r.Int32N(20001)-10000
		}
		fillFloats(r, scale)
		fillFloats(r, bias)
		p := DynArgs{Scale: scaleFor(r, 1e9), Zero: r.Int32N(256) - 128}
		p.Lo, p.Hi = floatRange(r)
		DynNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&sums[0]), unsafe.Pointer(&wsum[0]), unsafe.Pointer(&scale[0]), unsafe.Pointer(&bias[0]), uintptr(n), &p)
		want := make([]float32, n)
		for i := range want {
			y := float32(float32(sums[i]-p.Zero*wsum[i]) * float32(p.Scale*scale[i]))
			want[i] = clampFloat(y+bias[i], p.Lo, p.Hi)
		}
		if err := sameFloats(dst, want); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnary compares with the standard library; package kernels compares the bits
// with its own functions.
func TestUnary(t *testing.T) {
	inf := math.Inf(1)
	for _, k := range []struct {
		name string
		run  func(dst, src unsafe.Pointer, n uintptr)
		f    func(float64) float64
	}{
		{"ExpNEON", func(dst, src unsafe.Pointer, n uintptr) { ExpNEON(dst, src, n, 0) }, math.Exp},
		{"LogNEON", LogNEON, math.Log},
		{"ErfNEON", ErfNEON, math.Erf},
		{"SqrtNEON", SqrtNEON, math.Sqrt},
		{"SigmoidNEON", SigmoidNEON, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
		{"TanhNEON", TanhNEON, math.Tanh},
	} {
		r := rand.New(rand.NewPCG(21, 22))
		g, gd := newGuarded(t, 4096), newGuarded(t, 4096)
		for range cases() {
			n := 4 * (1 + r.IntN(12))
			x, dst := slice[float32](g, r, n), slice[float32](gd, r, n)
			fillFloats(r, x)
			scale := float32(math.Exp2(float64(r.IntN(16) - 8)))
			for i := range x {
				x[i] *= scale
			}
			src := slices.Clone(x)
			k.run(unsafe.Pointer(&dst[0]), unsafe.Pointer(&x[0]), uintptr(n))
			if err := sameFloats(x, src); err != nil {
				t.Fatalf("%s changed its input: %v", k.name, err)
			}
			for i, v := range x {
				want := k.f(float64(v))
				if want > math.MaxFloat32 {
					want = inf
				}
				got := float64(dst[i])
				ok := math.Abs(got-want) <= 4e-7*math.Abs(want)+1.5e-45
				if !ok && got != want && (got == got || want == want) {
					t.Fatalf("%s(%v): got %v, want %v", k.name, v, got, want)
				}
			}
		}
	}
}
