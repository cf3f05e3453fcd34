// Package stream turns a network over a whole sound (or any other sequence) into one
// that takes it in chunks: what a layer needs of the past becomes a state of the
// model.
//
// Time goes through the graph along one axis of each tensor. A convolution or pool
// keeps the last frames that its next windows reach back to; a recurrent layer keeps
// its states; layers that see every frame alone stay as they are; where paths of
// different delay meet, the faster one is held back. Frames before the first one are
// zeros wherever the network pads with zeros. What sees the whole sequence (a mean
// over time, attention, a layer that runs backwards) is refused by name.
package stream

import (
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// An Output says how an output of the streaming network relates to the batch's.
type Output struct {
	Name   string
	Axis   int // time; -1 for one that has none: a state, as of the last chunk
	Frames int // in each run
	Delay  int // frame i of all that come out is the batch's frame i - Delay
	tail   int // frames at the batch's end that padding behind the input makes
}

// flow is a tensor with time: frames along axis in every run.
type flow struct {
	axis, frames, delay, tail int
}

type streamer struct {
	m     *format.Model
	b     *build.Builder
	flows map[string]flow
	batch map[string]*format.Tensor // of m
	now   map[string]*format.Tensor // of the new model
	chunk string                    // the number of the run, if something asked for it
}

// Convert makes the streaming network of m, which takes that many frames of the
// input's axis in every run. The batch network m must have been made with a size of
// that axis large enough for all its layers.
func Convert(m *format.Model, input string, axis, frames int) (*format.Model, []Output, error) {
	s := &streamer{m: m, b: build.New("main"), flows: map[string]flow{}, batch: map[string]*format.Tensor{}, now: map[string]*format.Tensor{}}
	if len(m.Graphs) != 1 || len(m.States) > 0 {
		return nil, nil, fmt.Errorf("the model has states, branches or loops of its own: it streams already, or cannot")
	}
	for _, t := range m.Tensors {
		s.batch[t.Name] = t
		if t.Const() {
			s.keep(t, t.Shape)
		}
	}
	found := false
	for _, in := range m.Main().Inputs {
		t := s.batch[in.Tensor]
		shape := slices.Clone(t.Shape)
		if in.Tensor == input {
			if axis < 0 || axis >= len(shape) || frames < 1 || shape[axis] < 2 {
				return nil, nil, fmt.Errorf("input %q has the shape %v: no time of at least 2 frames along axis %d, or chunks of %d frames", input, shape, axis, frames)
			}
			shape[axis] = frames
			s.flows[input] = flow{axis: axis, frames: frames}
			found = true
		}
		s.keep(t, shape)
		s.b.Graph.Inputs = append(s.b.Graph.Inputs, in)
	}
	if !found {
		return nil, nil, fmt.Errorf("the model has no input %q", input)
	}
	for _, n := range m.Main().Nodes {
		if err := s.node(n); err != nil {
			return nil, nil, fmt.Errorf("node %q (%s): %w", n.Name, n.Op, err)
		}
	}
	var outs []Output
	for _, name := range m.Main().Outputs {
		o := Output{Name: name, Axis: -1}
		if f, ok := s.flows[name]; ok {
			if f.delay < 0 {
				return nil, nil, fmt.Errorf("output %q would be %d frames ahead of its input: it is padded in front more than its windows reach back", name, -f.delay)
			}
			o = Output{name, f.axis, f.frames, f.delay, f.tail}
		}
		outs = append(outs, o)
	}
	s.b.Graph.Outputs = slices.Clone(m.Main().Outputs)
	r := s.b.Model
	r.Header = m.Header
	r.Header.Tunable = nil
	return r, outs, format.Check(r)
}

// keep adds a tensor under its own name.
func (s *streamer) keep(t *format.Tensor, shape format.Shape) {
	c := *t
	c.Shape = shape
	s.b.Name(c.Name)
	s.b.Tensor(&c)
	s.now[c.Name] = &c
}

// like adds a tensor like another with other frames along its axis.
func (s *streamer) like(name, what string, axis, frames int) string {
	t := s.now[name]
	shape := slices.Clone(t.Shape)
	shape[axis] = frames
	return s.add(name+what, t.Type, shape, t.Quant, nil)
}

func (s *streamer) add(want string, typ format.DType, shape format.Shape, q *format.Quant, data []byte) string {
	t := &format.Tensor{Name: s.b.Name(want), Type: typ, Shape: shape, Quant: q, Data: data}
	s.now[s.b.Tensor(t)] = t
	return t.Name
}

// emit adds a node whose outputs have the names, types and quantizations of the
// batch's, and the shapes that the op makes now.
func (s *streamer) emit(n *format.Node, inputs []string, attrs format.Attrs) error {
	in := make([]*format.Tensor, len(inputs))
	for i, name := range inputs {
		in[i] = s.now[name]
	}
	shapes, err := format.Infer(n.Op, attrs, in)
	if err != nil {
		return err
	}
	for i, name := range n.Outputs {
		if name != "" {
			s.keep(s.batch[name], shapes[i])
		}
	}
	s.b.Node(n.Name, n.Op, inputs, n.Outputs, attrs)
	return nil
}

// past puts the last frames of a tensor's past in front of it, and keeps them for the
// next run.
func (s *streamer) past(name string, frames int) string {
	f := s.flows[name]
	if frames == 0 {
		return name
	}
	t := s.now[name]
	shape := slices.Clone(t.Shape)
	shape[f.axis] = frames
	state := s.b.State(&format.State{Name: name + "/past", Type: t.Type, Shape: shape, Quant: t.Quant})
	old := s.like(name, "/past", f.axis, frames)
	s.b.Node(old, "StateRead", nil, []string{old}, format.Attrs{"state": state})
	all := s.like(name, "/with past", f.axis, frames+f.frames)
	s.b.Node(all, "Concat", []string{old, name}, []string{all}, format.Attrs{"axis": int64(f.axis)})
	last := s.cut(all, f.axis, f.frames, frames+f.frames)
	s.b.Node(last+"/keep", "StateWrite", []string{last}, nil, format.Attrs{"state": state})
	return all
}

func (s *streamer) cut(name string, axis, from, to int) string {
	y := s.like(name, "/part", axis, to-from)
	s.b.Node(y, "Slice", []string{name}, []string{y}, format.Attrs{"starts": []int64{int64(from)}, "ends": []int64{int64(to)}, "axes": []int64{int64(axis)}})
	return y
}

// held returns a tensor with that delay, which is not less than its own.
func (s *streamer) held(name string, delay int) string {
	f := s.flows[name]
	if delay == f.delay {
		return name
	}
	y := s.cut(s.past(name, delay-f.delay), f.axis, 0, f.frames)
	f.delay = delay
	s.flows[y] = f
	return y
}

// started returns a tensor whose frames before the batch's first are zeros.
func (s *streamer) started(name string) (string, error) {
	f := s.flows[name]
	t := s.now[name]
	if f.delay <= 0 {
		return name, nil
	}
	if t.Type != format.Float32 {
		return "", fmt.Errorf("it pads what comes %d frames late with zeros: stream the float model, and quantize that", f.delay)
	}
	i64 := func(want string, v ...int64) string {
		var b []byte
		for _, x := range v {
			for k := range 8 {
				b = append(b, byte(x>>(8*k)))
			}
		}
		return s.add(want, format.Int64, format.Shape{len(v)}, nil, b)
	}
	value := func(op, want string, typ format.DType, shape format.Shape, in ...string) string {
		y := s.add(want, typ, shape, nil, nil)
		s.b.Node(y, op, in, []string{y}, nil)
		return y
	}
	one := format.Shape{1}
	if s.chunk == "" { // the number of the run; far along it stays
		state := s.b.State(&format.State{Name: "run", Type: format.Int64, Shape: one})
		s.chunk = s.add("run", format.Int64, one, nil, nil)
		s.b.Node(s.chunk, "StateRead", nil, []string{s.chunk}, format.Attrs{"state": state})
		next := value("Min", "run/next", format.Int64, one, value("Add", "run/more", format.Int64, one, s.chunk, i64("run/one", 1)), i64("run/most", 1<<40))
		s.b.Node("run/keep", "StateWrite", []string{next}, nil, format.Attrs{"state": state})
	}
	// Frame q of run r is the batch's r·frames + q - delay.
	numbers := make([]int64, f.frames)
	for i := range numbers {
		numbers[i] = int64(i - f.delay)
	}
	list := i64(name+"/frames", numbers...)
	shape := make(format.Shape, len(t.Shape)-f.axis)
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = f.frames
	s.now[list].Shape = shape
	first := value("Mul", name+"/first", format.Int64, one, s.chunk, i64(name+"/chunk", int64(f.frames)))
	at := value("Add", name+"/at", format.Int64, shape, list, first)
	in := value("LessOrEqual", name+"/begun", format.Bool, shape, i64(name+"/zero", 0), at)
	y := s.like(name, "/started", f.axis, f.frames)
	zero := s.add(name+"/silence", format.Float32, one, nil, make([]byte, 4))
	s.b.Node(y, "Where", []string{in, name, zero}, []string{y}, nil)
	s.flows[y] = f
	return y, nil
}
