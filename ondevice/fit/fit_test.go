package fit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/fit"
)

// spiral is three interleaved arms, with noise.
func spiral(n int, seed uint64) *fit.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	d := &fit.Data{}
	for i := range n {
		c, t := i%3, r.Float64()
		a := 2*t + float64(c)*2*math.Pi/3
		d.X = append(d.X, []float32{float32(t*math.Cos(a) + 0.03*r.NormFloat64()), float32(t*math.Sin(a) + 0.03*r.NormFloat64())})
		d.Class = append(d.Class, c)
	}
	return d
}

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

func train(t testing.TB, m *format.Model, d *fit.Data, o fit.Options) *fit.Result {
	t.Helper()
	r, err := fit.Train(context.Background(), m, d, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func accuracy(t testing.TB, m *format.Model, d *fit.Data) float64 {
	t.Helper()
	y, err := fit.Predict(context.Background(), m, d.X)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, s := range y {
		if slices.Index(s, slices.Max(s)) == d.Class[i] {
			right++
		}
	}
	return float64(right) / float64(d.Len())
}

func TestTrainLearns(t *testing.T) {
	d, unseen := spiral(600, 1), spiral(300, 2)
	m := network(t, []int{2}, "dense(32,tanh)+dense(32,relu)+dense(n,softmax)", 3)
	before := accuracy(t, m, unseen)
	r := train(t, m, d, fit.Options{Epochs: 40, Rate: 0.01, Val: 0.1})
	if a := accuracy(t, r.Model, unseen); a < 0.95 || before > 0.7 {
		t.Errorf("accuracy %v before and %v after training", before, a)
	}
	if len(r.Curve) != 40 || r.Curve[39].ValAccuracy < 0.9 || r.Curve[39].Loss > r.Curve[0].Loss/2 {
		t.Errorf("curve ends at %+v", r.Curve[len(r.Curve)-1])
	}
}

// The loss that the curve reports must be the one whose gradient is followed: for
// plain SGD on all samples at once, every step's difference of the weights is the
// rate times the gradient, which central differences of the reported loss give.
func TestGradientIsTheLosses(t *testing.T) {
	d := spiral(12, 3)
	const rate = 1e-3
	o := fit.Options{SGD: true, Rate: rate, Epochs: 1, Batch: 12}
	for name, line := range map[string]string{"dense": "dense(5,tanh)+dense(n)", "lstm": "lstm(4)+dense(n)"} {
		shape := []int{2}
		if name == "lstm" {
			shape = []int{2, 1}
		}
		m := network(t, shape, line, 3)
		after := train(t, m, d, o).Model
		for _, c := range m.Tensors {
			if !c.Const() {
				continue
			}
			was, is := float(c.Data), float(after.Tensor(c.Name).Data)
			for i := range min(len(was), 6) {
				const h = 1e-2
				loss := func(by float32) float64 {
					v := slices.Clone(was)
					v[i] += by
					return train(t, with(m, c.Name, v), d, o).Curve[0].Loss
				}
				want := (loss(h) - loss(-h)) / (2 * h)
				got := float64(was[i]-is[i]) / rate
				if math.Abs(got-want) > 2e-3 {
					t.Errorf("%s: %s[%d]: the gradient is %v, differences of the loss give %v", name, c.Name, i, got, want)
				}
			}
		}
	}
}

func float(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24)
	}
	return v
}

// with returns the model with other values in a constant.
func with(m *format.Model, name string, v []float32) *format.Model {
	out := *m
	out.Tensors = slices.Clone(m.Tensors)
	for i, t := range out.Tensors {
		if t.Name == name {
			c := *t
			c.Data = nil
			for _, x := range v {
				b := math.Float32bits(x)
				c.Data = append(c.Data, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
			}
			out.Tensors[i] = &c
		}
	}
	return &out
}

func TestSameBits(t *testing.T) {
	d := spiral(100, 1)
	o := fit.Options{Epochs: 2, Val: 0.2, Dropout: map[string]float32{"dense1": 0.2}, L1: 1e-4, L2: 1e-4, Cosine: true, ClipNorm: 1,
		Augment: func(r *rand.Rand, x []float32) { x[0] += 0.01 * r.Float32() }}
	m := network(t, []int{2}, "dense(8,relu)+dense(n)", 3)
	a, b := train(t, m, d, o), train(t, m, d, o)
	if diff := cmp.Diff(a.Model.Tensors, b.Model.Tensors); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(a.Curve, b.Curve); diff != "" {
		t.Error(diff)
	}
}

func TestRegression(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	d := &fit.Data{}
	for range 300 {
		x := []float32{2*r.Float32() - 1, 2*r.Float32() - 1}
		d.X, d.Target = append(d.X, x), append(d.Target, []float32{3*x[0] - x[1] + 0.5})
	}
	for _, loss := range []ondevice.Loss{ondevice.MSE, ondevice.Huber} {
		res := train(t, network(t, []int{2}, "dense(n)", 1), d, fit.Options{Loss: loss, Epochs: 60, Rate: 0.02, Val: 0.2})
		if e := res.Curve[59]; e.ValLoss > 1e-4 {
			t.Errorf("%v: the loss is %v", loss, e.ValLoss)
		}
	}
}

func TestEarlyStopping(t *testing.T) {
	// Classes by chance: there is nothing to learn but the samples themselves.
	r := rand.New(rand.NewPCG(5, 5))
	d := spiral(80, 1)
	for i := range d.Class {
		d.Class[i] = r.IntN(3)
	}
	res := train(t, network(t, []int{2}, "dense(64,relu)+dense(64,relu)+dense(n)", 3), d, fit.Options{Epochs: 500, Rate: 0.01, Val: 0.3, Patience: 5})
	if len(res.Curve) != res.Best+5 || len(res.Curve) > 400 {
		t.Errorf("stopped after %d epochs, the best was %d", len(res.Curve), res.Best)
	}
}

func TestFrozenLayersStay(t *testing.T) {
	m := network(t, []int{2}, "dense(8,relu)+dense(n)", 3)
	frozen, err := build.Freeze(m, "dense1")
	if err != nil {
		t.Fatal(err)
	}
	after := train(t, frozen, spiral(60, 1), fit.Options{Epochs: 1}).Model
	for name, same := range map[string]bool{"dense1/weights": true, "dense1/bias": true, "dense2/weights": false, "dense2/bias": false} {
		if got := cmp.Equal(m.Tensor(name).Data, after.Tensor(name).Data); got != same {
			t.Errorf("%s stays: %v", name, got)
		}
	}
}

func TestPenaltiesShrinkWeights(t *testing.T) {
	norm := func(o fit.Options) (sum float64) {
		o.Epochs, o.Rate = 20, 0.01
		m := train(t, network(t, []int{2}, "dense(16,relu)+dense(n)", 3), spiral(150, 1), o).Model
		for _, name := range []string{"dense1/weights", "dense2/weights"} {
			for _, v := range float(m.Tensor(name).Data) {
				sum += math.Abs(float64(v))
			}
		}
		return sum
	}
	plain := norm(fit.Options{})
	for name, o := range map[string]fit.Options{"L1": {L1: 0.01}, "L2": {L2: 0.01}} {
		if n := norm(o); n > 0.8*plain {
			t.Errorf("%s: the weights' sum is %v, without %v", name, n, plain)
		}
	}
}

func TestRefusals(t *testing.T) {
	m, d := network(t, []int{2}, "dense(8,relu)+dense(n,softmax)", 3), spiral(9, 1)
	for want, o := range map[string]fit.Options{
		"patience needs":        {Patience: 1},
		"no such node":          {Dropout: map[string]float32{"dense9": 0.5}},
		"nothing reads it":      {Dropout: map[string]float32{"dense2/softmax": 0.5}},
		"must be at least 0":    {Dropout: map[string]float32{"dense1": 1}},
		"a class for every":     {Loss: ondevice.MSE},
		"beyond the numbers":    {SGD: true, Rate: 1e30, Epochs: 20},
		"label smoothing":       {Smoothing: 1},
		"validation part":       {Val: 1},
		"ce, mse, bce and hube": {Loss: ondevice.Custom},
	} {
		if _, err := fit.Train(context.Background(), m, d, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	d.Class[3] = 3
	if _, err := fit.Train(context.Background(), m, d, fit.Options{}); err == nil || !strings.Contains(err.Error(), "sample 3") {
		t.Errorf("a class that the model lacks: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := fit.Train(ctx, m, spiral(9, 1), fit.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSplits(t *testing.T) {
	var class []int
	var source []string
	for i := range 120 {
		class = append(class, min(i%4, 2)) // half of them are of class 2
		source = append(source, fmt.Sprint(i/4))
	}
	train, val := fit.Stratified(class, 0.25, 1)
	count := map[int]int{}
	for _, i := range val {
		count[class[i]]++
	}
	if diff := cmp.Diff(map[int]int{0: 8, 1: 8, 2: 15}, count); diff != "" || len(train)+len(val) != 120 {
		t.Errorf("validation has %v", diff)
	}
	train, val = fit.BySource(make([]int, 120), source, 0.25, 1)
	held := map[string]bool{}
	for _, i := range val {
		held[source[i]] = true
	}
	for _, i := range train {
		if held[source[i]] {
			t.Errorf("source %s is on both sides", source[i])
		}
	}
	if len(val) < 30 || len(val) > 33 {
		t.Errorf("%d of 120 samples are held out", len(val))
	}
	if a, b := fit.ByTime(10, 0.3); !slices.Equal(a, []int{0, 1, 2, 3, 4, 5, 6}) || !slices.Equal(b, []int{7, 8, 9}) {
		t.Errorf("by time: %v, %v", a, b)
	}
}

func BenchmarkArticle(b *testing.B) {
	m := network(b, []int{28, 28, 1}, "conv(32,3,relu)+maxpool(2)+conv(64,3,relu)+maxpool(2)+flatten+dense(128,relu)+dense(n,softmax)", 10)
	r := rand.New(rand.NewPCG(1, 1))
	d := &fit.Data{}
	for i := range 640 {
		x := make([]float32, 784)
		for k := range x {
			x[k] = r.Float32()
		}
		d.X, d.Class = append(d.X, x), append(d.Class, i%10)
	}
	for b.Loop() {
		train(b, m, d, fit.Options{Epochs: 1})
	}
	b.ReportMetric(640*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}
