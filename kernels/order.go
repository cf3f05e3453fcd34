package kernels

import "fmt"

// Along is a tensor seen along one axis: [Outer][N][Inner].
type Along struct{ Outer, N, Inner int }

// NewAlong sees a shape along an axis.
func NewAlong(shape []int, axis int) (Along, error) {
	if axis < 0 || axis >= len(shape) {
		return Along{}, fmt.Errorf("kernels: axis %d is outside of shape %v", axis, shape)
	}
	return Along{product(shape[:axis]), shape[axis], product(shape[axis+1:])}, nil
}

// before reports whether x is to be preferred to y: the greater or the lesser
// one, NaN before all.
func before[T Float | Integer](x, y T, least bool) bool {
	if x != x || y != y {
		return x != x && y == y
	}
	if least {
		return x < y
	}
	return x > y
}

// ArgExtreme sets dst to the positions of the greatest (or least) elements; of
// equal ones the first, or the last if last is set.
func ArgExtreme[T Float | Integer](a Along, dst []int64, src []T, least, last bool) {
	for o := range a.Outer {
		for i := range a.Inner {
			x := src[o*a.N*a.Inner+i:]
			best := 0
			for k := 1; k < a.N; k++ {
				v, w := x[k*a.Inner], x[best*a.Inner]
				if before(v, w, least) || last && !before(w, v, least) {
					best = k
				}
			}
			dst[o*a.Inner+i] = int64(best)
		}
	}
}

// TopK sets values and indices to the k greatest (or least) elements along the
// axis and their positions, in order; of equal ones the first comes first. heap
// has at least k elements. It takes N log k steps: the k best so far are a heap
// with the worst on top.
func TopK[T Float | Integer](a Along, k int, values []T, indices []int64, src []T, least bool, heap []int32) {
	heap = heap[:k]
	for o := range a.Outer {
		for i := range a.Inner {
			x := src[o*a.N*a.Inner+i:]
			// worse orders positions: the top of the heap is worse than all below.
			worse := func(p, q int32) bool {
				v, w := x[int(p)*a.Inner], x[int(q)*a.Inner]
				return before(w, v, least) || !before(v, w, least) && p > q
			}
			for n := range k {
				heap[n] = int32(n)
			}
			for n := k/2 - 1; n >= 0; n-- {
				sink(heap, n, worse)
			}
			for n := k; n < a.N; n++ {
				if worse(heap[0], int32(n)) {
					heap[0] = int32(n)
					sink(heap, 0, worse)
				}
			}
			for n := k - 1; n >= 0; n-- { // the worst comes last
				at := (o*k+n)*a.Inner + i
				values[at], indices[at] = x[int(heap[0])*a.Inner], int64(heap[0])
				heap[0] = heap[n]
				sink(heap[:n], 0, worse)
			}
		}
	}
}

// sink restores the heap below element i.
func sink(heap []int32, i int, worse func(p, q int32) bool) {
	for {
		k := 2*i + 1
		if k >= len(heap) {
			return
		}
		if k+1 < len(heap) && worse(heap[k+1], heap[k]) {
			k++
		}
		if !worse(heap[k], heap[i]) {
			return
		}
		heap[i], heap[k] = heap[k], heap[i]
		i = k
	}
}

// Cumulate sets dst to the sums (or products) of the elements up to each along
// the axis: one ascending chain, from the end if reverse is set; without the
// element itself if exclusive is set.
func Cumulate[T Float | Integer](a Along, product, exclusive, reverse bool, dst, src []T) {
	for o := range a.Outer {
		for i := range a.Inner {
			var sum T
			if product {
				sum = 1
			}
			for n := range a.N {
				if reverse {
					n = a.N - 1 - n
				}
				at := (o*a.N+n)*a.Inner + i
				if exclusive {
					dst[at] = sum
				}
				if product {
					sum *= src[at]
				} else {
					sum += src[at]
				}
				if !exclusive {
					dst[at] = sum
				}
			}
		}
	}
}

// ReduceMin sets dst to the least elements, min(a,b) = b < a ? b : a in
// ascending order.
func ReduceMin[T Float | Integer](r *Reduce, dst, src []T) {
	reduceChain(r, dst, src, func(m, v T) T {
		if v < m {
			return v
		}
		return m
	})
}

// ReduceProd sets dst to the products, one ascending chain an output.
func ReduceProd[T Float | Integer](r *Reduce, dst, src []T) {
	reduceChain(r, dst, src, func(m, v T) T { return m * v })
}

// reduceChain folds the elements of every output in ascending order.
func reduceChain[T any](r *Reduce, dst, src []T, f func(m, v T) T) {
	r.each(func(o, i, n int, all, first bool) {
		x := src[i:][:n]
		if !all {
			for k, v := range x {
				if first {
					dst[o+k] = v
				} else {
					dst[o+k] = f(dst[o+k], v)
				}
			}
			return
		}
		m := x[0]
		if !first {
			m = f(dst[o], m)
		}
		for _, v := range x[1:] {
			m = f(m, v)
		}
		dst[o] = m
	})
}
