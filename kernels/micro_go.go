package kernels

import (
	"math"
	"unsafe"
)

// The portable micro-kernels: the Go loops that the assembly ones equal.

var (
	qgemmShapeGo = gemmShape{mr: 2, nr: 4, kr: 1}
	fgemmShapeGo = gemmShape{mr: 1, nr: 4, kr: 1}
	qdwShapeGo   = dwShape{cb: 4, mask: true}
	fdwShapeGo   = dwShape{cb: 4, mask: true}

	gemm16ShapeGo = gemmShape{mr: 2, nr: 4, kr: 1}
	dw16ShapeGo   = dwShape{cb: 4, mask: true}
)

// at returns the n elements that lie off bytes behind p, or pad if off is -1.
func at[T any](p, pad unsafe.Pointer, off int32, n uintptr) []T {
	if off >= 0 {
		pad = unsafe.Add(p, int(off))
	}
	return unsafe.Slice((*T)(pad), n)
}

// requantize maps a sum to an output code: one conversion, one multiplication,
// the clamp, one conversion, each rounded to nearest even.
func requantize(acc int32, scale, lo, hi float32, zero int32) int8 {
	x := float32(float32(acc) * scale)
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return int8(zero + roundEven(x))
}

// roundEven rounds |x| < 2^21 to the nearest integer, ties to even: behind
// 1.5·2^23 a float32 has no fraction bits left.
func roundEven(x float32) int32 {
	const magic = 3 << 22
	return int32(math.Float32bits(float32(x+magic))) - 0x4b400000
}

func qgemmGo(a *qGemmArgs) {
	const mr, nr = 2, 4
	bias := (*[nr]int32)(a.W)
	w := unsafe.Add(a.W, 4*nr)
	s00, s01, s02, s03 := bias[0], bias[1], bias[2], bias[3]
	s10, s11, s12, s13 := s00, s01, s02, s03
	if a.Corr != nil {
		c := (*[mr]int32)(unsafe.Pointer(a.Corr))
		s00, s01, s02, s03 = s00+c[0], s01+c[0], s02+c[0], s03+c[0]
		s10, s11, s12, s13 = s10+c[1], s11+c[1], s12+c[1], s13+c[1]
	}
	for _, off := range unsafe.Slice((*[mr]int32)(unsafe.Pointer(a.Off)), a.Taps) {
		row0 := at[int8](a.A, a.Pad, off[0], a.KC)
		row1 := at[int8](a.A, a.Pad, off[1], a.KC)[:len(row0)]
		ws := unsafe.Slice((*[nr]int8)(w), a.KC)[:len(row0)]
		for k, v := range row0 {
			x0, x1 := int32(v), int32(row1[k])
			y := &ws[k]
			y0, y1, y2, y3 := int32(y[0]), int32(y[1]), int32(y[2]), int32(y[3])
			s00 += x0 * y0
			s10 += x1 * y0
			s01 += x0 * y1
			s11 += x1 * y1
			s02 += x0 * y2
			s12 += x1 * y2
			s03 += x0 * y3
			s13 += x1 * y3
		}
		w = unsafe.Add(w, nr*int(a.KC))
	}
	scale := (*[nr]float32)(w)
	sums := [mr][nr]int32{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
	for r := range a.Rows {
		c := unsafe.Add(a.C, r*a.LDC)
		if a.Raw != 0 {
			copy(unsafe.Slice((*int32)(c), a.Cols), sums[r][:])
			continue
		}
		for n := range unsafe.Slice((*int8)(c), a.Cols) {
			*(*int8)(unsafe.Add(c, n)) = requantize(sums[r][n], scale[n], a.Lo, a.Hi, a.Zero)
		}
	}
}

func clampFloat[T Float](x, lo, hi T) T {
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return x
}

func gemmGo(a *gemmArgs) {
	const nr = 4
	bias := (*[nr]float32)(a.W)
	w := unsafe.Add(a.W, 4*nr)
	// The sums are float32 values kept as float64; FMA32 is written out, for
	// it is too large to be inlined.
	var s0, s1, s2, s3 float64
	for _, off := range unsafe.Slice(a.Off, a.Taps) {
		row := at[float32](a.A, a.Pad, off, a.KC)
		ws := unsafe.Slice((*[nr]float32)(w), a.KC)[:len(row)]
		for k, v := range row {
			x, y := float64(v), &ws[k]
			p0, p1, p2, p3 := x*float64(y[0]), x*float64(y[1]), x*float64(y[2]), x*float64(y[3])
			t0, t1, t2, t3 := p0+s0, p1+s1, p2+s2, p3+s3
			if roundsTwice(t0) {
				t0 = sumToOdd(p0, s0, t0)
			}
			if roundsTwice(t1) {
				t1 = sumToOdd(p1, s1, t1)
			}
			if roundsTwice(t2) {
				t2 = sumToOdd(p2, s2, t2)
			}
			if roundsTwice(t3) {
				t3 = sumToOdd(p3, s3, t3)
			}
			s0, s1, s2, s3 = float64(float32(t0)), float64(float32(t1)), float64(float32(t2)), float64(float32(t3))
		}
		w = unsafe.Add(w, 4*nr*int(a.KC))
	}
	sums := [nr]float32{float32(s0), float32(s1), float32(s2), float32(s3)}
	c := unsafe.Slice((*float32)(a.C), a.Cols)
	for n := range c {
		c[n] = clampFloat(sums[n]+bias[n], a.Lo, a.Hi)
	}
}

func qdwGo(a *qDWArgs) {
	const cb = 4
	taps := int(a.Taps)
	offs := unsafe.Slice(a.Off, int(a.Pixels)*taps)
	for p := range int(a.Pixels) {
		off := offs[p*taps:][:taps]
		out := unsafe.Slice((*int8)(unsafe.Add(a.Out, p*int(a.LDC))), a.C)
		w := a.W
		for c := 0; c < len(out); c += cb {
			sums := *(*[cb]int32)(w)
			ws := unsafe.Slice((*[cb]int16)(unsafe.Add(w, 4*cb)), taps)
			scale := (*[cb]float32)(unsafe.Add(w, 4*cb+2*cb*taps))
			n := min(cb, len(out)-c)
			for t, o := range off {
				x := unsafe.Add(a.Pad, c)
				if o >= 0 {
					x = unsafe.Add(a.A, int(o)+c)
				}
				y := &ws[t]
				if n == cb {
					v := (*[cb]int8)(x)
					sums[0] += int32(v[0]) * int32(y[0])
					sums[1] += int32(v[1]) * int32(y[1])
					sums[2] += int32(v[2]) * int32(y[2])
					sums[3] += int32(v[3]) * int32(y[3])
					continue
				}
				for i, v := range unsafe.Slice((*int8)(x), n) {
					sums[i] += int32(v) * int32(y[i])
				}
			}
			for i := range n {
				out[c+i] = requantize(sums[i], scale[i], a.Lo, a.Hi, a.Zero)
			}
			w = unsafe.Add(w, (8+2*taps)*cb)
		}
	}
}

func dwGo(a *dwArgs) {
	const cb = 4
	taps := int(a.Taps)
	offs := unsafe.Slice(a.Off, int(a.Pixels)*taps)
	for p := range int(a.Pixels) {
		off := offs[p*taps:][:taps]
		out := unsafe.Slice((*float32)(unsafe.Add(a.Out, p*int(a.LDC))), a.C)
		w := a.W
		for c := 0; c < len(out); c += cb {
			bias := (*[cb]float32)(w)
			ws := unsafe.Slice((*[cb]float32)(unsafe.Add(w, 4*cb)), taps)
			var sums [cb]float32
			n := min(cb, len(out)-c)
			for t, o := range off {
				x := unsafe.Add(a.Pad, 4*c)
				if o >= 0 {
					x = unsafe.Add(a.A, int(o)+4*c)
				}
				for i, v := range unsafe.Slice((*float32)(x), n) {
					sums[i] = FMA32(v, ws[t][i], sums[i])
				}
			}
			for i := range n {
				out[c+i] = clampFloat(sums[i]+bias[i], a.Lo, a.Hi)
			}
			w = unsafe.Add(w, 4*cb*(1+taps))
		}
	}
}

func gemm16Go(a *qGemmArgs) {
	const mr, nr = 2, 4
	scale, sums := (*[nr]float64)(a.W), [mr][nr]int32{}
	sums[0] = *(*[nr]int32)(unsafe.Add(a.W, 8*nr))
	sums[1] = sums[0]
	w := unsafe.Add(a.W, 12*nr)
	for _, off := range unsafe.Slice((*[mr]int32)(unsafe.Pointer(a.Off)), a.Taps) {
		row0 := at[int16](a.A, a.Pad, off[0], a.KC/2)
		row1 := at[int16](a.A, a.Pad, off[1], a.KC/2)[:len(row0)]
		ws := unsafe.Slice((*[nr]int8)(w), len(row0))
		for k, v := range row0 {
			x0, x1, y := int32(v), int32(row1[k]), &ws[k]
			y0, y1, y2, y3 := int32(y[0]), int32(y[1]), int32(y[2]), int32(y[3])
			sums[0][0] += x0 * y0
			sums[1][0] += x1 * y0
			sums[0][1] += x0 * y1
			sums[1][1] += x1 * y1
			sums[0][2] += x0 * y2
			sums[1][2] += x1 * y2
			sums[0][3] += x0 * y3
			sums[1][3] += x1 * y3
		}
		w = unsafe.Add(w, nr*len(row0))
	}
	for r := range a.Rows {
		c := unsafe.Add(a.C, r*a.LDC)
		if a.Raw != 0 {
			copy(unsafe.Slice((*int32)(c), a.Cols), sums[r][:])
			continue
		}
		for n := range unsafe.Slice((*int16)(c), a.Cols) {
			*(*int16)(unsafe.Add(c, 2*n)) = int16(requantize64(int64(sums[r][n]), scale[n], 0, int32(a.Lo), int32(a.Hi)))
		}
	}
}

func dw16Go(a *qDWArgs) {
	const cb = 4
	taps := int(a.Taps)
	offs := unsafe.Slice(a.Off, int(a.Pixels)*taps)
	for p := range int(a.Pixels) {
		off := offs[p*taps:][:taps]
		out := unsafe.Slice((*int16)(unsafe.Add(a.Out, p*int(a.LDC))), a.C)
		w := a.W
		for c := 0; c < len(out); c += cb {
			sums := *(*[cb]int32)(w)
			ws := unsafe.Slice((*[cb]int16)(unsafe.Add(w, 4*cb)), taps)
			scale := (*[cb]float64)(unsafe.Add(w, 4*cb+2*cb*taps))
			n := min(cb, len(out)-c)
			for t, o := range off {
				x := unsafe.Add(a.Pad, 2*c)
				if o >= 0 {
					x = unsafe.Add(a.A, int(o)+2*c)
				}
				for i, v := range unsafe.Slice((*int16)(x), n) {
					sums[i] += int32(v) * int32(ws[t][i])
				}
			}
			for i := range n {
				out[c+i] = int16(requantize64(int64(sums[i]), scale[i], 0, int32(a.Lo), int32(a.Hi)))
			}
			w = unsafe.Add(w, (12+2*taps)*cb)
		}
	}
}
