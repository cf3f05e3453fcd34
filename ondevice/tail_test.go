package ondevice

import (
	"bytes"
	"context"
	"fmt"
	"math"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
	"github.com/whet-edge/whet/runtime"
)

// convModel is an int8 network of the usual parts on pictures [1,8,8,2]:
// convolution, ReLU, pooling, a residual block of a depthwise and a 1x1
// convolution, the mean over the picture, a dense layer, Softmax.
func convModel(t *testing.T, labels ...string) *format.Model {
	t.Helper()
	r := newRNG(5, 99)
	m := &format.Model{Header: format.Header{Opset: 1, Labels: labels}}
	g := &format.Graph{Name: "main", Inputs: []format.Input{{Tensor: "in"}}, Outputs: []string{"out"}}
	m.Graphs = []*format.Graph{g}
	quant := map[string]*format.Quant{}
	tensor := func(name string, q *format.Quant, shape ...int) {
		quant[name] = q
		m.Tensors = append(m.Tensors, &format.Tensor{Name: name, Type: format.Int8, Shape: shape, Quant: q})
	}
	node := func(name, op string, attrs format.Attrs, out string, in ...string) {
		g.Nodes = append(g.Nodes, &format.Node{Name: name, Op: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
	}
	// layer adds weights, a bias and the node; small keeps the sums in range.
	layer := func(op, in, out string, attrs format.Attrs, small float32, shape ...int) {
		w := &format.Tensor{Name: out + "/w", Type: format.Int8, Shape: shape, Quant: &format.Quant{}}
		for range shape[0] {
			w.Quant.Scale = append(w.Quant.Scale, small*(1+float32(r.intn(16))/16))
		}
		for range w.Shape.Elems() {
			w.Data = append(w.Data, byte(int8(r.intn(255)-127)))
		}
		b := &format.Tensor{Name: out + "/b", Type: format.Int32, Shape: format.Shape{shape[0]}, Data: make([]byte, 4*shape[0])}
		m.Tensors = append(m.Tensors, w, b)
		node(out, op, attrs, out, in, w.Name, b.Name)
	}
	relu := func() *format.Quant { return format.PerTensor(1.0/32, -128) }
	pads := func(group int64) format.Attrs {
		return format.Attrs{"pads": []int64{1, 1, 1, 1}, "group": group}
	}
	tensor("in", format.PerTensor(1.0/64, 3), 1, 8, 8, 2)
	tensor("conv1", relu(), 1, 8, 8, 6)
	layer("Conv", "in", "conv1", pads(1), 1.0/512, 6, 3, 3, 2)
	tensor("relu1", relu(), 1, 8, 8, 6)
	node("relu1", "Relu", nil, "relu1", "conv1")
	tensor("pool", relu(), 1, 4, 4, 6)
	node("pool", "MaxPool", format.Attrs{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}, "pool", "relu1")
	tensor("deep", relu(), 1, 4, 4, 6)
	layer("Conv", "pool", "deep", pads(6), 1.0/512, 6, 3, 3, 1)
	tensor("point", format.PerTensor(1.0/16, 0), 1, 4, 4, 6)
	layer("Conv", "deep", "point", format.Attrs{}, 1.0/128, 6, 1, 1, 6)
	tensor("sum", format.PerTensor(1.0/16, -20), 1, 4, 4, 6)
	node("sum", "Add", nil, "sum", "point", "pool")
	tensor("mean", format.PerTensor(1.0/32, 0), 1, 6)
	node("mean", "ReduceMean", format.Attrs{"axes": []int64{1, 2}, "keepdims": int64(0)}, "mean", "sum")
	tensor("logits", format.PerTensor(1.0/8, 0), 1, len(labels))
	layer("Gemm", "mean", "logits", format.Attrs{"transB": int64(1)}, 1.0/64, len(labels), 6)
	tensor("out", format.PerTensor(1.0/256, -128), 1, len(labels))
	node("softmax", "Softmax", format.Attrs{"axis": int64(-1)}, "out", "logits")
	return reopen(t, m)
}

// pictures makes n samples of every label for convModel: waves whose direction and
// length depend on the label, with noise.
func pictures(n int, seed uint64, labels ...string) Samples {
	var s Samples
	r := newRNG(seed, 7)
	for i := range n {
		for _, l := range labels {
			c := newRNG(uint64(l[0]), 8)
			fy, fx := float64(c.normal()), float64(c.normal())
			phase := float64(r.intn(628)) / 100
			x := make([]byte, 8*8*2)
			for k := range x {
				v := 50*math.Sin(fy*float64(k/16)+fx*float64(k/2%8)+phase) + 15*float64(r.normal()) + 20*float64(k%2)*fx
				x[k] = byte(int8(max(-128, min(127, v))))
			}
			s = append(s, Sample{Input: x, Label: l, Source: fmt.Sprintf("%s-%d-%d", l, seed, i)})
		}
	}
	return s
}

// A float tail that was not trained computes what the integers did, up to
// rounding, wherever it is cut.
func TestFloatTail(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := convModel(t, labels...)
	d := pictures(20, 3, labels...)
	want := run(t, m, d)
	// The residual sum reads pool too, so the layer point alone has no cut of its own.
	for tail, cut := range map[Tail]string{Last(2): "pool", Last(3): "pool", Last(4): "in", All: "in", Bias: "in"} {
		p, err := Plan(m, d, Options{Tail: tail})
		if err != nil {
			t.Fatal(err)
		}
		if p.Feature != cut {
			t.Errorf("%v is cut at %q, want %q", tail, p.Feature, cut)
		}
		float, err := p.startModel()
		if err != nil {
			t.Fatal(err)
		}
		if err := format.Check(float); err != nil {
			t.Fatalf("%v: %v", tail, err)
		}
		got := run(t, float, d)
		for i := range want {
			for k, v := range want[i] {
				if diff := math.Abs(float64(got[i][k] - v)); diff > 0.05 {
					t.Fatalf("%v: sample %d: class %d has probability %v, the integers say %v", tail, i, k, got[i][k], v)
				}
			}
		}
	}
}

// Every tail learns, a deeper one more on this data, and what it learns is a delta that gives the judged model.
func TestTails(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := convModel(t, labels...)
	held := pictures(60, 9, labels...)
	before := accuracy(t, m, held)
	got := map[Tail]float64{}
	tails := []Tail{Head, Last(4), Last(2), Bias, Sparse(0.3), LoRA(3)}
	if testing.Short() {
		tails = tails[:2]
	}
	for _, tail := range tails {
		delta, rep := tune(t, m, pictures(60, 2, labels...), Options{Tail: tail, ValData: held}, vfs.NewMem())
		if delta == nil {
			t.Fatalf("%v: refused: %s", tail, rep.Verdict)
		}
		tuned, err := format.Apply(m, delta)
		if err != nil {
			t.Fatal(err)
		}
		got[tail] = accuracy(t, tuned, held)
		if math.Abs(got[tail]-rep.Tuned.Accuracy) > 1e-9 {
			t.Errorf("%v: the delta reaches %v, the report says %v", tail, got[tail], rep.Tuned.Accuracy)
		}
		adapters := tuned.Tensor(adapterDown("point")) != nil
		if tail.rank() > 0 && adapters == rep.Integer {
			t.Errorf("%v: the report says integer: %v; the delta has adapters: %v", tail, rep.Integer, adapters)
		}
		if w := tuned.Tensor("point/w"); tail != Head && tail.rank() == 0 && rep.Integer != (w.Type == format.Int8) {
			t.Errorf("%v: the report says integer: %v; the weights are %v", tail, rep.Integer, w.Type)
		}
		for _, x := range delta.Tensors() {
			if tail == Bias && rep.Integer && strings.HasSuffix(x.Name, "/w") && x.Name != tensorW {
				t.Errorf("bias: the delta holds the weights %q", x.Name)
			}
		}
		t.Logf("%v: %.3f, integer %v, delta of %d bytes", tail, got[tail], rep.Integer, len(deltaBytes(t, delta)))
	}
	least := map[Tail]float64{Last(4): got[Head], Sparse(0.3): got[Head]} // the others: a tenth more than before
	for _, tail := range tails {
		if floor := max(before+0.1, least[tail]); before >= 0.6 || got[tail] <= floor {
			t.Errorf("%v: accuracy before %v, after %v, want above %v", tail, before, got, floor)
		}
	}
}

// The integer form is close to the float one: the bar is of samples, this one is
// of numbers.
func TestIntegers(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := convModel(t, labels...)
	d := pictures(20, 3, labels...)
	p, err := Plan(m, d, Options{Tail: Last(4)})
	if err != nil {
		t.Fatal(err)
	}
	float, err := p.startModel()
	if err != nil {
		t.Fatal(err)
	}
	names, _ := p.tail.trained(float)
	values := map[string][]float32{}
	r := newRNG(1, 50)
	for _, name := range names {
		c := reals{t: float.Tensor(name)}
		for i := range c.t.Shape.Elems() {
			values[name] = append(values[name], c.at(i)*(1+0.2*r.normal())+0.01*r.normal())
		}
	}
	whole := p.tail.integers(m, float, values)
	for _, l := range []string{"conv1", "deep", "point"} {
		w := reals{t: whole.Tensor(l + "/w"), row: whole.Tensor(l + "/w").Shape[1:].Elems()}
		for _, s := range w.t.Quant.Scale {
			w.scale = append(w.scale, float64(s))
		}
		for i, v := range values[l+"/w"] {
			if diff := math.Abs(float64(w.at(i) - v)); diff > w.scale[i/w.row]*0.5001 {
				t.Fatalf("%s: weight %d is %v, want %v: more than half a step away", l, i, w.at(i), v)
			}
		}
	}
	whole, err = p.head.withHead(whole, values[tensorW], values[tensorB], labels, true)
	if err != nil {
		t.Fatal(err)
	}
	got, want := run(t, reopen(t, whole), d), run(t, withValues(float, values), d)
	for i := range want {
		for k, v := range want[i] {
			if math.Abs(float64(got[i][k]-v)) > 0.06 {
				t.Errorf("sample %d: class %d has probability %v in integers, %v in floats", i, k, got[i][k], v)
			}
		}
	}
}

// The form of the result is the one asked for.
func TestForm(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := convModel(t, labels...)
	d := pictures(12, 2, labels...)
	for form, integer := range map[Form]bool{Floats: false, Integers: true} {
		o := Options{Tail: Last(2), Epochs: 1, Form: form, Gate: Gate{MinGain: -1, MaxClassDrop: 1}}
		delta, rep := tune(t, m, d, o, vfs.NewMem())
		if delta == nil {
			t.Fatal(rep.Verdict)
		}
		tuned, err := format.Apply(m, delta)
		if err != nil {
			t.Fatal(err)
		}
		if w := tuned.Tensor("point/w"); rep.Integer != integer || (w.Type == format.Int8) != integer {
			t.Errorf("form %d: weights of %v, reported integers: %v", form, w.Type, rep.Integer)
		}
	}
}

// New classes grow the head of a tail too, with replayed features of the cut.
func TestTailGrows(t *testing.T) {
	m := convModel(t, "a", "b", "c")
	old, err := ExtractFor(context.Background(), Last(2), m, pictures(30, 4, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	delta, rep := tune(t, m, pictures(30, 5, "d"), Options{Tail: Last(2), Replay: old}, vfs.NewMem())
	if delta == nil {
		t.Fatal(rep.Verdict)
	}
	tuned, err := format.Apply(m, delta)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tuned.Header.Labels, []string{"a", "b", "c", "d"}) {
		t.Errorf("labels %q", tuned.Header.Labels)
	}
	if a := accuracy(t, tuned, pictures(30, 6, "d")); a < 0.6 {
		t.Errorf("accuracy of the new class: %v", a)
	}
}

// The gradient of a whole tail, as it is trained, in float64 against central
// differences: rounding apart it is the straight-through gradient of the integers.
func TestTailGradient(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := convModel(t, labels...)
	for _, tail := range []Tail{Last(4), LoRA(2)} {
		checkTail(t, m, tail)
	}
}

func checkTail(t *testing.T, m *format.Model, tail Tail) {
	t.Helper()
	labels := m.Header.Labels
	p, err := Plan(m, pictures(2, 1, labels...), Options{Tail: tail})
	if err != nil {
		t.Fatal(err)
	}
	float, err := p.startModel()
	if err != nil {
		t.Fatal(err)
	}
	names, _ := p.tail.trained(float)
	for _, name := range names { // adapters begin with zeros, which hide a part of them
		if x := float.Tensor(name); strings.HasSuffix(name, "/lora/b") {
			v, r := make([]float32, x.Shape.Elems()), newRNG(3, 61)
			for i := range v {
				v[i] = 0.1 * r.normal()
			}
			x.Data = floatBytes(v)
		}
	}
	part := cut(float, []format.Input{{Tensor: tensorCut}}, nodeNamed(float, nodeGemm).Outputs[0])
	tape, err := grad.NewTape[float64](part, names, grad.Portable[float64]{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRNG(1, 60)
	for i := range tape.Tensor(tensorCut).Data {
		tape.Tensor(tensorCut).Data[i] = float64(r.normal())
	}
	label, delta := []int{1}, make([]float64, len(labels))
	loss := func() float64 {
		tape.Forward()
		return grad.SoftmaxCrossEntropy(delta, tape.Outputs()[0].Data, label, 1, len(labels), 0, 1)
	}
	loss()
	tape.Backward(delta)
	tape.Flush()
	const eps = 1e-6
	checked, kinks := 0, 0
	for _, name := range names {
		x := tape.Tensor(name)
		for i := 0; i < len(x.Data); i += max(1, len(x.Data)/20) {
			old := x.Data[i]
			at := func(v float64) float64 { x.Data[i] = v; return loss() }
			up, middle, down := at(old+eps), at(old), at(old-eps)
			x.Data[i] = old
			if right, left := up-middle, middle-down; math.Abs(right-left) > 1e-3*(math.Abs(right)+math.Abs(left))+1e-9 {
				kinks++ // the two sides differ: a ReLU, a clip or a maximum turns here
				continue
			}
			want := (up - down) / (2 * eps)
			if math.Abs(x.Grad[i]-want) > 1e-5*max(1, math.Abs(want)) {
				t.Errorf("d/d%s[%d] = %v, central difference %v", name, i, x.Grad[i], want)
			}
			checked++
		}
	}
	if checked < 40 || kinks > checked/10 {
		t.Errorf("%d gradients checked, %d kinks", checked, kinks)
	}
}

// Levels and threads do not show in a tail of convolutions.
func TestTailBits(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := convModel(t, labels...)
	d := pictures(8, 2, labels...)
	defer goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(4)) // also where there are fewer cores
	for _, tail := range []Tail{Last(3), Sparse(0.3), LoRA(2)} {
		var want []byte
		for _, level := range kernels.Levels() {
			for _, threads := range []int{1, 4} {
				o := Options{Tail: tail, Epochs: 2, LR: 0.01, Runtime: []runtime.Option{runtime.WithLevel(level), runtime.WithThreads(threads)}}
				o.Gate = Gate{MinGain: -1, MaxClassDrop: 1}
				delta, rep := tune(t, m, d, o, vfs.NewMem())
				if delta == nil {
					t.Fatal(rep.Verdict)
				}
				b := deltaBytes(t, delta)
				if want == nil {
					want = b
				}
				if !bytes.Equal(b, want) {
					t.Errorf("%v, %v, %d threads: the delta differs", tail, level, threads)
				}
			}
		}
	}
}
