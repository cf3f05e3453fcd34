package kernels

import "unsafe"

// view returns n elements of type T at byte off of b.
func view[T any](b []byte, off, n int) []T {
	b = b[off : off+n*int(unsafe.Sizeof(*new(T)))]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
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
	nr, kr := p.tile.nr, p.tile.kr
	size := p.qpanelBytes()
	out := alignedBytes(p.s.Groups * p.panels * size)
	if p.tile.u8 {
		inZero += 128
	}
	for i := range p.s.Groups * p.panels {
		panel := out[i*size:][:size]
		head := view[int32](panel, 0, nr)
		var narrow []int8
		var wide []int16
		if p.tile.wide {
			wide = view[int16](panel, 4*nr, nr*p.taps*p.kc)
		} else {
			narrow = view[int8](panel, 4*nr, nr*p.taps*p.kc)
		}
		tail := view[float32](panel, size-4*nr, nr)
		for n := range nr {
			c := i%p.panels*nr + n
			if c >= p.og {
				break
			}
			o := i/p.panels*p.og + c
			var sum int32
			for i, w := range weights[o*p.depth:][:p.depth] {
				k := i/p.run*p.kc + i%p.run
				if at := (k/kr*nr+n)*kr + k%kr; p.tile.wide {
					wide[at] = int16(w)
				} else {
					narrow[at] = w
				}
				sum += int32(w)
			}
			head[n] = -inZero * sum
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

// perChannel indexes a list that has one value for all channels or one a channel.
func perChannel(list []float32, o int) float32 {
	if len(list) == 1 {
		return list[0]
	}
	return list[o]
}

// panelBytes is the size of one packed float32 panel: bias, weights.
func (p *convPlan) panelBytes() int { return 4 * p.tile.nr * (1 + p.taps*p.kc) }

// packPanels packs the weights [O][depth] of a float32 product.
func packPanels(p *convPlan, weights, bias []float32) []byte {
	nr := p.tile.nr
	size := p.panelBytes()
	out := alignedBytes(p.s.Groups * p.panels * size)
	for i := range p.s.Groups * p.panels {
		panel := view[float32](out, i*size, size/4)
		for n := range nr {
			c := i%p.panels*nr + n
			if c >= p.og {
				break
			}
			o := i/p.panels*p.og + c
			if bias != nil {
				panel[n] = bias[o]
			}
			for k, w := range weights[o*p.depth:][:p.depth] {
				panel[nr+k*nr+n] = w
			}
		}
	}
	return out
}
