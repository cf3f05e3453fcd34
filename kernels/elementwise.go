package kernels

import "unsafe"

// chunk is how many elements of a costly function one call of a vector kernel
// does: assembly cannot be preempted, and a small core may take 50 cycles an
// element. A cheap function may do 16 chunks.
const chunk = 2048

// inChunks calls front for pieces of n elements, at most most of them at a time,
// until it does no more. It returns how many are done.
func inChunks(n, most int, front func(from, to int) int) int {
	done := 0
	for done < n {
		k := front(done, min(done+most, n))
		if k == 0 {
			break
		}
		done += k
	}
	return done
}

// Elementwise returns the level of the kernels that do the elementwise functions,
// poolings and reductions at l: wider vectors gain nothing where memory decides.
func (l Level) Elementwise() Level {
	switch {
	case l >= NEON:
		return NEON
	case l >= AVX2:
		return AVX2
	}
	return Generic
}

// widest is the most floats that fill a vector: the rest of a slice is worth a
// vector of its own where an element costs much.
const widest = 8

func pointer[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

// taps are the positions that reductions go over, the same ones for neighbouring
// channels: tap (r, c) of channel k is element base + r*rowStep + c*colStep + k.
// There are outs such windows, at least one of at least one tap, each srcStep
// elements behind the one before, its results dstStep elements.
type taps struct {
	base, rows, cols, rowStep, colStep int
	outs, dstStep, srcStep             int
}

// line is the taps of n elements that lie step apart.
func line(base, n, step int) taps { return taps{base: base, rows: 1, cols: n, colStep: step, outs: 1} }

func (t *taps) count() int { return t.rows * t.cols }

// each calls f for every tap, window by window in ascending order of rows and
// columns, with the position of the window's results. first marks a window's
// first tap.
func (t *taps) each(f func(dst, src int, first bool)) {
	for o := range t.outs {
		for r := range t.rows {
			for c := range t.cols {
				f(o*t.dstStep, t.base+o*t.srcStep+r*t.rowStep+c*t.colStep, r+c == 0)
			}
		}
	}
}

// within returns the part of src that n channels of the taps lie in.
func within[T any](t *taps, src []T, n int) []T {
	return src[t.base:][:(t.outs-1)*t.srcStep+(t.rows-1)*t.rowStep+(t.cols-1)*t.colStep+n]
}

// vectors calls front, which starts at position dst of the results, for pieces of
// the n channels and the windows, each no more work than a vector kernel may do at
// once. It returns how many channels are done.
func (t *taps) vectors(n int, front func(dst, n int, t taps) int) int {
	most := 32 * chunk / t.count()
	piece, outs := max(64, most&^63), max(1, most/max(n, 1))
	u := *t
	for done := 0; ; {
		k := 0
		for o := 0; o < t.outs && done < n; o += u.outs {
			u.outs = min(outs, t.outs-o)
			u.base = t.base + o*t.srcStep + done
			k = front(o*t.dstStep+done, min(piece, n-done), u)
		}
		if k == 0 {
			return done
		}
		done += k
	}
}

// sumTaps sets sums to the sums of the taps of n channels.
func sumTaps[T int8 | int16](l Level, sums []int32, src []T, n int, t taps) {
	clear(sums)
	done := 0
	if x, ok := any(src).([]int8); ok {
		done = t.vectors(n, func(dst, n int, t taps) int { return qsumPieces(l, sums[dst:], x, n, t) })
	}
	if n -= done; n == 0 {
		return
	}
	t.each(func(d, s int, _ bool) {
		y := sums[d+done:][:n]
		for k, v := range src[s+done:][:n] {
			y[k] += int32(v)
		}
	})
}

// qsumPieces is qsumFront in pieces of at most 256 taps, as many as a vector
// kernel adds up in int16.
func qsumPieces(l Level, sums []int32, src []int8, n int, t taps) (done int) {
	const most = 256
	p := t
	for r := 0; r < t.rows; r += p.rows {
		p.rows = min(max(most/t.cols, 1), t.rows-r)
		for c := 0; c < t.cols; c += p.cols {
			p.cols = min(most, t.cols-c)
			p.base = t.base + r*t.rowStep + c*t.colStep
			done = qsumFront(l, sums, src, n, &p)
		}
	}
	return done
}

// maxTaps sets dst to the greatest taps of n channels: the first one, or any that
// is greater than those before.
func maxTaps[T Float | Integer](l Level, dst, src []T, n int, t taps) {
	done := 0
	switch x := any(src).(type) {
	case []int8:
		d := any(dst).([]int8)
		done = t.vectors(n, func(dst, n int, t taps) int { return qmaxFront(l, d[dst:], x, n, &t) })
	case []float32:
		d := any(dst).([]float32)
		done = t.vectors(n, func(dst, n int, t taps) int { return maxFront(l, d[dst:], x, n, &t) })
	}
	if n -= done; n == 0 {
		return
	}
	t.each(func(d, s int, first bool) {
		y, x := dst[d+done:][:n], src[s+done:][:n]
		if first {
			copy(y, x)
		} else {
			maxInto(y, x)
		}
	})
}

// avgTaps sets dst to clamp(sum/count, lo, hi) of the taps of n channels, the sum
// being a chain from +0.
func avgTaps[T Float](l Level, dst, src []T, n int, t taps, count, lo, hi T) {
	done := 0
	if x, ok := any(src).([]float32); ok {
		d := any(dst).([]float32)
		done = t.vectors(n, func(dst, n int, t taps) int {
			return avgFront(l, d[dst:], x, n, &t, float32(count), float32(lo), float32(hi))
		})
	}
	if n -= done; n == 0 {
		return
	}
	t.each(func(d, s int, first bool) {
		y := dst[d+done:][:n]
		if first {
			clear(y)
		}
		for k, v := range src[s+done:][:n] {
			y[k] += v
		}
	})
	for o := range t.outs {
		y := dst[o*t.dstStep+done:][:n]
		for k, v := range y {
			y[k] = clampFloat(v/count, lo, hi)
		}
	}
}

// divideBy sets dst[i] = src[i] / by.
func divideBy[T Float](l Level, dst, src []T, by T) {
	done := 0
	if x, ok := any(src).([]float32); ok {
		d := any(dst).([]float32)
		done = inChunks(len(x), 16*chunk, func(from, to int) int { return divideFront(l, d[from:to], x[from:], float32(by)) })
	}
	for i, v := range src[done:] {
		dst[done+i] = v / by
	}
}

// lanes reduces a row of floats to 16 lanes, element i being in lane i mod 16,
// by sum or maximum, and returns how many elements went in: none for short rows.
func lanes(l Level, s *[16]float32, x []float32, maximum bool) int {
	n := len(x) &^ 15
	if n == 0 {
		return 0
	}
	t := line(0, n/16, 16)
	k := 0
	if maximum {
		k = maxFront(l, s[:], x, 16, &t)
	} else {
		k = avgFront(l, s[:], x, 16, &t, 1, -inf32, inf32)
	}
	if k == 0 {
		return 0
	}
	return n
}

// sum16 is [Sum16] with the kernels of a level.
func sum16[T Float](l Level, x []T) T {
	var s [16]T
	used := min(len(x), 16)
	if len(x) >= 16 && len(x) <= 64*chunk {
		if f, ok := any(&s).(*[16]float32); ok {
			x = x[lanes(l, f, any(x).([]float32), false):]
		}
	}
	return addLanes(&s, x, used)
}

// maxAt is maxOf with the kernels of a level, which may tell the zeros apart
// otherwise and pass over another NaN: for a softmax that is all the same.
func maxAt[T Float](l Level, x []T) T {
	if len(x) >= 16 && len(x) <= 64*chunk {
		var s [16]T
		if f, ok := any(&s).(*[16]float32); ok {
			if n := lanes(l, f, any(x).([]float32), true); n > 0 {
				return max(maxOf(s[:]), maxOf(x[n-1:])) // x[n-1] stands for an empty rest
			}
		}
	}
	return maxOf(x)
}

// maxCode is the greatest of a row of codes.
func maxCode(l Level, x []int8) int8 {
	var s [16]int8
	if n := len(x) &^ 15; n > 0 {
		t := line(0, n/16, 16)
		if qmaxFront(l, s[:], x, 16, &t) > 0 {
			return max(maxOf(s[:]), maxOf(x[n-1:]))
		}
	}
	return maxOf(x)
}
