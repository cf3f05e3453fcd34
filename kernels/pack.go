package kernels

import (
	"encoding/binary"
	"unsafe"
)

// view returns n elements of type T at byte off of b.
func view[T any](b []byte, off, n int) []T {
	b = b[off : off+n*int(unsafe.Sizeof(*new(T)))]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// asBytes returns the bytes of s. What only moves elements does so by bytes, for
// all their types.
func asBytes[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

// qpanelBytes is the size of one packed int8 panel: bias', weights, scales.
func (p *convPlan) qpanelBytes() int {
	k := p.taps * p.kc
	if p.tile.wide {
		k *= 2
	}
	return p.tile.nr * (8 + k)
}

// packQPanels packs the weights [O][depth] of an int8 product group by group,
// panel by panel; rows behind a group's last channel are zeros.
func packQPanels(p *convPlan, weights []int8, bias []int32, scale []float32, inZero int32) []byte {
	nr := p.tile.nr
	size := p.qpanelBytes()
	out := alignedBytes(p.s.Groups * p.panels * size)
	if p.tile.u8 {
		inZero += 128
	}
	for i := range p.s.Groups * p.panels {
		panel := out[i*size:][:size]
		head := view[int32](panel, 0, nr)
		tail := view[float32](panel, size-4*nr, nr)
		for n := range nr {
			c := i%p.panels*nr + n
			if c >= p.og {
				break
			}
			o := i/p.panels*p.og + c
			w := weights[o*p.depth:][:p.depth]
			if p.tile.wide {
				packColumn(p, view[int16](panel, 4*nr, nr*p.taps*p.kc), w, n)
			} else {
				packColumn(p, view[int8](panel, 4*nr, nr*p.taps*p.kc), w, n)
			}
			head[n] = -inZero * sumCodes(w)
			if bias != nil {
				head[n] += bias[o]
			}
			if scale != nil {
				tail[n] = perChannel(scale, o)
			}
		}
	}
	return out
}

// packColumn spreads the weights of one output channel over column n of a
// panel's body, [taps][kc/kr][nr][kr].
func packColumn[T int8 | int16](p *convPlan, body []T, w []int8, n int) {
	nr, kr := p.tile.nr, p.tile.kr
	narrow, _ := any(body).([]int8)
	for t := range p.taps {
		tap := w[t*p.run:][:p.run]
		at := (t*p.kc/kr*nr + n) * kr
		if kr == 4 && narrow != nil { // as in most levels: four bytes at once
			for ; len(tap) >= 16; tap, at = tap[16:], at+16*nr {
				to := narrow[at:][:12*nr+4]
				*(*[4]int8)(to) = [4]int8(tap)
				*(*[4]int8)(to[4*nr:]) = [4]int8(tap[4:])
				*(*[4]int8)(to[8*nr:]) = [4]int8(tap[8:])
				*(*[4]int8)(to[12*nr:]) = [4]int8(tap[12:])
			}
			for ; len(tap) >= 4; tap, at = tap[4:], at+4*nr {
				*(*[4]int8)(narrow[at:]) = [4]int8(tap)
			}
		}
		if kr == 2 && narrow != nil {
			for ; len(tap) >= 8; tap, at = tap[8:], at+8*nr {
				to := narrow[at:][:6*nr+2]
				*(*[2]int8)(to) = [2]int8(tap)
				*(*[2]int8)(to[2*nr:]) = [2]int8(tap[2:])
				*(*[2]int8)(to[4*nr:]) = [2]int8(tap[4:])
				*(*[2]int8)(to[6*nr:]) = [2]int8(tap[6:])
			}
		}
		for len(tap) >= kr {
			for j, v := range tap[:kr] {
				body[at+j] = T(v)
			}
			tap = tap[kr:]
			at += nr * kr
		}
		for j, v := range tap {
			body[at+j] = T(v)
		}
	}
}

// sumCodes returns the sum of a row of codes: eight bytes at a time, each plus
// 128, as four sums of 16 bits, which hold 128 pairs.
func sumCodes(w []int8) int32 {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), len(w))
	var sum int32
	for len(b) >= 8 {
		n := min(len(b)/8, 128)
		var lanes uint64
		for _, x := range unsafe.Slice((*[8]byte)(unsafe.Pointer(unsafe.SliceData(b))), n) {
			v := binary.LittleEndian.Uint64(x[:]) ^ 0x8080808080808080
			lanes += v&0x00ff00ff00ff00ff + v>>8&0x00ff00ff00ff00ff
		}
		for range 4 {
			sum += int32(lanes & 0xffff)
			lanes >>= 16
		}
		sum -= int32(128 * 8 * n)
		b = b[8*n:]
	}
	for _, v := range b {
		sum += int32(int8(v))
	}
	return sum
}

// perChannel indexes a list that has one value for all channels or one a channel.
func perChannel(list []float32, o int) float32 {
	if len(list) == 1 {
		return list[0]
	}
	return list[o]
}

// panelBytes is the size of one packed float32 panel: bias, weights.
func (p *convPlan) panelBytes() int { return 4 * p.tile.nr * (1 + p.taps*p.kc) }

// packPanels packs the weights [O][depth] of a float32 product into out, whose
// columns behind a group's last channel stay as they are.
func packPanels(l Level, p *convPlan, out []byte, weights, bias []float32) {
	nr := p.tile.nr
	size := p.panelBytes()
	for i := range p.s.Groups * p.panels {
		panel := view[float32](out, i*size, size/4)
		o := i/p.panels*p.og + i%p.panels*nr
		n := min(nr, p.og-i%p.panels*nr)
		clear(panel[:nr])
		if bias != nil {
			copy(panel[:n], bias[o:])
		}
		turn(l, panel[nr:], weights[o*p.depth:], n, p.depth, nr)
	}
}

// turn writes the rows of src [rows][n] as columns of dst, whose rows are ld apart:
// some columns of all rows at a time, so that dst stays in the first cache.
func turn(l Level, dst, src []float32, rows, n, ld int) {
	const columns = 64
	for c := 0; c < n; c += columns {
		w := min(columns, n-c)
		for r := 0; r < rows; {
			h, done := min(8, rows-r), 0
			if h == 8 {
				done = turnFront(l, dst[c*ld+r:], src[r*n+c:], w, ld, n)
			}
			for i := range h {
				for k, v := range src[(r+i)*n+c+done:][:w-done] {
					dst[(c+done+k)*ld+r+i] = v
				}
			}
			r += h
		}
	}
}
