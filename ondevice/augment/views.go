package augment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// Sounds is data whose samples are sounds before the steps that make the model's input of
// them, such as those of pre.Data.
type Sounds interface {
	ondevice.Data

	// InputOf is Input of sample i after change was at its sound: channels values at a
	// time, of which it alters any. It reports false, and leaves dst alone, if the sample
	// is no sound.
	InputOf(i int, dst []byte, change func(sound []float32, channels int)) (bool, error)
}

// Views returns data with n changed views of every sample behind the samples
// themselves. A view has its sample's label, target and source.
func Views(d ondevice.Data, m *format.Model, c Chain, n int, seed uint64) (ondevice.Data, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if n < 1 || n > 1000 || len(c) == 0 {
		return nil, fmt.Errorf("augment: %d views by %d changes: 1 to 1000 views by at least one are possible", n, len(c))
	}
	if len(m.Main().Inputs) != 1 {
		return nil, errors.New("augment: a model of one input is needed")
	}
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	switch in.Type {
	case format.Int8, format.Uint8, format.Int16, format.Float32:
	default:
		return nil, fmt.Errorf("augment: input %q of type %v is not known; int8, uint8, int16 and float32 are", in.Name, in.Type)
	}
	v := &views{Data: d, chain: c, times: n + 1, seed: seed, in: in}
	v.h, v.w, v.c, v.planar = sides(in.Shape)
	return v, nil
}

// sides reads a shape as rows, columns and channels; planar: the channels come first, as
// those of a picture [1, 3, h, w].
func sides(s format.Shape) (h, w, c int, planar bool) {
	for len(s) > 1 && s[0] == 1 {
		s = s[1:]
	}
	switch {
	case len(s) > 3:
		return s[:len(s)-2].Elems(), s[len(s)-2], s[len(s)-1], false
	case len(s) == 3 && s[0] == 3 && s[2] != 1 && s[2] != 3:
		return s[1], s[2], s[0], true
	case len(s) == 3:
		return s[0], s[1], s[2], false
	case len(s) == 2:
		return s[0], s[1], 1, false
	}
	return s.Elems(), 1, 1, false
}

type views struct {
	ondevice.Data
	chain   Chain
	times   int // samples and their views
	seed    uint64
	in      *format.Tensor
	h, w, c int
	planar  bool
	values  []float32
}

func (v *views) Len() int { return v.Data.Len() * v.times }

func (v *views) Sample(i int) ondevice.Sample {
	n := v.Data.Len()
	s := v.Data.Sample(i % n)
	if i >= n {
		s.Input, s.ViewOf = nil, i%n+1
	}
	return s
}

func (v *views) Input(i int, dst []byte) error {
	n := v.Data.Len()
	if i < n {
		return v.Data.Input(i, dst)
	}
	r := newRandom(v.seed, i%n, i/n)
	if s, ok := v.Data.(Sounds); ok {
		yes, no := true, false
		was, err := s.InputOf(i%n, dst, func(sound []float32, channels int) {
			v.chain.apply(&grid{v: sound, h: len(sound) / channels, w: 1, c: channels}, r, &yes)
		})
		if err != nil {
			return err
		}
		if was {
			return v.change(dst, r, &no)
		}
	}
	if err := v.Data.Input(i%n, dst); err != nil {
		return err
	}
	return v.change(dst, r, nil)
}

// change changes an input tensor.
func (v *views) change(b []byte, r *random, sound *bool) error {
	g := &grid{h: v.h, w: v.w, c: v.c}
	if q := v.in.Quant; q != nil {
		g.zero = float32(q.ZeroPoint())
	}
	if g.v = v.values; g.v == nil {
		g.v = make([]float32, v.in.Shape.Elems())
		v.values = g.v
	}
	le := binary.LittleEndian
	place := func(i int) int { return i } // of value i in the tensor
	if v.planar {
		place = func(i int) int { return i%v.c*v.h*v.w + i/v.c }
	}
	for k := range g.v {
		switch i := place(k); v.in.Type {
		case format.Int8:
			g.v[k] = float32(int8(b[i]))
		case format.Uint8:
			g.v[k] = float32(b[i])
		case format.Int16:
			g.v[k] = float32(int16(le.Uint16(b[2*i:])))
		default:
			g.v[k] = math.Float32frombits(le.Uint32(b[4*i:]))
		}
	}
	v.chain.apply(g, r, sound)
	whole := func(x float32, lo, hi float64) int { return int(max(lo, min(hi, math.RoundToEven(float64(x))))) }
	for k, x := range g.v {
		switch i := place(k); v.in.Type {
		case format.Int8:
			b[i] = byte(int8(whole(x, -128, 127)))
		case format.Uint8:
			b[i] = byte(whole(x, 0, 255))
		case format.Int16:
			le.PutUint16(b[2*i:], uint16(int16(whole(x, -1<<15, 1<<15-1))))
		default:
			le.PutUint32(b[4*i:], math.Float32bits(x))
		}
	}
	return nil
}
