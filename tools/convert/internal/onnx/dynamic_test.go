package onnx

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// encoder is a small network of texts: embedding, positions cut to the length, one
// head of attention, the first place's state repeated for every place.
func encoder() graphOf {
	return graphOf{nodes: []msg{
		op1("Gather", s("words", "x"), s("e")),
		op1("Shape", s("x"), s("s")), op1("Gather", s("s", "one"), s("n")), op1("Unsqueeze", s("n", "zeros"), s("n1")),
		op1("Slice", s("places", "zeros", "n1", "zeros"), s("p")), op1("Add", s("e", "p"), s("h")),
		op1("MatMul", s("h", "w"), s("q")), op1("Transpose", s("h"), s("k"), attr("perm", []int{0, 2, 1})),
		op1("MatMul", s("q", "k"), s("qk")), op1("Softmax", s("qk"), s("a"), attr("axis", -1)), op1("MatMul", s("a", "h"), s("v")),
		op1("Gather", s("s", "zero"), s("b")), op1("Unsqueeze", s("b", "zeros"), s("b1")), op1("Mul", s("b1", "n1"), s("bn")),
		op1("Concat", s("bn", "four"), s("flat"), attr("axis", 0)), op1("Reshape", s("v", "flat"), s("rows")),
		op1("Concat", s("b1", "n1", "four"), s("back"), attr("axis", 0)), op1("Reshape", s("rows", "back"), s("v2")),
		op1("Slice", s("v2", "zeros", "ones", "ones"), s("cls")), op1("Expand", s("cls", "back"), s("c2")), op1("Add", s("c2", "v2"), s("y")),
	}, stored: []msg{floatsOf("words", ramp(20), 5, 4), floatsOf("places", ramp(64), 16, 4), floatsOf("w", ramp(16), 4, 4),
		intsOf("one", []int64{1}), intsOf("zero", []int64{0}), intsOf("zeros", []int64{0}, 1), intsOf("ones", []int64{1}, 1), intsOf("four", []int64{4}, 1)},
		in: []msg{port("x", 7, "batch", "length")}, out: []msg{port("y", 1, "batch", "length", 4)}}
}

// sound is a small network of sounds: a strided convolution, a GRU, a mean.
func sound() graphOf {
	return graphOf{nodes: []msg{
		op1("Conv", s("x", "w"), s("c"), attr("strides", []int{2}), attr("pads", []int{1, 1})), op1("Relu", s("c"), s("r")),
		op1("Transpose", s("r"), s("t"), attr("perm", []int{2, 0, 1})), op1("GRU", s("t", "gw", "gr"), s("g", "")),
		op1("ReduceMean", s("g"), s("y"), attr("axes", []int{0, 1}), attr("keepdims", 0)),
	}, stored: []msg{floatsOf("w", ramp(12), 2, 2, 3), floatsOf("gw", ramp(12), 1, 6, 2), floatsOf("gr", ramp(12), 1, 6, 2)},
		in: []msg{port("x", 1, "batch", 2, "samples")}, out: []msg{port("y", 1, "batch", 2)}}
}

// run gives a session's inputs some numbers and returns its first output's bytes.
func run(t *testing.T, s *runtime.Session) []byte {
	t.Helper()
	for i, in := range s.Program().Inputs() {
		x := s.Input(i)
		if in.Type == format.Int64 {
			for k := range x.Int64() {
				x.Int64()[k] = int64(k*k) % 5
			}
			continue
		}
		copy(x.Float32(), ramp(x.Shape.Elems()))
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(s.Output(0).Bytes())
}

// TestDynamic resizes a session and compares it with models that have the sizes from
// the start: the same bits.
func TestDynamic(t *testing.T) {
	for name, c := range map[string]struct {
		file   []byte
		ranges map[string]format.Dim
		tries  []map[string]int
	}{
		"text": {encoder().model(13), map[string]format.Dim{"batch": {Min: 1, Max: 4}, "length": {Min: 2, Max: 16}},
			[]map[string]int{{"batch": 3, "length": 7}, {"batch": 1, "length": 2}, {"batch": 4, "length": 16}, {"length": 5}, {"batch": 3, "length": 7}}},
		"sound": {sound().model(13), map[string]format.Dim{"samples": {Min: 8, Max: 64, Step: 2}},
			[]map[string]int{{"samples": 8}, {"samples": 30}, {"samples": 64}}},
	} {
		m := convert(t, c.file, Options{Ranges: c.ranges})
		if err := format.Check(m); err != nil {
			t.Fatal(err)
		}
		p, err := runtime.Compile(m, runtime.WithThreads(1))
		if err != nil {
			t.Fatal(err)
		}
		session := p.NewSession()
		for _, sizes := range c.tries {
			fixed := map[string]int{}
			for name, r := range c.ranges {
				fixed[name] = r.Max
			}
			maps.Copy(fixed, sizes)
			q, err := runtime.Compile(convert(t, c.file, Options{Dims: fixed}), runtime.WithThreads(1))
			if err != nil {
				t.Fatal(err)
			}
			alone := q.NewSession()
			want := run(t, alone)
			if err := session.Resize(sizes); err != nil {
				t.Fatal(err)
			}
			if got := run(t, session); !bytes.Equal(got, want) || !session.Output(0).Shape.Equal(alone.Output(0).Shape) {
				t.Errorf("%s at %v: %v, want %v", name, sizes, session.Output(0).Shape, alone.Output(0).Shape)
			}
			if n := testing.AllocsPerRun(2, func() { session.Run(context.Background()) }); n != 0 {
				t.Errorf("Run allocates %v times", n)
			}
			alone.Close()
		}
		first := session.Program()
		for _, sizes := range []map[string]int{c.tries[0], c.tries[len(c.tries)-1]} {
			if err := session.Resize(sizes); err != nil {
				t.Fatal(err)
			}
		}
		if session.Program() != first {
			t.Error("sizes that were met before were compiled again")
		}
		for _, bad := range []map[string]int{{"batch": 99}, {"samples": 9}, {"bogus": 1}} {
			if err := session.Resize(bad); err == nil {
				t.Errorf("%s: sizes %v were accepted", name, bad)
			}
		}
		session.Close()
	}
}

// TestDynamicRefused has models whose sizes make more than sums and products.
func TestDynamicRefused(t *testing.T) {
	strided := sound().model(13)
	if _, err := Import("m", strided, Options{Ranges: map[string]format.Dim{"samples": {Min: 9, Max: 64}}}); err == nil || !strings.Contains(err.Error(), "step") {
		t.Errorf("odd lengths in steps of two: %v", err)
	}
	values := graphOf{nodes: []msg{op1("Shape", s("x"), s("n")), op1("Cast", s("n"), s("f"), attr("to", 1)), op1("Sqrt", s("f"), s("r")), op1("Mul", s("x", "r"), s("y"))},
		in: []msg{port("x", 1, "n")}, out: []msg{port("y", 1, "n")}}.model(13)
	if _, err := Import("m", values, Options{Ranges: map[string]format.Dim{"n": {Min: 2, Max: 9}}}); err == nil || !strings.Contains(err.Error(), "changes with the sizes") {
		t.Errorf("a factor that depends on the size: %v", err)
	}
	for _, r := range []format.Dim{{Min: 0, Max: 4}, {Min: 4, Max: 4}, {Min: 1, Max: 4, Step: 2}} {
		if _, err := Import("m", values, Options{Ranges: map[string]format.Dim{"n": r}}); err == nil {
			t.Errorf("the range %v was accepted", r)
		}
	}
}

// TestDynamicFile keeps what may change in the file.
func TestDynamicFile(t *testing.T) {
	m := convert(t, encoder().model(13), Options{Ranges: map[string]format.Dim{"batch": {Min: 1, Max: 4}, "length": {Min: 2, Max: 16}}})
	path := t.TempDir() + "/m.whet"
	if err := format.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	r, err := format.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !slices.Equal(r.Header.Dynamic.Dims, m.Header.Dynamic.Dims) || len(r.Header.Dynamic.Sizes) != len(m.Header.Dynamic.Sizes) {
		t.Errorf("%+v", r.Header.Dynamic)
	}
	a, err := m.Resized(map[string]int{"length": 3})
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Resized(map[string]int{"length": 3})
	if err != nil {
		t.Fatal(err)
	}
	if what := different(a, b); what != "" {
		t.Errorf("%s differs behind the file", what)
	}
}
