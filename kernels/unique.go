package kernels

import (
	"math"
	"slices"
)

// NonZero writes the positions of the true elements of x, of the shape, to the
// columns of pos, which has len(x) of them, sets the rest to 0, and returns how many
// there are.
func NonZero(pos []int64, x []byte, shape []int) int {
	count := 0
	clear(pos)
	for i, v := range x {
		if v == 0 {
			continue
		}
		for k, s := range slices.Backward(shape) {
			pos[k*len(x)+count] = int64(i % s)
			i /= s
		}
		count++
	}
	return count
}

// Compress copies the slices whose keep is true to dst, closely, sets the rest to 0,
// and returns how many they are. src is [outer][axis][slice bytes], dst the same with
// len(keep) slices, which are the first of the axis.
func Compress(dst, src, keep []byte, axis, slice int) int {
	count := 0
	for k, v := range keep {
		if v == 0 {
			continue
		}
		for o := range len(src) / (axis * slice) {
			copy(dst[(o*len(keep)+count)*slice:][:slice], src[(o*axis+k)*slice:])
		}
		count++
	}
	for o := range len(src) / (axis * slice) {
		clear(dst[(o*len(keep)+count)*slice : (o+1)*len(keep)*slice])
	}
	return count
}

// OrderedBits maps float32 numbers to integers in the same order. NaN is above all
// others; -0 is 0.
func OrderedBits(dst []int64, src []float32) {
	for i, v := range src {
		b := int32(math.Float32bits(v + 0))
		if v != v {
			b = math.MaxInt32
		}
		if b < 0 {
			b ^= math.MaxInt32
		}
		dst[i] = int64(b)
	}
}

// Unique finds the distinct ones of n slices. key is [outer][n][inner]. It writes, for
// every distinct one, the first place to first and the number of places to counts,
// for every slice the number of its distinct one to inverse, and returns how many
// there are; the rest of first and counts is 0. They are in ascending order if
// sorted, else in that of their first places. scratch has n elements, as the others.
func Unique(key []int64, n, inner int, sorted bool, first, inverse, counts, scratch []int64) int {
	compare := func(a, b int64) int {
		for o := 0; o < len(key); o += n * inner {
			x, y := key[o+int(a)*inner:][:inner], key[o+int(b)*inner:][:inner]
			if c := slices.Compare(x, y); c != 0 {
				return c
			}
		}
		return 0
	}
	order := scratch[:n]
	for i := range order {
		order[i] = int64(i)
	}
	slices.SortFunc(order, func(a, b int64) int {
		if c := compare(a, b); c != 0 {
			return c
		}
		return int(a - b)
	})
	clear(first)
	clear(counts)
	count := 0
	for i, p := range order {
		if i == 0 || compare(order[i-1], p) != 0 {
			first[count] = p
			count++
		}
		inverse[p] = int64(count - 1)
		counts[count-1]++
	}
	if sorted {
		return count
	}
	// By first place: number[old] is the new number of each.
	byPlace, number := order[:count], counts[:count]
	for i := range byPlace {
		byPlace[i] = int64(i)
	}
	slices.SortFunc(byPlace, func(a, b int64) int { return int(first[a] - first[b]) })
	for now, old := range byPlace {
		number[old] = int64(now)
	}
	for i, v := range inverse {
		inverse[i] = number[v]
	}
	clear(counts)
	for i, v := range slices.Backward(inverse) {
		first[v] = int64(i)
		counts[v]++
	}
	return count
}
