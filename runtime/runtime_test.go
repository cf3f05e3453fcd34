package runtime

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// raw returns the bytes of a slice of plain numbers.
func raw[T any](x []T) []byte {
	if len(x) == 0 {
		return []byte{}
	}
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))...)
}

func randI8(r *rand.Rand, n int) []int8 {
	x := make([]int8, n)
	for i := range x {
		x[i] = int8(r.IntN(256) - 128)
	}
	return x
}

// tinyNet is conv 3x3 (relu) - conv 1x1 - fully connected on quantized tensors
// of the given type, with a tensor "mid" to cut at.
func tinyNet(r *rand.Rand, typ format.DType) *format.Model {
	zp := int32(3)
	if typ == format.Uint8 {
		zp = 131
	}
	q := func(s float32) *format.Quant { return format.PerTensor(s, zp) }
	act := func(name string, quant *format.Quant, shape ...int) *format.Tensor {
		return &format.Tensor{Name: name, Type: typ, Shape: shape, Quant: quant}
	}
	weights := func(name string, shape ...int) *format.Tensor {
		n := format.Shape(shape).Elems()
		w := randI8(r, n)
		t := &format.Tensor{Name: name, Type: typ, Shape: shape, Data: raw(w)}
		if typ == format.Uint8 {
			t.Quant = format.PerTensor(0.01, 120)
		} else {
			t.Quant = &format.Quant{Scale: make([]float32, shape[0]), Zero: nil, Axis: 0}
			for i := range t.Quant.Scale {
				t.Quant.Scale[i] = 0.005 + 0.01*r.Float32()
			}
			for i, b := range t.Data { // symmetric weights have no -128
				if int8(b) == -128 {
					t.Data[i] = 0x81
				}
			}
		}
		return t
	}
	bias := func(name string, n int, sx float32, w *format.Tensor) *format.Tensor {
		b := make([]int32, n)
		for i := range b {
			b[i] = int32(r.IntN(2000) - 1000)
		}
		quant := &format.Quant{Scale: make([]float32, len(w.Quant.Scale))}
		for i, s := range w.Quant.Scale {
			quant.Scale[i] = s * sx
		}
		return &format.Tensor{Name: name, Type: format.Int32, Shape: format.Shape{n}, Quant: quant, Data: raw(b)}
	}
	w1, w2, w3 := weights("w1", 8, 3, 3, 3), weights("w2", 5, 1, 1, 8), weights("w3", 4, 5*36)
	m := &format.Model{
		Header: format.Header{Opset: 1},
		Tensors: []*format.Tensor{
			act("x", q(0.05), 1, 6, 6, 3), act("a", q(0.1), 1, 6, 6, 8), act("mid", q(0.1), 1, 6, 6, 8), act("c", q(0.2), 1, 6, 6, 5),
			act("d", q(0.2), 1, 180), act("y", q(0.5), 1, 4), w1, w2, w3, bias("b1", 8, 0.05, w1), bias("b2", 5, 0.1, w2), bias("b3", 4, 0.2, w3),
		},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
			Nodes: []*format.Node{
				{Name: "conv1", Op: "Conv", Inputs: []string{"x", "w1", "b1"}, Outputs: []string{"a"}, Attrs: format.Attrs{"strides": []int64{1, 1}, "dilations": []int64{1, 1}, "pads": []int64{1, 1, 1, 1}, "group": int64(1)}},
				{Name: "relu1", Op: "Relu", Inputs: []string{"a"}, Outputs: []string{"mid"}},
				{Name: "conv2", Op: "Conv", Inputs: []string{"mid", "w2", "b2"}, Outputs: []string{"c"}, Attrs: format.Attrs{"strides": []int64{1, 1}, "dilations": []int64{1, 1}, "pads": []int64{0, 0, 0, 0}, "group": int64(1)}},
				{Name: "flat", Op: "Reshape", Inputs: []string{"c"}, Outputs: []string{"d"}, Attrs: format.Attrs{"shape": []int64{1, 180}}},
				{Name: "fc", Op: "Gemm", Inputs: []string{"d", "w3", "b3"}, Outputs: []string{"y"}, Attrs: format.Attrs{"transB": int64(1)}},
			},
		}},
	}
	return m
}

func run(t *testing.T, m *format.Model, in []byte, opts ...Option) []byte {
	t.Helper()
	p, err := Compile(m, opts...)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	copy(s.Input(0).Bytes(), in)
	for range 3 {
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.Clone(s.Output(0).Bytes())
}

// reference computes tinyNet by the definition of the int8 contract, with the
// tensors' own types, in plain loops.
func reference(m *format.Model, in []byte) []byte {
	get := func(name string) (*format.Tensor, func(i int) int32) {
		t := m.Tensor(name)
		return t, func(i int) int32 {
			switch {
			case t.Type == format.Uint8:
				return int32(t.Data[i])
			case t.Type == format.Int32:
				return view[int32](t.Data)[i]
			}
			return int32(int8(t.Data[i]))
		}
	}
	layer := func(x []byte, xn, wn, bn, yn string, h, w, c, pad int, relu bool) []byte {
		xt, wt, yt := m.Tensor(xn), m.Tensor(wn), m.Tensor(yn)
		_, wv := get(wn)
		_, bv := get(bn)
		o := wt.Shape[0]
		k := 1
		if len(wt.Shape) == 4 {
			k = wt.Shape[1]
		}
		signed := xt.Type == format.Int8
		xv := func(i int) int32 {
			if signed {
				return int32(int8(x[i]))
			}
			return int32(x[i])
		}
		least, most := float32(0), float32(255)
		if signed {
			least, most = -128, 127
		}
		zy := float32(yt.Quant.ZeroPoint())
		if relu {
			least = zy
		}
		out := make([]byte, h*w*o)
		for i := range h {
			for j := range w {
				for n := range o {
					acc := bv(n)
					for a := 0; a < k; a++ {
						for b := 0; b < k; b++ {
							y, z := i+a-pad, j+b-pad
							if y < 0 || z < 0 || y >= h || z >= w {
								continue
							}
							for ch := range c {
								acc += (xv((y*w+z)*c+ch) - xt.Quant.ZeroPoint()) * (wv(((n*k+a)*k+b)*c+ch) - wt.Quant.ZeroPoint())
							}
						}
					}
					sw := wt.Quant.Scale[0]
					if len(wt.Quant.Scale) > 1 {
						sw = wt.Quant.Scale[n]
					}
					mul := float32(float64(xt.Quant.Scale[0]) * float64(sw) / float64(yt.Quant.Scale[0]))
					v := min(max(float32(float32(acc)*mul), least-zy), most-zy)
					out[(i*w+j)*o+n] = byte(int32(math.RoundToEven(float64(v))) + int32(zy))
				}
			}
		}
		return out
	}
	a := layer(in, "x", "w1", "b1", "mid", 6, 6, 3, 1, true)
	c := layer(a, "mid", "w2", "b2", "c", 6, 6, 8, 0, false)
	return layer(c, "d", "w3", "b3", "y", 1, 1, 180, 0, false)
}

func TestSameBitsEverywhere(t *testing.T) {
	for _, typ := range []format.DType{format.Int8, format.Uint8} {
		for seed := range uint64(8) {
			r := rand.New(rand.NewPCG(seed, 1))
			m := tinyNet(r, typ)
			in := raw(randI8(r, 108))
			want := reference(m, in)
			for _, l := range kernels.Levels() {
				for _, threads := range []int{1, 2, 3} {
					if got := run(t, m, in, WithLevel(l), WithThreads(threads)); !bytes.Equal(got, want) {
						t.Errorf("%v, seed %d, %v, %d threads: %v, want %v", typ, seed, l, threads, got, want)
					}
				}
			}
		}
	}
}

// TestFusionKeepsBits compares the tensor after the activation, fused and cut
// off, with the unfused pair.
func TestWithOutputs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	m := tinyNet(r, format.Int8)
	in := raw(randI8(r, 108))
	before, after := run(t, m, in, WithOutputs("a")), run(t, m, in, WithOutputs("mid"))
	for i, b := range before {
		if want := max(int8(b), 3); int8(after[i]) != want {
			t.Fatalf("element %d: relu of %d gave %d", i, int8(b), int8(after[i]))
		}
	}
	p, err := Compile(m, WithOutputs("mid"))
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Steps(); len(s) != 1 || s[0].Op != "Conv+Relu" {
		t.Errorf("steps %+v, want one fused convolution", s)
	}
	if _, err := Compile(m, WithOutputs("nothing")); err == nil {
		t.Error("an unknown output was accepted")
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	m := tinyNet(rand.New(rand.NewPCG(1, 1)), format.Int8)
	for _, threads := range []int{1, 2} {
		p, err := Compile(m, WithThreads(threads))
		if err != nil {
			t.Fatal(err)
		}
		s := p.NewSession()
		ctx, cancel := context.WithCancel(context.Background())
		if n := testing.AllocsPerRun(20, func() {
			if err := s.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%d threads: %v allocations a run", threads, n)
		}
		cancel()
		if err := s.Run(ctx); err != context.Canceled {
			t.Errorf("after cancel: %v", err)
		}
	}
}

// TestStates counts up in a state variable: y = x + s; s = y.
func TestStates(t *testing.T) {
	f := func(name string, data []byte) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: format.Shape{2}, Data: data}
	}
	m := &format.Model{
		Header:  format.Header{Opset: 1},
		Tensors: []*format.Tensor{f("x", nil), f("old", nil), f("y", nil)},
		States:  []*format.State{{Name: "s", Type: format.Float32, Shape: format.Shape{2}, Init: raw([]float32{10, 20})}},
		Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"}, Nodes: []*format.Node{
			{Name: "read", Op: "StateRead", Outputs: []string{"old"}, Attrs: format.Attrs{"state": "s"}},
			{Name: "add", Op: "Add", Inputs: []string{"x", "old"}, Outputs: []string{"y"}},
			{Name: "write", Op: "StateWrite", Inputs: []string{"y"}, Attrs: format.Attrs{"state": "s"}},
		}}},
	}
	p, err := Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s, s2 := p.NewSession(), p.NewSession()
	step := func(s *Session, want float32) {
		t.Helper()
		copy(s.Input(0).Float32(), []float32{1, 1})
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := s.Output(0).Float32()[0]; got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	step(s, 11)
	step(s, 12)
	saved := s.SaveState()
	step(s, 13)
	step(s2, 11) // sessions do not share states
	if err := s.LoadState(saved); err != nil {
		t.Fatal(err)
	}
	step(s, 13)
	s.Reset()
	step(s, 11)
	if s.LoadState(saved[1:]) == nil {
		t.Error("a state of the wrong size was accepted")
	}
}

// TestPlan checks on random schedules that no two values that live at the same
// time share a byte, and that all starts are on a line.
func TestPlan(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		vals := make([]*value, 3+r.IntN(20))
		for i := range vals {
			vals[i] = &value{size: r.IntN(2000)}
			if i > 0 && r.IntN(6) == 0 {
				vals[i].alias = vals[r.IntN(i)]
				vals[i].size = vals[i].root().size
			}
		}
		var steps []*step
		for i := 2; i < len(vals); i++ {
			if vals[i].alias == nil {
				steps = append(steps, &step{in: []*value{vals[r.IntN(i)], nil, vals[r.IntN(i)]}, out: []*value{vals[i]}})
			}
		}
		ins, outs := vals[:2], vals[len(vals)-1:]
		total := plan(steps, ins, outs)
		first, last := map[*value]int{}, map[*value]int{}
		use := func(v *value, at int) {
			if v == nil {
				return
			}
			v = v.root()
			if _, ok := first[v]; !ok {
				first[v] = at
			}
			last[v] = max(last[v], at)
		}
		for _, v := range ins {
			use(v, -1)
			use(v, len(steps))
		}
		for i, s := range steps {
			for _, v := range append(s.in, s.out...) {
				use(v, i)
			}
		}
		use(outs[0], len(steps))
		for a := range first {
			if a.offset%64 != 0 || a.offset+a.size > total {
				t.Fatalf("seed %d: value at %d..%d of %d", seed, a.offset, a.offset+a.size, total)
			}
			for b := range first {
				alive := first[a] <= last[b] && first[b] <= last[a]
				if a != b && alive && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Fatalf("seed %d: two living values share bytes", seed)
				}
			}
		}
	}
}

// TestPool hammers the pool from several sessions of different widths: every
// task must be done exactly once.
func TestPool(t *testing.T) {
	counts := make([]int32, 1000)
	out := &value{size: 4 * len(counts)}
	st := &step{node: &node{name: "count"}, out: []*value{out}, tasks: len(counts), shared: true, run: func(m *mem, _ []byte, t0, t1 int) {
		c := m.i32(out)
		for i := t0; i < t1; i++ {
			c[i]++
		}
	}}
	const runs = 300
	done := make(chan []int32)
	for _, threads := range []int{1, 2, 3, 4} {
		p := &Program{threads: threads, steps: []*step{st, st}, arena: out.size}
		go func() {
			s := p.NewSession()
			for range runs {
				if err := s.Run(context.Background()); err != nil {
					t.Error(err)
				}
			}
			done <- append([]int32(nil), s.mem.i32(out)...)
		}()
	}
	for range 4 {
		for i, c := range <-done {
			if c != 2*runs {
				t.Fatalf("task %d was done %d times, want %d", i, c, 2*runs)
			}
		}
	}
}

func init() { AddRare() }

// TestEveryOpIsBound walks the op table: an op that has no binding fails by name.
// Package runtime/more does the same for what it adds.
func TestEveryOpIsBound(t *testing.T) {
	for op := range format.Ops {
		if binderOf(op) == nil {
			t.Errorf("op %s has no binding in runtime", op)
		}
	}
	refuses(t, "an op whose kernel is not linked", "NonZero", nil, []*format.Tensor{out("x", format.Bool, nil, 3)},
		out("p", format.Int64, nil, 1, 3), out("n", format.Int64, nil))
}
