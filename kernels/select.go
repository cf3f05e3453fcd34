package kernels

import (
	"fmt"
	"slices"
)

// Positions turns indices, of which a negative one counts from the end, into
// positions: index i is one of dimension dims[i mod len(dims)]. They are int64 if
// wide, else int32, and pos may be the same memory as wide ones. It returns the
// number of the first index that is out of range, or -1; the positions of such an
// index and of those behind it are not set.
func Positions(pos []int64, idx []byte, wide bool, dims []int) int {
	short := as[int32](idx)
	long := as[int64](idx)
	for i := range pos {
		var v int64
		if wide {
			v = long[i]
		} else {
			v = int64(short[i])
		}
		n := int64(dims[i%len(dims)])
		if v < 0 {
			v += n
		}
		if v < 0 || v >= n {
			return i
		}
		pos[i] = v
	}
	return -1
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

// Dims are those that the positions are of.
func (e *Elements) Dims() []int { return []int{e.axis} }

// GatherElements sets dst[i] to the element at pos[i]; elements have size bytes.
func GatherElements(e *Elements, dst, data []byte, pos []int64, size int) {
	for i, p := range pos {
		copy(dst[i*size:], data[(e.base(i)+int(p)*e.step)*size:][:size])
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

// ScatterElements combines every update with the element of dst at its position,
// in ascending order. dst holds the data before.
func ScatterElements[T Float | Integer](e *Elements, op Combine, dst []T, pos []int64, updates []T) {
	for i, p := range pos {
		at := e.base(i) + int(p)*e.step
		dst[at] = combine(op, dst[at], updates[i])
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

// Dims are those that the positions are of, innermost last.
func (s *Slices) Dims() []int { return s.dims }

// find returns where the i-th slice lies.
func (s *Slices) find(i int, pos []int64) int {
	at := i / s.count * s.whole
	for k, p := range pos[i*len(s.dims):][:len(s.dims)] {
		at += int(p) * s.steps[k]
	}
	return at
}

// GatherND copies the slices that the positions name to dst; elements have size
// bytes.
func GatherND(s *Slices, dst, data []byte, pos []int64, size int) {
	for i := range s.batches * s.count {
		copy(dst[i*s.size*size:][:s.size*size], data[s.find(i, pos)*size:])
	}
}

// ScatterND combines the slices of updates with those of dst that the positions
// name, in ascending order. dst holds the data before.
func ScatterND[T Float | Integer](s *Slices, op Combine, dst []T, pos []int64, updates []T) {
	for i := range s.batches * s.count {
		to := dst[s.find(i, pos):][:s.size]
		for k, v := range updates[i*s.size:][:s.size] {
			to[k] = combine(op, to[k], v)
		}
	}
}
