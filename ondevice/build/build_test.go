package build_test

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime"
)

const article = "conv(32,3,relu)+maxpool(2)+conv(64,3,relu)+maxpool(2)+flatten+dense(128,relu)+dense(n,softmax)"

func network(t testing.TB, shape []int, line string, n int) *format.Model {
	t.Helper()
	layers, err := build.Parse(line, n)
	if err != nil {
		t.Fatal(err)
	}
	m, err := build.New(shape, 1, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t testing.TB, m *format.Model) []float32 {
	t.Helper()
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	if x := s.Input(0); x.Type == format.Float32 {
		for i := range x.Float32() {
			x.Float32()[i] = float32(i%7) / 7
		}
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(s.Output(0).Float32())
}

func parameters(m *format.Model) (n int) {
	for _, t := range m.Tensors {
		if t.Const() {
			n += t.Shape.Elems()
		}
	}
	return n
}

// Keras counts as many parameters for the same networks.
func TestNew(t *testing.T) {
	for _, k := range []struct {
		shape  []int
		line   string
		params int
		out    format.Shape
	}{
		{[]int{28, 28, 1}, article, 225034, format.Shape{1, 10}},
		{[]int{8}, "dense(12,relu,he)+dense(8,relu,he-uniform)+dense(1,sigmoid)", 221, format.Shape{1, 1}},
		{[]int{100, 6}, "lstm(32)+dense(n,softmax)", 0, format.Shape{1, 10}},
		{[]int{20, 3}, "lstm(8,sequence)+lstm(4,orthogonal)+dense(2)", 0, format.Shape{1, 2}},
		{[]int{9, 9, 2}, "conv(4,3,stride=2,same,relu6)+avgpool(2)+globalavg+dense(3,tanh,name=end)", 76 + 15, format.Shape{1, 3}},
	} {
		m := network(t, k.shape, k.line, 10)
		if out := m.Tensor(m.Main().Outputs[0]).Shape; !out.Equal(k.out) {
			t.Errorf("%s gives %v, want %v", k.line, out, k.out)
		}
		if strings.HasPrefix(k.line, "lstm") {
			continue // Keras has one bias a gate, ONNX and whet two
		}
		if n := parameters(m); n != k.params {
			t.Errorf("%s has %d parameters, want %d", k.line, n, k.params)
		}
	}
	probabilities, sum := run(t, network(t, []int{28, 28, 1}, article, 10)), float32(0)
	for _, p := range probabilities {
		sum += p
	}
	if math.Abs(float64(sum)-1) > 1e-5 {
		t.Errorf("probabilities add up to %v", sum)
	}
}

func TestSame(t *testing.T) {
	for _, k := range []struct{ size, kernel, stride int }{{9, 3, 2}, {10, 3, 2}, {7, 5, 1}, {8, 2, 3}, {5, 1, 2}} {
		m, err := build.New([]int{k.size, k.size, 1}, 1, build.Conv{Filters: 1, Kernel: k.kernel, Stride: k.stride, Same: true})
		if err != nil {
			t.Error(err)
			continue
		}
		if h, want := m.Tensor(m.Main().Outputs[0]).Shape[1], (k.size+k.stride-1)/k.stride; h != want {
			t.Errorf("%+v gives %d, want %d", k, h, want)
		}
	}
}

func TestInitializers(t *testing.T) {
	for init, want := range map[build.Init]struct{ deviation, limit float64 }{
		build.GlorotUniform: {math.Sqrt(2.0 / 500), math.Sqrt(6.0 / 500)},
		build.GlorotNormal:  {math.Sqrt(2.0 / 500), 1},
		build.HeNormal:      {math.Sqrt(2.0 / 300), 1},
		build.HeUniform:     {math.Sqrt(2.0 / 300), math.Sqrt(6.0 / 300)},
		build.Zeros:         {0, 0},
	} {
		m, err := build.New([]int{300}, 7, build.Dense{Units: 200, Init: init})
		if err != nil {
			t.Fatal(err)
		}
		var sum, squares, most float64
		w := float(m.Tensor("dense1/weights").Data)
		for _, v := range w {
			sum += float64(v)
			squares += float64(v) * float64(v)
			most = max(most, math.Abs(float64(v)))
		}
		n := float64(len(w))
		if d := math.Sqrt(squares / n); math.Abs(d-want.deviation) > 0.01*want.deviation || math.Abs(sum/n) > 0.02*want.deviation || most > want.limit+1e-9 {
			t.Errorf("%s: mean %v, deviation %v of %v, largest %v of %v", init, sum/n, d, want.deviation, most, want.limit)
		}
	}
}

func TestOrthogonal(t *testing.T) {
	for _, size := range [][2]int{{20, 50}, {50, 20}, {16, 16}} {
		m, err := build.New([]int{size[1]}, 3, build.Dense{Units: size[0], Init: build.Orthogonal})
		if err != nil {
			t.Fatal(err)
		}
		w := float(m.Tensor("dense1/weights").Data)
		n, at := size[0], func(i, k int) float32 { return w[i*size[1]+k] }
		if size[0] > size[1] {
			n, at = size[1], func(i, k int) float32 { return w[k*size[1]+i] }
		}
		for i := range n {
			for j := range i + 1 {
				var p, want float64
				for k := range max(size[0], size[1]) {
					p += float64(at(i, k)) * float64(at(j, k))
				}
				if i == j {
					want = 1
				}
				if math.Abs(p-want) > 1e-6 {
					t.Fatalf("%v: vectors %d and %d have the product %v", size, i, j, p)
				}
			}
		}
	}
}

func float(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"dense(64,reul)":       `"reul"`,
		"desne(64)":            `"desne"`,
		"dense(64":             "bracket",
		"dense(3,4)":           "takes 1",
		"maxpool(2,relu)":      "takes no activation",
		"dense(n)":             "classes",
		"conv(8,3,stride=two)": "stride",
		"dense(4,sequence)":    "no sequence",
		"":                     "no layer",
	} {
		if _, err := build.Parse(line, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", line, want, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, k := range []struct {
		shape  []int
		layers []build.Layer
		want   string
	}{
		{[]int{28, 28, 1}, []build.Layer{build.Dense{Units: 3}}, "flatten"},
		{[]int{28}, []build.Layer{build.Conv{Filters: 3, Kernel: 3}}, "height"},
		{[]int{4, 4, 1}, []build.Layer{build.Conv{Filters: 3, Kernel: 5}}, "conv1"},
		{[]int{4}, []build.Layer{build.LSTM{Units: 3}}, "series"},
		{[]int{4}, []build.Layer{build.Dense{Units: -3}}, "positive"},
		{[]int{4}, []build.Layer{build.Dense{Units: 3, Init: "xavier"}}, "xavier"},
		{[]int{4}, []build.Layer{build.Dense{Units: 3, Activation: "swoosh"}}, "swoosh"},
		{[]int{4}, []build.Layer{build.Dense{Name: "a", Units: 3}, build.Dense{Name: "a", Units: 3}}, "name"},
		{[]int{0}, []build.Layer{build.Flatten{}}, "shape"},
		{nil, []build.Layer{build.Flatten{}}, "shape"},
		{[]int{4}, nil, "no layers"},
	} {
		if _, err := build.New(k.shape, 1, k.layers...); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%v: want an error with %q, got %v", k.layers, k.want, err)
		}
	}
}

// Whatever is cut behind a node and put on again computes the same.
func TestCutAndAppend(t *testing.T) {
	m := network(t, []int{28, 28, 1}, article, 10)
	body, err := build.Cut(m, "dense1/relu")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Tensor(body.Main().Outputs[0]).Shape; !got.Equal(format.Shape{1, 128}) || body.Tensor("dense2/weights") != nil {
		t.Errorf("the cut gives %v", got)
	}
	grown, err := build.Append(body, 5, []string{"a", "b", "c"}, build.Dense{Units: 64, Activation: "relu"}, build.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"conv1", "conv2", "dense1", "dense2", "dense3"}, build.Layers(grown)); diff != "" {
		t.Error(diff)
	}
	features, scores := run(t, body), run(t, grown)
	hidden := dense(features, float(grown.Tensor("dense2/weights").Data), 64)
	for i, v := range hidden {
		hidden[i] = max(v, 0)
	}
	want := dense(hidden, float(grown.Tensor("dense3/weights").Data), 3)
	for i, v := range want {
		if math.Abs(float64(v-scores[i])) > 1e-5 {
			t.Errorf("score %d is %v, want %v", i, scores[i], v)
		}
	}
	if _, err := build.Append(m, 1, []string{"a"}, build.Dense{Units: 2}); err == nil || !strings.Contains(err.Error(), "labels") {
		t.Errorf("a wrong number of labels: %v", err)
	}
	if _, err := build.Cut(m, "dense7"); err == nil || !strings.Contains(err.Error(), "dense7") {
		t.Errorf("a node that is not there: %v", err)
	}
}

func dense(x, w []float32, out int) []float32 {
	y := make([]float32, out)
	for o := range y {
		for i, v := range x {
			y[o] += v * w[o*len(x)+i]
		}
	}
	return y
}

// An integer network can be cut and grown, too: its new end is float32.
func TestChangeQuantized(t *testing.T) {
	m := network(t, []int{8, 8, 1}, "conv(4,3,relu)+maxpool(2)+flatten+dense(6,relu)+dense(n)", 4)
	sample := make([]float32, 64)
	for i := range sample {
		sample[i] = float32(i%7) / 7
	}
	res, err := quant.Quantize(context.Background(), m, func(yield func(quant.Sample, error) bool) { yield(quant.Sample{sample}, nil) }, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := res.Model
	for _, n := range q.Main().Nodes {
		if n.Op != "Gemm" || q.Tensor(n.Outputs[0]).Type != format.Int8 {
			continue
		}
		body, err := build.Cut(q, n.Name)
		if err != nil {
			t.Fatal(err)
		}
		grown, err := build.Append(body, 1, nil, build.Dense{Units: 2, Activation: "softmax"})
		if err != nil {
			t.Fatal(err)
		}
		if y := run(t, grown); math.Abs(float64(y[0]+y[1]-1)) > 1e-6 {
			t.Errorf("behind %s: %v", n.Name, y)
		}
		return
	}
	t.Error("the quantized network has no dense layer in int8")
}

func TestActivation(t *testing.T) {
	m := network(t, []int{5}, "dense(4,relu)+dense(n,softmax)", 3)
	scores, err := build.Activation(m, "dense2/softmax", "linear")
	if err != nil {
		t.Fatal(err)
	}
	sigmoid, err := build.Activation(m, "dense2/softmax", "sigmoid")
	if err != nil {
		t.Fatal(err)
	}
	y := run(t, sigmoid)
	for i, z := range run(t, scores) {
		if want := 1 / (1 + math.Exp(-float64(z))); math.Abs(want-float64(y[i])) > 1e-6 {
			t.Errorf("sigmoid(%v) is %v", z, y[i])
		}
	}
	if m.Main().Nodes[3].Op != "Softmax" {
		t.Error("the model itself was changed")
	}
	for node, kind := range map[string]string{"dense1": "relu", "dense1/relu": "swoosh", "dense3": "relu"} {
		if _, err := build.Activation(m, node, kind); err == nil {
			t.Errorf("%s=%s is not refused", node, kind)
		}
	}
}

func TestFreeze(t *testing.T) {
	m := network(t, []int{28, 28, 1}, article, 10)
	f, err := build.Freeze(m, "conv*", "dense1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dense2"}, f.Header.Tunable); diff != "" {
		t.Error(diff)
	}
	u, err := build.Unfreeze(f, "dense*")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dense1", "dense2"}, u.Header.Tunable); diff != "" {
		t.Error(diff)
	}
	if u, err = build.Unfreeze(u, "*"); err != nil || u.Header.Tunable != nil {
		t.Errorf("all unfrozen: %v, %v", u.Header.Tunable, err)
	}
	for _, pattern := range []string{"*", "lstm*", "["} {
		if _, err := build.Freeze(m, pattern); err == nil {
			t.Errorf("freezing %q is not refused", pattern)
		}
	}
}
