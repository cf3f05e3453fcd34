//go:build linux && !purego

package arm64

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/cpu"
)

var long = flag.Bool("long", false, "run many more random cases")

func cases() int {
	if *long {
		return 20000
	}
	return 1500
}

// clampRound is the end of the int8 kernels as the contract states it.
func clampRound(acc int32, scale, lo, hi float32, zero int32) int8 {
	x := float32(acc) * scale
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return int8(zero + int32(math.RoundToEven(float64(x))))
}

// outputRange draws a zero point and a clamp.
func outputRange(r *rand.Rand) (lo, hi float32, zero int32) {
	zero = r.Int32N(256) - 128
	l, h := int32(-128), int32(127)
	if r.IntN(3) == 0 {
		l = r.Int32N(256) - 128
		h = l + r.Int32N(128-l)
	}
	return float32(l - zero), float32(h - zero), zero
}

// fillInt8 draws values from the whole range, or only the extreme ones.
func fillInt8(r *rand.Rand, x []int8) {
	extreme := r.IntN(4) == 0
	for i := range x {
		x[i] = int8(r.Uint32())
		if extreme {
			x[i] = []int8{-128, -128, -128, 127}[r.IntN(4)]
		}
	}
}

// scaleFor draws a scale that spreads sums of magnitude about m over the codes;
// half of the scales are powers of two, which make ties.
func scaleFor(r *rand.Rand, m float64) float32 {
	s := 64 / m * math.Exp2(4*r.Float64()-2)
	if r.IntN(2) == 0 {
		s = math.Exp2(math.Round(math.Log2(s)))
	}
	return float32(s)
}

type qgemmKernel struct {
	name       string
	run        func(*QGemmArgs)
	mr, nr, kr int // mr is the stride of Off
	rows       int // most rows that it computes
	has        bool
	leastK     int  // of a tap
	above      bool // weights are above -128
}

func qgemmKernels() []qgemmKernel {
	return []qgemmKernel{
		{"QGemm2x8c8NEON", QGemm2x8c8NEON, QGemmNEONMR, 8, 8, QGemmNEONMR, true, 8, false},
		{"QGemm2x8c8PairsNEON", QGemm2x8c8PairsNEON, QGemmNEONMR, 8, 8, QGemmNEONMR, true, 16, true},
		{"QGemm1x8c8NEON", QGemm1x8c8NEON, QGemmNEONMR, 8, 8, 1, true, 8, false},
		{"QGemm4x16c4Dotprod", QGemm4x16c4Dotprod, QGemmDotprodMR, 16, 4, QGemmDotprodMR, cpu.ARM64.HasASIMDDP, 4, false},
		{"QGemm1x16c4Dotprod", QGemm1x16c4Dotprod, QGemmDotprodMR, 16, 4, 1, cpu.ARM64.HasASIMDDP, 4, false},
		{"QGemm4x16c8I8MM", QGemm4x16c8I8MM, 4, 16, 8, 4, cpu.ARM64.HasI8MM, 8, false},
		{"QGemm2x16c8I8MM", QGemm2x16c8I8MM, 4, 16, 8, 2, cpu.ARM64.HasI8MM, 8, false},
	}
}

// drawOffsets fills off with [taps][mr] offsets of rows of n bytes in a buffer of
// size bytes, multiples of align, sometimes -1; one row ends with the buffer.
func drawOffsets(r *rand.Rand, off []int32, mr, rows, size, n, align int) {
	for i := range off {
		if i%mr >= rows {
			off[i] = off[i/mr*mr+rows-1]
			continue
		}
		switch r.IntN(5) {
		case 0:
			off[i] = -1
		case 1:
			off[i] = int32(size - n)
		default:
			off[i] = int32(r.IntN((size-n)/align+1) * align)
		}
	}
}

func TestQGemm(t *testing.T) {
	for _, k := range qgemmKernels() {
		t.Run(k.name, func(t *testing.T) {
			if !k.has {
				t.Skip("NOT RUN: this CPU has not the instructions")
			}
			r := rand.New(rand.NewPCG(1, 2))
			ga, gp, gw, gc, go1, gcorr := newGuarded(t, 1<<14), newGuarded(t, 1<<12), newGuarded(t, 1<<18), newGuarded(t, 1<<14), newGuarded(t, 1<<12), newGuarded(t, 4096)
			for n := range cases() {
				taps, kc := 1+r.IntN(10), k.kr*(1+r.IntN(20))
				if r.IntN(8) == 0 {
					taps, kc = 1, k.kr*(1+r.IntN(200))
				}
				kc = max(kc, k.leastK)
				rows, cols := 1+r.IntN(k.rows), 1+r.IntN(k.nr)
				if r.IntN(2) == 0 {
					rows, cols = k.rows, k.nr
				}
				a := slice[int8](ga, r, kc+r.IntN(4*kc))
				pad := slice[int8](gp, r, kc)
				fillInt8(r, a)
				fillInt8(r, pad)
				off := slice[int32](go1, r, taps*k.mr)
				drawOffsets(r, off, k.mr, rows, len(a), kc, 1)
				var corr []int32
				if r.IntN(2) == 0 {
					corr = slice[int32](gcorr, r, k.mr)
					for i := range corr {
						corr[i] = r.Int32N(20001) - 10000
					}
				}

				weights := make([]int8, taps*kc*k.nr)
				fillInt8(r, weights)
				if k.above {
					for i, w := range weights {
						weights[i] = max(w, -127)
					}
				}
				panel := gw.bytes(r, 8*k.nr+len(weights))
				bias := unsafe.Slice((*int32)(unsafe.Pointer(&panel[0])), k.nr)
				packed := unsafe.Slice((*int8)(unsafe.Pointer(&panel[4*k.nr])), len(weights))
				scale := unsafe.Slice((*float32)(unsafe.Pointer(&panel[4*k.nr+len(weights)])), k.nr)
				copy(packed, weights)
				for i := range bias {
					bias[i] = r.Int32N(200001) - 100000
					scale[i] = scaleFor(r, 5000*math.Sqrt(float64(taps*kc)))
				}

				args := QGemmArgs{
					A: unsafe.Pointer(&a[0]), Pad: unsafe.Pointer(&pad[0]), Off: &off[0],
					Taps: uintptr(taps), KC: uintptr(kc), W: unsafe.Pointer(&panel[0]),
					Rows: uintptr(rows), Cols: uintptr(cols),
				}
				if corr != nil {
					args.Corr = &corr[0]
				}
				args.Lo, args.Hi, args.Zero = outputRange(r)
				size := 1
				if r.IntN(4) == 0 {
					args.Raw, size = 1, 4
				}
				ldc := size * (cols + r.IntN(9))
				c := gc.bytes(r, ldc*(rows-1)+cols*size)
				for i := range c {
					c[i] = byte(r.Uint32())
				}
				want := slices.Clone(c)
				for row := range rows {
					for col := range cols {
						acc := bias[col]
						if corr != nil {
							acc += corr[row]
						}
						for tap := range taps {
							x := pad
							if o := off[tap*k.mr+row]; o >= 0 {
								x = a[o:]
							}
							for i := range kc {
								acc += int32(x[i]) * int32(weights[((tap*kc+i)/k.kr*k.nr+col)*k.kr+i%k.kr])
							}
						}
						p := unsafe.Pointer(&want[row*ldc+col*size])
						if args.Raw != 0 {
							*(*int32)(p) = acc
						} else {
							*(*int8)(p) = clampRound(acc, scale[col], args.Lo, args.Hi, args.Zero)
						}
					}
				}
				args.C, args.LDC = unsafe.Pointer(&c[0]), uintptr(ldc)
				k.run(&args)
				if !slices.Equal(c, want) {
					t.Fatalf("case %d: taps %d kc %d rows %d cols %d ldc %d raw %d:\n got %v\nwant %v", n, taps, kc, rows, cols, ldc, args.Raw, c, want)
				}
			}
		})
	}
}

// fma32 is x*y+z rounded once: the float64 sum of the exact product and z is
// rounded to odd, so that rounding it to float32 is right (Boldo and Melquiond,
// Emulation of FMA and Correctly Rounded Sums, 2008).
func fma32(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	v := s - p
	e := (p - (s - v)) + (c - v)
	if b := math.Float64bits(s); e != 0 && e == e && b&1 == 0 && !math.IsInf(s, 0) {
		if (e > 0) == (s > 0) {
			b++
		} else {
			b--
		}
		s = math.Float64frombits(b)
	}
	return float32(s)
}

// fillFloats draws plain values, or a mixture with those that kernels get wrong.
func fillFloats(r *rand.Rand, x []float32) {
	odd := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, math.SmallestNonzeroFloat32, -1e-42, 3e38, -3e38,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-38, 1.1754944e-38,
	}
	mixture := r.IntN(4) == 0
	zeros := mixture && r.IntN(2) == 0
	for i := range x {
		x[i] = float32(r.NormFloat64())
		if zeros {
			x[i] = odd[r.IntN(4)]
		} else if mixture && r.IntN(16) == 0 {
			x[i] = odd[r.IntN(len(odd))]
		}
	}
}

func clampFloat(x, lo, hi float32) float32 {
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return x
}

func floatRange(r *rand.Rand) (lo, hi float32) {
	switch r.IntN(4) {
	case 0:
		return 0, float32(math.Inf(1))
	case 1:
		return -1, 6
	case 2:
		return -1, 0
	}
	return float32(math.Inf(-1)), float32(math.Inf(1))
}

// sameFloats compares bits; any NaN equals any NaN.
func sameFloats(a, b []float32) error {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) && (a[i] == a[i] || b[i] == b[i]) {
			return fmt.Errorf("element %d is %v (%08x), want %v (%08x)", i, a[i], math.Float32bits(a[i]), b[i], math.Float32bits(b[i]))
		}
	}
	return nil
}

func TestGemm(t *testing.T) {
	for _, k := range []struct {
		name         string
		run          func(*GemmArgs)
		mr, nr, rows int // mr is the stride of Off, rows the most that it computes
	}{
		{"Gemm8x8NEON", Gemm8x8NEON, 8, 8, 8},
		{"Gemm8x8InOrderNEON", Gemm8x8InOrderNEON, 8, 8, 8},
		{"Gemm4x8NEON", Gemm4x8NEON, 8, 8, 4},
		{"Gemm1x8NEON", Gemm1x8NEON, 8, 8, 1},
		{"Gemv32NEON", Gemv32NEON, 1, 32, 1},
	} {
		mr, nr := k.mr, k.nr
		t.Run(k.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			ga, gp, gw, gc, go1 := newGuarded(t, 1<<16), newGuarded(t, 1<<14), newGuarded(t, 1<<18), newGuarded(t, 1<<14), newGuarded(t, 1<<12)
			for n := range cases() {
				taps, kc := 1+r.IntN(10), 1+r.IntN(24)
				if r.IntN(8) == 0 {
					taps, kc = 1, 1+r.IntN(500)
				}
				rows, cols := 1+r.IntN(k.rows), 1+r.IntN(nr)
				if r.IntN(2) == 0 {
					rows, cols = k.rows, nr
				}
				a := slice[float32](ga, r, kc+r.IntN(4*kc))
				pad := slice[float32](gp, r, kc)
				panel := slice[float32](gw, r, nr+taps*kc*nr)
				fillFloats(r, a)
				fillFloats(r, pad)
				fillFloats(r, panel)
				off := slice[int32](go1, r, taps*mr)
				drawOffsets(r, off, mr, rows, 4*len(a), 4*kc, 4)
				ldc := cols + r.IntN(9)
				c := slice[float32](gc, r, ldc*(rows-1)+cols)
				fillFloats(r, c)
				want := slices.Clone(c)
				args := GemmArgs{
					A: unsafe.Pointer(&a[0]), Pad: unsafe.Pointer(&pad[0]), Off: &off[0],
					Taps: uintptr(taps), KC: uintptr(kc), W: unsafe.Pointer(&panel[0]),
					C: unsafe.Pointer(&c[0]), LDC: uintptr(4 * ldc), Rows: uintptr(rows), Cols: uintptr(cols),
				}
				args.Lo, args.Hi = floatRange(r)
				for row := range rows {
					for col := range cols {
						var acc float32
						for tap := range taps {
							x := pad
							if o := off[tap*mr+row]; o >= 0 {
								x = a[o/4:]
							}
							for i := range kc {
								acc = fma32(x[i], panel[nr+(tap*kc+i)*nr+col], acc)
							}
						}
						want[row*ldc+col] = clampFloat(acc+panel[col], args.Lo, args.Hi)
					}
				}
				k.run(&args)
				if err := sameFloats(c, want); err != nil {
					t.Fatalf("case %d: taps %d kc %d rows %d cols %d ldc %d: %v", n, taps, kc, rows, cols, ldc, err)
				}
			}
		})
	}
}

func TestQDepthwise(t *testing.T) {
	t.Run("QDepthwiseNEON", func(t *testing.T) { testQDepthwise(t, QDepthwiseNEON, dwAny) })
	t.Run("QDepthwise9NEON", func(t *testing.T) { testQDepthwise(t, QDepthwise9NEON, dwNine) })
	t.Run("QDepthwiseColumnsNEON", func(t *testing.T) { testQDepthwise(t, QDepthwiseColumnsNEON, dwColumns) })
	t.Run("QDepthwiseColumnsDotprod", func(t *testing.T) {
		if !cpu.ARM64.HasASIMDDP {
			t.Skip("NOT RUN: this CPU has not the instructions")
		}
		testQDepthwise(t, QDepthwiseColumnsDotprod, dwColumns)
	})
}

// What a depthwise kernel is for: any taps and channels, nine taps and whole blocks,
// or 3x3 windows by columns.
const (
	dwAny = iota
	dwNine
	dwColumns
)

// windows returns the offsets [pixels][taps] that off stands for.
func windows(off []int32, kind, pixels, taps int) []int32 {
	if kind != dwColumns {
		return off
	}
	var all []int32
	for p := range pixels {
		for t := range taps {
			all = append(all, off[(p+t%3)*3+t/3])
		}
	}
	return all
}

func testQDepthwise(t *testing.T, run func(*QDWArgs), kind int) {
	const cb = QDepthwiseNEONCB
	r := rand.New(rand.NewPCG(5, 6))
	ga, gp, gw, gc, go1 := newGuarded(t, 1<<14), newGuarded(t, 1<<12), newGuarded(t, 1<<16), newGuarded(t, 1<<14), newGuarded(t, 1<<14)
	for n := range cases() {
		taps, channels, pixels := 1+r.IntN(26), 1+r.IntN(70), 1+r.IntN(9)
		switch kind {
		case dwNine:
			taps, channels = 9, cb+r.IntN(60)
		case dwColumns:
			taps = 9
		}
		blocks := (channels + cb - 1) / cb
		a := slice[int8](ga, r, channels+r.IntN(4*channels))
		pad := slice[int8](gp, r, channels)
		fillInt8(r, a)
		fillInt8(r, pad)
		offs := pixels * taps
		if kind == dwColumns {
			offs = (pixels + 2) * 3
		}
		off := slice[int32](go1, r, offs)
		drawOffsets(r, off, 1, 1, len(a), channels, 1)
		stride := (8 + 2*taps) * cb
		packed := gw.bytes(r, blocks*stride)
		clear(packed)
		bias := func(c int) *int32 { return (*int32)(unsafe.Pointer(&packed[c/cb*stride+c%cb*4])) }
		weight := func(tap, c int) *int16 {
			return (*int16)(unsafe.Pointer(&packed[c/cb*stride+4*cb+2*(tap*cb+c%cb)]))
		}
		scale := func(c int) *float32 {
			return (*float32)(unsafe.Pointer(&packed[c/cb*stride+(4+2*taps)*cb+c%cb*4]))
		}
		ldc := channels + r.IntN(20)
		c := gc.bytes(r, ldc*(pixels-1)+channels)
		for i := range c {
			c[i] = byte(r.Uint32())
		}
		want := slices.Clone(c)
		args := QDWArgs{
			A: unsafe.Pointer(&a[0]), Pad: unsafe.Pointer(&pad[0]), Off: &off[0],
			Taps: uintptr(taps), C: uintptr(channels), W: unsafe.Pointer(&packed[0]),
			Out: unsafe.Pointer(&c[0]), LDC: uintptr(ldc), Pixels: uintptr(pixels),
		}
		args.Lo, args.Hi, args.Zero = outputRange(r)
		wide := r.IntN(2) == 0 // weights beyond int8
		window := windows(off, kind, pixels, taps)
		for ch := range channels {
			*bias(ch) = r.Int32N(20001) - 10000
			*scale(ch) = scaleFor(r, 8000*math.Sqrt(float64(taps)))
			for tap := range taps {
				*weight(tap, ch) = int16(r.IntN(256) - 128)
				if wide && r.IntN(100) == 0 {
					*weight(tap, ch) = int16(r.IntN(511) - 255)
				}
			}
			for p := range pixels {
				acc := *bias(ch)
				for tap := range taps {
					x := pad
					if o := window[p*taps+tap]; o >= 0 {
						x = a[o:]
					}
					acc += int32(x[ch]) * int32(*weight(tap, ch))
				}
				want[p*ldc+ch] = byte(clampRound(acc, *scale(ch), args.Lo, args.Hi, args.Zero))
			}
		}
		run(&args)
		if !slices.Equal(c, want) {
			t.Fatalf("case %d: taps %d channels %d pixels %d ldc %d:\n got %v\nwant %v", n, taps, channels, pixels, ldc, c, want)
		}
	}
}

func TestDepthwise(t *testing.T) {
	t.Run("DepthwiseNEON", func(t *testing.T) { testDepthwise(t, DepthwiseNEON, dwAny) })
	t.Run("DepthwiseColumnsNEON", func(t *testing.T) { testDepthwise(t, DepthwiseColumnsNEON, dwColumns) })
}

func testDepthwise(t *testing.T, run func(*DWArgs), kind int) {
	const cb = DepthwiseNEONCB
	r := rand.New(rand.NewPCG(7, 8))
	ga, gp, gw, gc, go1 := newGuarded(t, 1<<14), newGuarded(t, 1<<12), newGuarded(t, 1<<16), newGuarded(t, 1<<14), newGuarded(t, 1<<14)
	for n := range cases() {
		taps, channels, pixels := 1+r.IntN(26), 1+r.IntN(40), 1+r.IntN(9)
		offs := pixels * taps
		if kind == dwColumns {
			taps, offs = 9, (pixels+2)*3
		}
		blocks := (channels + cb - 1) / cb
		a := slice[float32](ga, r, channels+r.IntN(4*channels))
		pad := slice[float32](gp, r, channels)
		packed := slice[float32](gw, r, blocks*(1+taps)*cb)
		fillFloats(r, a)
		fillFloats(r, pad)
		fillFloats(r, packed)
		off := slice[int32](go1, r, offs)
		drawOffsets(r, off, 1, 1, 4*len(a), 4*channels, 4)
		ldc := channels + r.IntN(20)
		c := slice[float32](gc, r, ldc*(pixels-1)+channels)
		fillFloats(r, c)
		want := slices.Clone(c)
		args := DWArgs{
			A: unsafe.Pointer(&a[0]), Pad: unsafe.Pointer(&pad[0]), Off: &off[0],
			Taps: uintptr(taps), C: uintptr(channels), W: unsafe.Pointer(&packed[0]),
			Out: unsafe.Pointer(&c[0]), LDC: uintptr(4 * ldc), Pixels: uintptr(pixels),
		}
		args.Lo, args.Hi = floatRange(r)
		window := windows(off, kind, pixels, taps)
		for p := range pixels {
			for ch := range channels {
				w := packed[ch/cb*(1+taps)*cb+ch%cb:]
				var acc float32
				for tap := range taps {
					x := pad
					if o := window[p*taps+tap]; o >= 0 {
						x = a[o/4:]
					}
					acc = fma32(x[ch], w[(1+tap)*cb], acc)
				}
				want[p*ldc+ch] = clampFloat(acc+w[0], args.Lo, args.Hi)
			}
		}
		run(&args)
		if err := sameFloats(c, want); err != nil {
			t.Fatalf("case %d: taps %d channels %d pixels %d ldc %d: %v", n, taps, channels, pixels, ldc, err)
		}
	}
}
