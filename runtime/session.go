package runtime

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/whet-edge/whet/format"
)

// A Session runs a program. It owns the activations and the states, and must
// not be used by two goroutines at once; make one session for each.
type Session struct {
	prog    *Program
	mem     mem
	scratch [][]byte // one a thread
	inputs  []*Tensor
	outputs []*Tensor
	team    team
	times   []StepTime // nil when not profiling
}

// NewSession makes a session with its states at their initial values.
func (p *Program) NewSession() *Session {
	s := &Session{prog: p, mem: mem{arena: alignedBytes(p.arena)}, scratch: make([][]byte, p.threads)}
	for i := range s.scratch {
		s.scratch[i] = alignedBytes(p.scratch)
	}
	for _, st := range p.states {
		b := alignedBytes(len(st.init))
		copy(b, st.init)
		s.mem.states = append(s.mem.states, b)
	}
	for _, v := range p.inputs {
		s.inputs = append(s.inputs, s.tensor(v))
	}
	for _, v := range p.outputs {
		s.outputs = append(s.outputs, s.tensor(v))
	}
	s.mem.bodies = newBodies(p.bodies)
	s.team.init(s)
	return s
}

func (s *Session) tensor(v *value) *Tensor {
	return &Tensor{Name: v.name, Type: v.typ, Shape: slices.Clone(v.shape), Quant: v.quant, data: s.mem.bytes(v)}
}

// Program returns the program that the session runs.
func (s *Session) Program() *Program { return s.prog }

// Input returns the i-th input; its memory is the session's own and stays the
// same. Values put there stay until they are overwritten.
func (s *Session) Input(i int) *Tensor { return s.inputs[i] }

// Output returns the i-th output; the next Run overwrites it. Where the size of a
// result depends on the data (non-maximum suppression, for one), Run sets the
// tensor's Shape and the length of its elements; before, they are the largest.
func (s *Session) Output(i int) *Tensor { return s.outputs[i] }

// InputByName returns the input of that name, or nil.
func (s *Session) InputByName(name string) *Tensor { return byName(s.inputs, name) }

// OutputByName returns the output of that name, or nil.
func (s *Session) OutputByName(name string) *Tensor { return byName(s.outputs, name) }

func byName(ts []*Tensor, name string) *Tensor {
	for _, t := range ts {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Run computes the outputs from the inputs and advances the states. It
// allocates nothing. When ctx ends it stops before the next step and returns
// the context's error; the states may then be between two values, and Reset or
// LoadState brings them back to known ones. The same holds for a *[RunError], which
// says that a node met an index out of range or the like.
func (s *Session) Run(ctx context.Context) error {
	done := ctx.Done()
	s.mem.done = done
	parallel := s.team.begin()
	for i, st := range s.prog.steps {
		if done != nil {
			select {
			case <-done:
				s.team.end(parallel)
				return ctx.Err()
			default:
			}
		}
		var start time.Time
		if s.times != nil {
			start = time.Now()
		}
		if parallel && st.shared {
			s.team.run(st)
		} else {
			st.run(&s.mem, s.scratch[0], 0, st.tasks)
			if s.mem.fault != nil {
				s.team.end(parallel)
				return cmp.Or(ctx.Err(), s.mem.taken())
			}
		}
		if s.times != nil {
			s.times[i].add(time.Since(start))
		}
	}
	s.team.end(parallel)
	for i, v := range s.prog.outputs {
		if v.trim != nil {
			s.outputs[i].resize(&s.mem, v)
		}
	}
	return nil
}

// resize gives a trimmed output the size that it has after a run.
func (t *Tensor) resize(m *mem, v *value) {
	t.Shape[v.trim.axis] = int(view[int64](m.bytes(v.trim.count))[0])
	t.data = m.bytes(v)[:t.Type.Bytes(t.Shape.Elems())]
}

// Close lets go of the session's memory, tensors included. The session must
// not be used afterwards.
func (s *Session) Close() { *s = Session{} }

// Reset sets all states to their initial values.
func (s *Session) Reset() {
	for i, st := range s.prog.states {
		copy(s.mem.states[i], st.init)
	}
}

// SaveState returns a copy of all states, in the model's order.
func (s *Session) SaveState() []byte {
	var b []byte
	for _, st := range s.mem.states {
		b = append(b, st...)
	}
	return b
}

// LoadState restores what SaveState of a session of the same model returned.
func (s *Session) LoadState(b []byte) error {
	n := 0
	for _, st := range s.mem.states {
		n += len(st)
	}
	if len(b) != n {
		return fmt.Errorf("runtime: saved state of %d bytes; this model's states have %d", len(b), n)
	}
	for _, st := range s.mem.states {
		b = b[copy(st, b):]
	}
	return nil
}

// StepTime is what one step took over the profiled runs.
type StepTime struct {
	StepInfo
	Runs  int
	Total time.Duration
	Min   time.Duration
}

func (t *StepTime) add(d time.Duration) {
	if t.Runs == 0 || d < t.Min {
		t.Min = d
	}
	t.Runs++
	t.Total += d
}

// Profile starts (or ends) the timing of every step, from zero.
func (s *Session) Profile(on bool) {
	s.times = nil
	if !on {
		return
	}
	s.times = make([]StepTime, len(s.prog.steps))
	for i, st := range s.prog.steps {
		s.times[i].StepInfo = st.info()
	}
}

// Times returns what the steps took since Profile(true).
func (s *Session) Times() []StepTime { return append([]StepTime(nil), s.times...) }

// A Tensor is an input or output of a session.
type Tensor struct {
	Name  string
	Type  format.DType
	Shape format.Shape
	Quant *format.Quant // nil for plain numbers
	data  []byte
	real  []float32 // the dequantized copy that Float32 returns
}

// Bytes returns the elements as they lie in memory: little-endian, row-major.
func (t *Tensor) Bytes() []byte { return t.data }

// Int8 returns the elements of an int8 tensor. Like its siblings it returns
// nil for a tensor of another type.
func (t *Tensor) Int8() []int8 { return typed[int8](t, format.Int8) }

// Uint8 returns the elements of a uint8 tensor.
func (t *Tensor) Uint8() []uint8 { return typed[uint8](t, format.Uint8) }

// Int16 returns the elements of an int16 tensor.
func (t *Tensor) Int16() []int16 { return typed[int16](t, format.Int16) }

// Int32 returns the elements of an int32 tensor.
func (t *Tensor) Int32() []int32 { return typed[int32](t, format.Int32) }

// Int64 returns the elements of an int64 tensor.
func (t *Tensor) Int64() []int64 { return typed[int64](t, format.Int64) }

// Float32 returns the elements of a float32 tensor. Of an integer tensor it
// returns the real values, in a buffer that the tensor keeps and that the next
// call overwrites. It is nil for other types.
func (t *Tensor) Float32() []float32 {
	if t.Type == format.Float32 {
		return view[float32](t.data)
	}
	n := t.Shape.Elems()
	if cap(t.real) < n {
		t.real = make([]float32, n)
	}
	t.real = t.real[:n]
	scale, zero := float32(1), int32(0)
	if t.Quant != nil {
		scale, zero = t.Quant.Scale[0], t.Quant.ZeroPoint()
	}
	for i := range t.real {
		q, ok := t.code(i)
		if !ok {
			return nil
		}
		t.real[i] = scale * float32(q-zero)
	}
	return t.real
}

func (t *Tensor) code(i int) (int32, bool) {
	switch t.Type {
	case format.Int8:
		return int32(int8(t.data[i])), true
	case format.Uint8, format.Bool:
		return int32(t.data[i]), true
	case format.Int16:
		return int32(view[int16](t.data)[i]), true
	case format.Uint16:
		return int32(view[uint16](t.data)[i]), true
	case format.Int32:
		return view[int32](t.data)[i], true
	}
	return 0, false
}

// SetFloat32 fills the tensor from real values: copied into a float32 tensor,
// quantized by the tensor's scale (to nearest even, saturating) into an integer
// one. It fails when the number of values or the type does not fit.
func (t *Tensor) SetFloat32(x []float32) error {
	if n := t.Shape.Elems(); len(x) != n {
		return fmt.Errorf("runtime: %d values for tensor %q of %d elements %v", len(x), t.Name, n, t.Shape)
	}
	least, most := int32(0), int32(0)
	switch t.Type {
	case format.Float32:
		copy(view[float32](t.data), x)
		return nil
	case format.Int8:
		least, most = -128, 127
	case format.Uint8:
		least, most = 0, 255
	case format.Int16:
		least, most = -32768, 32767
	default:
		return fmt.Errorf("runtime: tensor %q is %v: real values cannot be put there", t.Name, t.Type)
	}
	scale, zero := float64(1), int32(0)
	if t.Quant != nil {
		scale, zero = float64(t.Quant.Scale[0]), t.Quant.ZeroPoint()
	}
	for i, v := range x {
		// float32 division, as QuantizeLinear does it; NaN becomes the zero point.
		r := math.RoundToEven(float64(v / float32(scale)))
		q := zero
		if r == r {
			q = int32(min(max(r+float64(zero), float64(least)), float64(most)))
		}
		switch t.Type {
		case format.Int8, format.Uint8:
			t.data[i] = byte(q)
		case format.Int16:
			view[int16](t.data)[i] = int16(q)
		}
	}
	return nil
}

func typed[T any](t *Tensor, want format.DType) []T {
	if t.Type != want {
		return nil
	}
	return view[T](t.data)
}
