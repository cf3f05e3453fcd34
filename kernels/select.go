package kernels

import (
	"fmt"
	"slices"
)

// Index is the types that computed indices have. A negative one counts from the
// end.
type Index interface{ int32 | int64 }

// indexPlace returns where index i lies in a dimension of n, -1 if it is out of range.
func indexPlace[I Index](i I, n int) int {
	v := int64(i)
	if v < 0 {
		v += int64(n)
	}
	if v < 0 || v >= int64(n) {
		return -1
	}
	return int(v)
}

// Elements addresses single elements of a tensor along one axis by a tensor of
// indices of the same rank: GatherElements and ScatterElements.
type Elements struct {
	dims  []int // of the indices
	steps []int // in the data, 0 along the axis
	axis  int   // size of the data there
	step  int   // of the data along the axis
	inner int   // dimension of the indices that is the axis
}

// NewElements plans the access to data of one shape by indices of another, which
// may not be larger but along the axis.
func NewElements(data, idx []int, axis int) (*Elements, error) {
	if len(data) != len(idx) || axis < 0 || axis >= len(data) {
		return nil, fmt.Errorf("kernels: indices %v do not fit data %v at axis %d", idx, data, axis)
	}
	e := &Elements{dims: idx, steps: steps(data), axis: data[axis], inner: axis}
	for i := range data {
		if i != axis && idx[i] > data[i] {
			return nil, fmt.Errorf("kernels: indices %v reach beyond data %v", idx, data)
		}
	}
	e.step, e.steps[axis] = e.steps[axis], 0
	return e, nil
}

// base returns where in the data element i of the indices works, but for the axis.
func (e *Elements) base(i int) int {
	at := 0
	for k, v := range slices.Backward(e.dims) {
		at += i % v * e.steps[k]
		i /= v
	}
	return at
}

// GatherElements sets dst[i] to the element that idx[i] names, missing for one
// out of range; elements have len(missing) bytes.
func GatherElements[I Index](e *Elements, dst, data []byte, idx []I, missing []byte) {
	size := len(missing)
	for i, v := range idx {
		src := missing
		if p := indexPlace(v, e.axis); p >= 0 {
			src = data[(e.base(i)+p*e.step)*size:][:size]
		}
		copy(dst[i*size:], src)
	}
}

// Combine names what a scatter does with the element that is there.
type Combine uint8

// The ways to combine: the update replaces the element, or is added and so on.
const (
	Replace Combine = iota
	CombineAdd
	CombineMul
	CombineMax
	CombineMin
)

func combine[T Float | Integer](op Combine, old, v T) T {
	switch op {
	case CombineAdd:
		return old + v
	case CombineMul:
		return old * v
	case CombineMax:
		if v > old {
			return v
		}
		return old
	case CombineMin:
		if v < old {
			return v
		}
		return old
	}
	return v
}

// ScatterElements combines every update with the element of dst that its index
// names, in ascending order. dst holds the data before.
func ScatterElements[T Float | Integer, I Index](e *Elements, op Combine, dst []T, idx []I, updates []T) {
	for i, v := range idx {
		if p := indexPlace(v, e.axis); p >= 0 {
			at := e.base(i) + p*e.step
			dst[at] = combine(op, dst[at], updates[i])
		}
	}
}

// Slices addresses slices of a tensor by positions of its leading dimensions:
// GatherND and ScatterND.
type Slices struct {
	dims    []int // addressed
	steps   []int // of them, in elements
	size    int   // elements of a slice
	count   int   // positions in a batch
	batches int
	whole   int // elements of data in a batch
}

// NewSlices plans the access to data by indices, whose innermost dimension holds
// the positions; both share batch leading dimensions.
func NewSlices(data, idx []int, batch int) (*Slices, error) {
	if len(idx) < 1 || batch < 0 || batch >= len(idx) || batch+idx[len(idx)-1] > len(data) || !slices.Equal(data[:batch], idx[:batch]) {
		return nil, fmt.Errorf("kernels: indices %v with %d common dimensions do not fit data %v", idx, batch, data)
	}
	n := batch + idx[len(idx)-1]
	s := &Slices{dims: data[batch:n], steps: steps(data)[batch:n], size: product(data[n:]),
		count: product(idx[batch : len(idx)-1]), batches: product(idx[:batch]), whole: product(data[batch:])}
	return s, nil
}

// find returns where in its batch the slice lies that pos names, -1 if nowhere.
func find[I Index](s *Slices, pos []I) int {
	at := 0
	for k, d := range s.dims {
		p := indexPlace(pos[k], d)
		if p < 0 {
			return -1
		}
		at += p * s.steps[k]
	}
	return at
}

// GatherND copies the slices that the positions name to dst, missing for the
// elements of one out of range; elements have len(missing) bytes.
func GatherND[I Index](s *Slices, dst, data []byte, idx []I, missing []byte) {
	size, n := len(missing), len(s.dims)
	for i := range s.batches * s.count {
		to := dst[i*s.size*size:][:s.size*size]
		at := find(s, idx[i*n:][:n])
		if at < 0 {
			for k := 0; k < len(to); k += size {
				copy(to[k:], missing)
			}
			continue
		}
		copy(to, data[(i/s.count*s.whole+at)*size:])
	}
}

// ScatterND combines the slices of updates with those of dst that the positions
// name, in ascending order. dst holds the data before.
func ScatterND[T Float | Integer, I Index](s *Slices, op Combine, dst []T, idx []I, updates []T) {
	n := len(s.dims)
	for i := range s.batches * s.count {
		at := find(s, idx[i*n:][:n])
		if at < 0 {
			continue
		}
		to := dst[i/s.count*s.whole+at:][:s.size]
		for k, v := range updates[i*s.size:][:s.size] {
			to[k] = combine(op, to[k], v)
		}
	}
}
