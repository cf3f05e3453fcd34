package stream

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// Check runs the batch network on a noise, the streaming one on the same in chunks,
// and compares what both must agree on: all frames but those that padding behind the
// input makes. It returns how many frames were compared.
func Check(batch, stream *format.Model, input string, axis int, outs []Output) (int, error) {
	b, err := session(batch)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	s, err := session(stream)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for i, in := range b.Program().Inputs() {
		x := b.Input(i)
		v := make([]float32, x.Shape.Elems())
		for k := range v {
			v[k] = float32(rng.NormFloat64())
		}
		if err := x.SetFloat32(v); err != nil {
			return 0, err
		}
		if in.Name != input {
			copy(s.InputByName(in.Name).Bytes(), x.Bytes())
		}
	}
	if err := b.Run(context.Background()); err != nil {
		return 0, err
	}
	whole, part := b.InputByName(input), s.InputByName(input)
	frames, compared := part.Shape[axis], 0
	for run := 0; (run+1)*frames <= whole.Shape[axis]; run++ {
		copyFrames(part, 0, whole, run*frames, frames, axis)
		if err := s.Run(context.Background()); err != nil {
			return 0, err
		}
		for _, o := range outs {
			if o.Axis < 0 {
				continue
			}
			got, want := s.OutputByName(o.Name), b.OutputByName(o.Name)
			for k := range o.Frames {
				at := run*o.Frames + k - o.Delay
				if at < 0 || at >= want.Shape[o.Axis]-o.tail {
					continue
				}
				if !bytes.Equal(frame(got, k, o.Axis), frame(want, at, o.Axis)) {
					return 0, fmt.Errorf("output %q: frame %d of the sequence is not the batch network's", o.Name, at)
				}
				compared++
			}
		}
	}
	if compared == 0 {
		return 0, fmt.Errorf("a sequence of %d frames is too short to compare chunks of %d: give the batch network more", whole.Shape[axis], frames)
	}
	return compared, nil
}

func session(m *format.Model) (*runtime.Session, error) {
	p, err := runtime.Compile(m, runtime.WithThreads(1))
	if err != nil {
		return nil, err
	}
	return p.NewSession(), nil
}

// copyFrames copies n frames of a tensor to another.
func copyFrames(to *runtime.Tensor, first int, from *runtime.Tensor, start, n, axis int) {
	row := from.Type.Bytes(from.Shape[axis+1:].Elems())
	for o := range from.Shape[:axis].Elems() {
		copy(to.Bytes()[(o*to.Shape[axis]+first)*row:][:n*row], from.Bytes()[(o*from.Shape[axis]+start)*row:])
	}
}

// frame returns the bytes of one frame.
func frame(t *runtime.Tensor, at, axis int) []byte {
	row := t.Type.Bytes(t.Shape[axis+1:].Elems())
	var b []byte
	for o := range t.Shape[:axis].Elems() {
		b = append(b, t.Bytes()[(o*t.Shape[axis]+at)*row:][:row]...)
	}
	return b
}
