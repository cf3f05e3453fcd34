package quant

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// blobs are noisy pictures of three patterns.
func blobs(seed uint64, n int) Labelled {
	r := rand.New(rand.NewPCG(seed, 4))
	d := Labelled{}
	var x [][]float32
	for i := range n {
		c := i % 3
		v := make([]float32, 192)
		for k := range v {
			v[k] = float32(r.NormFloat64()) * 0.7
			if k/3%8/3 == c {
				v[k] += 0.7
			}
		}
		x, d.Class = append(x, v), append(d.Class, c)
	}
	d.At = func(i int, s Sample) error {
		copy(s[0], x[i])
		return nil
	}
	return d
}

// scored is the accuracy of a model.
func scored(t *testing.T, m *format.Model, d Labelled) float64 {
	t.Helper()
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	x := Sample{make([]float32, 192)}
	right := 0
	for i, c := range d.Class {
		if err := d.At(i, x); err != nil {
			t.Fatal(err)
		}
		if err := s.Input(0).SetFloat32(x[0]); err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if argmax(s.Output(0).Float32()) == c {
			right++
		}
	}
	return float64(right) / float64(len(d.Class))
}

// trained is floatNet with a Softmax, which has learned the blobs.
func trained(t *testing.T, o TuneOptions) *format.Model {
	t.Helper()
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	m.Tensors = append(m.Tensors, &format.Tensor{Name: "p", Type: format.Float32, Shape: format.Shape{1, 10}})
	m.Main().Nodes = append(m.Main().Nodes, &format.Node{Name: "softmax", Op: "Softmax", Inputs: []string{"y"}, Outputs: []string{"p"}, Attrs: format.Attrs{"axis": int64(-1)}})
	m.Main().Outputs = []string{"p"}
	out, err := Tune(context.Background(), m, blobs(1, 600), o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// learned is what TestTune trains, for the tests that change it.
func learned(t *testing.T) *format.Model {
	t.Helper()
	learnedOnce.Do(func() { learnedModel = trained(t, TuneOptions{Epochs: 4}) })
	return clone(learnedModel)
}

var (
	learnedOnce  sync.Once
	learnedModel *format.Model
)

func TestTune(t *testing.T) {
	test := blobs(2, 300)
	last := 0.0
	m := trained(t, TuneOptions{Epochs: 4, Step: func(_ int, loss float64) { last = loss }})
	if a := scored(t, m, test); a < 0.95 || last > 0.3 {
		t.Errorf("accuracy %.3f, last loss %.3f", a, last)
	}
	if again := learned(t); !reflect.DeepEqual(m.Tensors, again.Tensors) {
		t.Error("two runs differ")
	}
}

// TestTuneForInt8 trains with ranges that are far too narrow for the network as
// it is: it learns to live with them.
func TestTuneForInt8(t *testing.T) {
	test := blobs(2, 300)
	m := learned(t)
	narrow := Ranges{"x": {-2, 2}, "b": {0, 0.4}, "c": {-0.2, 0.2}, "y": {-4, 4}}
	static := func(m *format.Model) *format.Model {
		q, _, err := Static(m, Ranges{"x": narrow["x"], "b": narrow["b"], "c": narrow["c"], "y": narrow["y"], "d": narrow["c"], "p": {0, 1}}, StaticOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	before := scored(t, static(m), test)
	aware, err := Tune(context.Background(), m, blobs(1, 600), TuneOptions{Epochs: 4, Fake: narrow})
	if err != nil {
		t.Fatal(err)
	}
	after := scored(t, static(aware), test)
	if after < 0.95 || after < before {
		t.Errorf("accuracy in int8: %.3f, before %.3f", after, before)
	}
}

// TestThinAndSparse keeps a fifth of the weights, learns to do with them and
// stores no others.
func TestThinAndSparse(t *testing.T) {
	test := blobs(2, 300)
	m, err := Thin(learned(t), 0.8)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = Tune(context.Background(), m, blobs(1, 600), TuneOptions{Epochs: 3, Sparse: true}); err != nil {
		t.Fatal(err)
	}
	s, n, err := Sparse(m)
	if err != nil {
		t.Fatal(err)
	}
	if n != 2 || scored(t, s, test) < 0.95 {
		t.Errorf("%d matrices are sparse, accuracy %.3f", n, scored(t, s, test))
	}
	if db := sqnr(t, m, s); db != inf {
		t.Errorf("storage changed the numbers: %.1f dB", db)
	}
	size := func(m *format.Model) (n int) {
		for _, x := range m.Tensors {
			n += len(x.Data)
		}
		return n
	}
	if a, b := size(m), size(s); float64(b) > 0.35*float64(a) {
		t.Errorf("%d bytes of %d", b, a)
	}
	for _, part := range []float64{0, 1} {
		if _, err := Thin(m, part); err == nil {
			t.Errorf("a part of %v was taken", part)
		}
	}
}

func TestSparseGaps(t *testing.T) {
	x := make([]float32, 1000)
	x[0], x[1], x[999] = 1, 2, 3
	s := newSparse(x)
	at, back := -1, make([]float32, 1000)
	for i, g := range s.gaps {
		at += int(g)
		back[at] = s.values[i]
	}
	if !reflect.DeepEqual(x, back) || len(s.values) != 6 {
		t.Errorf("%d values came back as %v", len(s.values), back)
	}
}

func TestCluster(t *testing.T) {
	m := learned(t)
	for n, db := range map[int]float64{4: 3, 16: 12, 256: 30} {
		c, err := Cluster(m, n)
		if err != nil {
			t.Fatal(err)
		}
		if got := sqnr(t, m, c); got < db {
			t.Errorf("%d values: %.1f dB", n, got)
		}
		if w := c.Tensor("w3"); n <= 256 && len(w.Data) != 5120 {
			t.Errorf("%d values: %d bytes", n, len(w.Data))
		}
	}
	codes, values := lloyd([]float32{-1, -1.2, 5, 5.2, 2.1, 1.9}, 3)
	if want := []byte{0, 0, 2, 2, 1, 1}; !reflect.DeepEqual(codes, want) || values[0] != -1.1 {
		t.Errorf("codes %v of %v", codes, values)
	}
	if _, err := Cluster(m, 257); err == nil {
		t.Error("257 values were taken")
	}
}

func TestTuneRefusals(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	d := blobs(1, 6)
	if _, err := Tune(context.Background(), m, Labelled{At: d.At}, TuneOptions{}); err == nil {
		t.Error("no samples were taken")
	}
	d.Class[3] = 10
	if _, err := Tune(context.Background(), m, d, TuneOptions{}); err == nil {
		t.Error("a class beyond the scores was taken")
	}
	d.Class[3] = 0
	if _, err := Tune(context.Background(), m, d, TuneOptions{Rate: float32(math.Inf(1))}); err == nil {
		t.Error("training to infinity succeeded")
	}
}

func TestPrune(t *testing.T) {
	test := blobs(2, 300)
	m := learned(t)
	small, list, err := Prune(context.Background(), m, blobs(1, 600), PruneOptions{MACs: 0.5, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	if part := float64(macs(small)) / float64(macs(m)); part > 0.5 || part < 0.3 {
		t.Errorf("%.2f of the multiply-accumulates are left", part)
	}
	if a, b := scored(t, small, test), scored(t, m, test); a < b-0.02 {
		t.Errorf("accuracy %.3f, before %.3f", a, b)
	}
	if len(list) != 3 || list[0].Left >= list[0].Channels || list[2].Left != 10 {
		t.Errorf("%+v", list)
	}
	for _, parts := range []float64{0, 1, 0.001} {
		if _, _, err := Prune(context.Background(), m, blobs(1, 30), PruneOptions{MACs: parts, Rounds: 1}); err == nil {
			t.Errorf("%v of the work was reached", parts)
		}
	}
}

// TestPruneKeepsTheFunction takes out channels that nothing reads, through a
// residual sum, a depthwise layer and a flattened map.
func TestPruneKeepsTheFunction(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	m := floatNet(r)
	constant := func(name string, shape ...int) *format.Tensor {
		x := make([]float32, format.Shape(shape).Elems())
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: bytesOf(x)}
	}
	act := func(name string, shape ...int) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
	}
	m.Tensors = []*format.Tensor{act("x", 1, 8, 8, 3), act("a", 1, 8, 8, 16), act("b", 1, 8, 8, 16), act("c", 1, 8, 8, 16), act("s", 1, 8, 8, 16), act("f", 1, 1024), act("y", 1, 10),
		constant("wa", 16, 1, 1, 3), constant("wb", 16, 3, 3, 1), constant("wc", 16, 1, 1, 3), constant("bc", 16), constant("wy", 10, 1024)}
	m.Main().Nodes = []*format.Node{
		{Name: "a", Op: "Conv", Inputs: []string{"x", "wa"}, Outputs: []string{"a"}},
		{Name: "b", Op: "Conv", Inputs: []string{"a", "wb"}, Outputs: []string{"b"}, Attrs: format.Attrs{"group": int64(16), "pads": []int64{1, 1, 1, 1}}},
		{Name: "c", Op: "Conv", Inputs: []string{"x", "wc", "bc"}, Outputs: []string{"c"}},
		{Name: "s", Op: "Add", Inputs: []string{"b", "c"}, Outputs: []string{"s"}},
		{Name: "f", Op: "Reshape", Inputs: []string{"s"}, Outputs: []string{"f"}, Attrs: format.Attrs{"shape": []int64{1, 1024}}},
		{Name: "y", Op: "Gemm", Inputs: []string{"f", "wy"}, Outputs: []string{"y"}, Attrs: format.Attrs{"transB": int64(1)}},
	}
	wy := float32s(m.Tensor("wy"))
	score := map[string][]float64{"wa": make([]float64, 16), "wb": make([]float64, 16), "wc": make([]float64, 16), "wy": make([]float64, 10)}
	for i := range wy {
		if i%16%2 == 1 {
			wy[i] = 0 // odd channels are not read
		}
	}
	m.Tensor("wy").Data = bytesOf(wy)
	for c := 0; c < 16; c += 2 {
		score["wa"][c] = 1
	}
	c := newChannels(m)
	if err := c.choose(score, macs(m)*51/100); err != nil {
		t.Fatal(err)
	}
	half, err := c.cut()
	if err != nil {
		t.Fatal(err)
	}
	if s := half.Tensor("s").Shape; s[3] != 8 {
		t.Fatalf("the sum has the shape %v", s)
	}
	if db := sqnr(t, m, half); db < 120 {
		t.Errorf("the function changed: %.1f dB", db)
	}
}

// TestCollapseIsMended with outliers put into a network that has learned the
// blobs: plain int8 loses ten points and more, repair or layers out of int8 bring
// them back, and the report names the layers.
func TestCollapseIsMended(t *testing.T) {
	test := blobs(2, 300)
	d := blobs(1, 120)
	calibration := func(yield func(Sample, error) bool) {
		x := Sample{make([]float32, 192)}
		for i := range d.Class {
			if err := d.At(i, x); !yield(x, err) {
				return
			}
		}
	}
	m := outliers(learned(t))
	float := scored(t, m, test)
	quantize := func(m *format.Model, o Options) (float64, *Report) {
		r, err := Quantize(context.Background(), m, calibration, o)
		if err != nil {
			t.Fatal(err)
		}
		return scored(t, r.Model, test), r.Report
	}
	plain, report := quantize(m, Options{Method: MinMax, Plain: true})
	if float-plain < 0.1 {
		t.Fatalf("plain int8 reaches %.3f of %.3f: the network does not collapse and shows nothing", plain, float)
	}
	if g := report.Guilty(1); len(g) != 1 || g[0].Node != "conv1" && g[0].Node != "conv2" {
		t.Errorf("the report blames %+v", g)
	}
	if repaired, _ := quantize(m, Options{}); float-repaired > 0.01 {
		t.Errorf("repaired: %.3f of %.3f", repaired, float)
	}
	m.Main().Nodes[1].Op = "Elu" // no equalization through it
	float = scored(t, m, test)
	drop := 0.01
	mixed, report := quantize(m, Options{Class: d.Class, Budget: Budget{Drop: &drop}})
	if float-mixed > 0.02 || len(report.Kept) > 3 {
		t.Errorf("mixed: %.3f of %.3f, kept %+v", mixed, float, report.Kept)
	}
}

// outliers makes channels of the first layer's output up to 4096 times larger
// than others; the next layer divides them away again.
func outliers(m *format.Model) *format.Model {
	w1, b1, w2 := float32s(m.Tensor("w1")), float32s(m.Tensor("b1")), float32s(m.Tensor("w2"))
	for c := range 16 {
		f := float32(int(1) << (c % 4 * 4))
		for i := range 27 {
			w1[c*27+i] *= f
		}
		b1[c] *= f
		for i := c; i < len(w2); i += 16 {
			w2[i] /= f
		}
	}
	m.Tensor("w1").Data, m.Tensor("b1").Data, m.Tensor("w2").Data = bytesOf(w1), bytesOf(b1), bytesOf(w2)
	return m
}
