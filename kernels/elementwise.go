package kernels

import "unsafe"

// chunk is how many elements of a costly function one call of a vector kernel
// does: assembly cannot be preempted, and a small core may take 50 cycles an
// element.
const chunk = 2048

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

func pointer[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

// taps are the positions that a reduction goes over, the same ones for
// neighbouring channels: tap (r, c) of channel k is element
// base + r*rowStep + c*colStep + k. There is at least one.
type taps struct{ base, rows, cols, rowStep, colStep int }

// line is the taps of n elements that lie step apart.
func line(base, n, step int) taps { return taps{base: base, rows: 1, cols: n, colStep: step} }

func (t *taps) count() int { return t.rows * t.cols }

// each calls f for every tap in ascending order of rows and columns.
func (t *taps) each(f func(at int)) {
	for r := range t.rows {
		for c := range t.cols {
			f(t.base + r*t.rowStep + c*t.colStep)
		}
	}
}

// within returns the part of src that n channels of the taps lie in.
func within[T any](t *taps, src []T, n int) []T {
	return src[t.base:][:(t.rows-1)*t.rowStep+(t.cols-1)*t.colStep+n]
}

// vectors calls front for pieces of the n channels, each no more work than a
// vector kernel may do at once, and returns how many channels are done.
func (t *taps) vectors(n int, front func(from, to int, t taps) int) int {
	piece := max(64, (32*chunk/t.count())&^63)
	u := *t
	for done := 0; ; {
		u.base = t.base + done
		k := 0
		if done < n {
			k = front(done, min(done+piece, n), u)
		}
		if k == 0 {
			return done
		}
		done += k
	}
}

// sumTaps sets sums to the sums of the taps of len(sums) channels.
func sumTaps[T int8 | int16](l Level, sums []int32, src []T, t taps) {
	clear(sums)
	done := 0
	if x, ok := any(src).([]int8); ok {
		done = t.vectors(len(sums), func(from, to int, t taps) int { return qsumPieces(l, sums[from:to], x, t) })
	}
	sums = sums[done:]
	t.each(func(at int) {
		for k, v := range src[at+done:][:len(sums)] {
			sums[k] += int32(v)
		}
	})
}

// qsumPieces is qsumFront in pieces of at most 256 taps, as many as a vector
// kernel adds up in int16.
func qsumPieces(l Level, sums []int32, src []int8, t taps) (n int) {
	const most = 256
	p := t
	for r := 0; r < t.rows; r += p.rows {
		p.rows = min(max(most/t.cols, 1), t.rows-r)
		for c := 0; c < t.cols; c += p.cols {
			p.cols = min(most, t.cols-c)
			p.base = t.base + r*t.rowStep + c*t.colStep
			n = qsumFront(l, sums, src, &p)
		}
	}
	return n
}

// maxTaps sets dst to the greatest taps of len(dst) channels: the first one, or
// any that is greater than those before.
func maxTaps[T Float | Integer](l Level, dst, src []T, t taps) {
	done := 0
	switch x := any(src).(type) {
	case []int8:
		d := any(dst).([]int8)
		done = t.vectors(len(d), func(from, to int, t taps) int { return qmaxFront(l, d[from:to], x, &t) })
	case []float32:
		d := any(dst).([]float32)
		done = t.vectors(len(d), func(from, to int, t taps) int { return maxFront(l, d[from:to], x, &t) })
	}
	dst = dst[done:]
	copy(dst, src[t.base+done:])
	t.each(func(at int) { maxInto(dst, src[at+done:][:len(dst)]) })
}

// avgTaps sets dst to clamp(sum/count, lo, hi) of the taps of len(dst) channels,
// the sum being a chain from +0.
func avgTaps[T Float](l Level, dst, src []T, t taps, count, lo, hi T) {
	done := 0
	if x, ok := any(src).([]float32); ok {
		d := any(dst).([]float32)
		done = t.vectors(len(d), func(from, to int, t taps) int {
			return avgFront(l, d[from:to], x, &t, float32(count), float32(lo), float32(hi))
		})
	}
	dst = dst[done:]
	clear(dst)
	t.each(func(at int) {
		for k, v := range src[at+done:][:len(dst)] {
			dst[k] += v
		}
	})
	for k, v := range dst {
		dst[k] = clampFloat(v/count, lo, hi)
	}
}

// divideBy sets dst[i] = src[i] / by.
func divideBy[T Float](l Level, dst, src []T, by T) {
	done := 0
	if x, ok := any(src).([]float32); ok {
		done = divideFront(l, any(dst).([]float32), x, float32(by))
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
		k = maxFront(l, s[:], x, &t)
	} else {
		k = avgFront(l, s[:], x, &t, 1, -inf32, inf32)
	}
	if k == 0 {
		return 0
	}
	return n
}

// sum16 is [Sum16] with the kernels of a level.
func sum16[T Float](l Level, x []T) T {
	var s [16]T
	if f, ok := any(&s).(*[16]float32); ok && len(x) <= 64*chunk {
		x = x[lanes(l, f, any(x).([]float32), false):]
	}
	return addLanes(&s, x)
}

// maxAt is maxOf with the kernels of a level, which may tell the zeros apart
// otherwise and pass over another NaN: for a softmax that is all the same.
func maxAt[T Float](l Level, x []T) T {
	var s [16]T
	if f, ok := any(&s).(*[16]float32); ok && len(x) <= 64*chunk {
		if n := lanes(l, f, any(x).([]float32), true); n > 0 {
			return max(maxOf(s[:]), maxOf(x[n-1:])) // x[n-1] stands for an empty rest
		}
	}
	return maxOf(x)
}

// maxCode is the greatest of a row of codes.
func maxCode(l Level, x []int8) int8 {
	var s [16]int8
	if n := len(x) &^ 15; n > 0 {
		t := line(0, n/16, 16)
		if qmaxFront(l, s[:], x, &t) > 0 {
			return max(maxOf(s[:]), maxOf(x[n-1:]))
		}
	}
	return maxOf(x)
}
