package grad

import (
	"slices"
	"sync"
	"unsafe"
)

// stateBlock is how many elements of an optimizer's state have a scale in common.
const stateBlock = 256

// Blockwise is an optimizer whose state is a byte an element: codes of the dynamic map
// in blocks of 256, each scaled by its greatest magnitude (Dettmers, Lewis, Shleifer and
// Zettlemoyer, "8-bit Optimizers via Block-wise Quantization", 2022). A step makes a
// block's state real, does what the optimizer with 32 bits does, and takes the nearest
// codes.
type Blockwise struct {
	sgd   *SGD   // with the state of a block
	adamw *AdamW // the same
	state []codedState
}

// NewSGD8 is [NewSGD] with momentum kept in 8 bits.
func NewSGD8(n int, momentum, decay float32) *Blockwise {
	b := &Blockwise{sgd: NewSGD(stateBlock, momentum, decay)}
	if momentum != 0 {
		b.state = []codedState{newCodedState(n, true)}
	}
	return b
}

// NewAdamW8 is [NewAdamW] with both moments kept in 8 bits.
func NewAdamW8(n int, decay float32) *Blockwise {
	return &Blockwise{adamw: NewAdamW(stateBlock, decay), state: []codedState{newCodedState(n, true), newCodedState(n, false)}}
}

// Step implements [Optimizer].
func (b *Blockwise) Step(p, g []float32, lr float32, decayed int) {
	if b.adamw != nil {
		b.adamw.advance()
	} else {
		b.sgd.steps++
	}
	for i := 0; i < len(p); i += stateBlock {
		n := min(stateBlock, len(p)-i)
		q, d, first := p[i:][:n], g[i:][:n], max(0, min(n, decayed-i))
		if a := b.adamw; a != nil {
			m, v := a.m[:n], a.v[:n]
			b.state[0].load(m, i)
			b.state[1].load(v, i)
			a.apply(q, d, m, v, lr, first)
			b.state[0].store(m, i)
			b.state[1].store(v, i)
			continue
		}
		if len(b.state) == 0 {
			b.sgd.apply(q, d, nil, lr, first)
			continue
		}
		v := b.sgd.v[:n]
		b.state[0].load(v, i)
		b.sgd.apply(q, d, v, lr, first)
		b.state[0].store(v, i)
	}
}

// State implements [Optimizer].
func (b *Blockwise) State() (list [][]float32) {
	for _, s := range b.state {
		list = append(list, s.words)
	}
	return list
}

// Steps implements [Optimizer].
func (b *Blockwise) Steps() int {
	if b.adamw != nil {
		return b.adamw.steps
	}
	return b.sgd.steps
}

// SetSteps implements [Optimizer].
func (b *Blockwise) SetSteps(n int) {
	if b.adamw != nil {
		b.adamw.SetSteps(n)
		return
	}
	b.sgd.steps = n
}

// codedState is n numbers as codes and one scale a block, in one vector that a
// checkpoint copies.
type codedState struct {
	words []float32
	codes []uint8   // its first part
	scale []float32 // its second
	table *[256]float32
}

func newCodedState(n int, signed bool) codedState {
	first := (n + 3) / 4
	w := make([]float32, first+(n+stateBlock-1)/stateBlock)
	s := codedState{words: w, scale: w[first:], table: dynamicMap(signed)}
	s.codes = unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(w))), n)
	zero, _ := slices.BinarySearch(s.table[:], 0)
	for i := range s.codes {
		s.codes[i] = uint8(zero)
	}
	return s
}

// load writes the numbers from i on, the first of a block.
func (s *codedState) load(dst []float32, i int) {
	scale := s.scale[i/stateBlock]
	for k, c := range s.codes[i:][:len(dst)] {
		dst[k] = s.table[c] * scale
	}
}

func (s *codedState) store(src []float32, i int) {
	var scale float32
	for _, v := range src {
		scale = max(scale, v, -v)
	}
	s.scale[i/stateBlock] = scale
	if scale == 0 {
		scale = 1
	}
	for k, v := range src {
		s.codes[i+k] = nearest(s.table, v/scale)
	}
}

// nearest returns the place of the entry nearest to x, the lower of two.
func nearest(table *[256]float32, x float32) uint8 {
	at := 0
	for step := 128; step > 0; step /= 2 { // the last entry that is not above x
		if table[at+step] <= x {
			at += step
		}
	}
	if at < 255 && table[at+1]-x < x-table[at] {
		at++
	}
	return uint8(at)
}

var dynamicMaps = sync.OnceValue(func() *[2][256]float32 {
	return &[2][256]float32{newDynamicMap(false), newDynamicMap(true)}
})

func dynamicMap(signed bool) *[256]float32 {
	if signed {
		return &dynamicMaps()[1]
	}
	return &dynamicMaps()[0]
}

// newDynamicMap lists the numbers of a byte whose leading zeros are a decimal exponent
// and whose other bits divide [0.1, 1] evenly, in ascending order.
func newDynamicMap(signed bool) (table [256]float32) {
	list := []float64{0, 1}
	power := 1.0
	for e := 6; e >= 0; e-- {
		parts := 1 << e
		if !signed {
			parts *= 2
		}
		for k := range parts {
			v := float64(power * (0.1 + float64(0.9*(float64(k)+0.5)/float64(parts))))
			if list = append(list, v); signed {
				list = append(list, -v)
			}
		}
		power /= 10
	}
	slices.Sort(list)
	for i, v := range list {
		table[i] = float32(v)
	}
	return table
}
