package private_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/private"
)

// golden is what dp-accounting 0.6.0 says: RdpAccountant, Poisson sampling, add or
// remove one. test/road compares more.
var golden = []struct {
	noise, rate float64
	steps       int
	delta, want float64
}{
	{1.1, 0.01, 1000, 1e-05, 1.711770},
	{0.7, 0.004, 5000, 1e-05, 4.349147},
	{2.0, 0.1, 200, 0.0001, 3.196713},
	{4.0, 0.05, 400, 1e-05, 1.057384},
	{1.0, 1.0, 1, 1e-05, 4.728507},
	{0.5, 0.02, 50, 0.001, 6.124145},
	{8.0, 0.3, 100, 1e-06, 1.813092},
}

func TestEpsilon(t *testing.T) {
	for _, k := range golden {
		got, err := private.Epsilon(k.noise, k.rate, k.steps, k.delta)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got-k.want) > 0.01*k.want {
			t.Errorf("noise %v, rate %v, %d steps, delta %v: epsilon %v, dp-accounting has %v", k.noise, k.rate, k.steps, k.delta, got, k.want)
		}
	}
	for _, bad := range [][3]float64{{0, 0.1, 1e-5}, {1, 0, 1e-5}, {1, 1.1, 1e-5}, {1, 0.1, 0}, {math.NaN(), 0.1, 1e-5}} {
		if _, err := private.Epsilon(bad[0], bad[1], 10, bad[2]); err == nil {
			t.Errorf("%v is not refused", bad)
		}
	}
}

func TestNoise(t *testing.T) {
	for _, epsilon := range []float64{0.3, 1, 8} {
		n, err := private.Noise(epsilon, 0.05, 400, 1e-4)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := private.Epsilon(n, 0.05, 400, 1e-4)
		below, _ := private.Epsilon(n-0.002, 0.05, 400, 1e-4)
		if at > epsilon || below < epsilon {
			t.Errorf("noise %v costs %v, a little less %v; %v may be spent", n, at, below, epsilon)
		}
	}
	if _, err := private.Noise(-1, 0.05, 400, 1e-4); err == nil {
		t.Error("a negative epsilon is not refused")
	}
}

// blobs are three classes around the corners of a triangle.
func blobs(n int, seed uint64) *fit.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	d := &fit.Data{}
	for i := range n {
		a := float64(i%3) * 2 * math.Pi / 3
		d.X = append(d.X, []float32{float32(math.Cos(a) + 0.4*r.NormFloat64()), float32(math.Sin(a) + 0.4*r.NormFloat64())})
		d.Class = append(d.Class, i%3)
	}
	return d
}

func network(t testing.TB, line string) *format.Model {
	t.Helper()
	layers, err := build.Parse(line, 3)
	if err != nil {
		t.Fatal(err)
	}
	m, err := build.New([]int{2}, 1, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return m
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

func TestTrainHead(t *testing.T) {
	m, d, unseen := network(t, "dense(8,tanh)+dense(n,softmax)"), blobs(600, 1), blobs(300, 2)
	last := 0.0
	for _, epsilon := range []float64{0.05, 2} {
		out, spent, err := private.TrainHead(context.Background(), m, d, private.Options{Epsilon: epsilon, Delta: 1e-4, Seed: &[32]byte{1}})
		if err != nil {
			t.Fatal(err)
		}
		a := accuracy(t, out, unseen)
		if spent.Epsilon > epsilon || spent.Epsilon < 0.9*epsilon || a <= last {
			t.Errorf("epsilon %v: %+v, accuracy %v after %v", epsilon, *spent, a, last)
		}
		last = a
		for _, name := range []string{"dense1/weights", "dense1/bias"} {
			if diff := cmp.Diff(m.Tensor(name).Data, out.Tensor(name).Data); diff != "" {
				t.Errorf("%s has changed", name)
			}
		}
	}
	if last < 0.85 {
		t.Errorf("accuracy %v with epsilon 2", last)
	}
}

// Samples that are read one by one give what those in memory give.
func TestTrainHeadOn(t *testing.T) {
	m, d := network(t, "dense(8,tanh)+dense(n,softmax)"), blobs(90, 1)
	var samples ondevice.Samples
	for i, x := range d.X {
		samples = append(samples, ondevice.Sample{Input: ondevice.RawInput(m.Tensor("input"), x), Label: strconv.Itoa(d.Class[i])})
	}
	o := private.Options{Epsilon: 2, Delta: 1e-3, Epochs: 2, Seed: &[32]byte{1}}
	want, _, err := private.TrainHead(context.Background(), m, d, o)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := private.TrainHeadOn(context.Background(), m, samples, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dense2/weights", "dense2/bias"} {
		if diff := cmp.Diff(want.Tensor(name).Data, got.Tensor(name).Data); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, label := range []string{"3", "blue"} {
		if _, _, err := private.TrainHeadOn(context.Background(), m, append(samples[:1:1], ondevice.Sample{Input: samples[0].Input, Label: label}), o); err == nil {
			t.Errorf("a label %q, which the head has no class for, was taken", label)
		}
	}
}

// No sample moves the sum of gradients by more than the norm: with one sample that
// is in every batch, a large rate and hardly any noise, a step is as long as that.
func TestClipping(t *testing.T) {
	m := network(t, "dense(n)")
	d := &fit.Data{X: [][]float32{{1000, -2000}}, Class: []int{0}}
	zero := *m
	zero.Tensors = slices.Clone(m.Tensors)
	out, spent, err := private.TrainHead(context.Background(), &zero, d, private.Options{Epsilon: 1e9, Delta: 0.1, Clip: 0.5, Epochs: 1, Batch: 1, Rate: 1, Seed: &[32]byte{}})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, name := range []string{"dense1/weights", "dense1/bias"} {
		a, b := floats(m.Tensor(name).Data), floats(out.Tensor(name).Data)
		for i := range a {
			sum += float64(a[i]-b[i]) * float64(a[i]-b[i])
		}
	}
	if far := math.Sqrt(sum); far > 0.51 {
		t.Errorf("one step of a gradient clipped to 0.5 went %v (%+v)", far, *spent)
	}
}

func floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24)
	}
	return v
}

// What was learned by heart shows; what was learned privately does not.
func TestMembership(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: learning by heart takes 300 passes over the data, minutes under an emulator")
	}
	r := rand.New(rand.NewPCG(7, 7))
	noisy := func(seed uint64) *fit.Data {
		d := blobs(60, seed)
		for i := range d.Class {
			d.Class[i] = r.IntN(3)
		}
		return d
	}
	d, others := noisy(1), noisy(2)
	m := network(t, "dense(128,relu)+dense(128,relu)+dense(n,softmax)")
	learned, err := fit.Train(context.Background(), m, d, fit.Options{Epochs: 300, Rate: 0.005})
	if err != nil {
		t.Fatal(err)
	}
	guarded, _, err := private.TrainHead(context.Background(), m, d, private.Options{Epsilon: 1, Delta: 1e-3, Seed: &[32]byte{2}})
	if err != nil {
		t.Fatal(err)
	}
	var auc [2]float64
	for i, m := range []*format.Model{learned.Model, guarded} {
		in, err := private.Losses(context.Background(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		out, err := private.Losses(context.Background(), m, others)
		if err != nil {
			t.Fatal(err)
		}
		inference, err := private.Membership(in, out)
		if err != nil {
			t.Fatal(err)
		}
		auc[i] = inference.AUC
	}
	if auc[0] < 0.75 || auc[1] > 0.65 {
		t.Errorf("an outsider tells members by %.2f, after private training by %.2f", auc[0], auc[1])
	}
	if _, err := private.Membership(nil, []float64{1}); err == nil {
		t.Error("no members are not refused")
	}
}

func TestRefusals(t *testing.T) {
	d := blobs(30, 1)
	for want, m := range map[string]*format.Model{"does not end": network(t, "dense(n,relu)+relu")} {
		if _, _, err := private.TrainHead(context.Background(), m, d, private.Options{Epsilon: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	m := network(t, "dense(n)")
	for _, o := range []private.Options{{}, {Epsilon: 1, Batch: 31}, {Epsilon: 1, Clip: -1}} {
		if _, _, err := private.TrainHead(context.Background(), m, d, o); err == nil {
			t.Errorf("%+v is not refused", o)
		}
	}
	d.Class[2] = 3
	if _, _, err := private.TrainHead(context.Background(), m, d, private.Options{Epsilon: 1}); err == nil {
		t.Error("a class that the model lacks is not refused")
	}
}

// Ten epochs on a thousand samples in batches of 50, with an epsilon of 2 at most.
func ExampleNoise() {
	noise, err := private.Noise(2, 0.05, 200, 1e-5)
	if err != nil {
		log.Fatal(err)
	}
	epsilon, err := private.Epsilon(noise, 0.05, 200, 1e-5)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("noise of %.2f norms costs epsilon %.2f\n", noise, epsilon)
	// Output:
	// noise of 1.79 norms costs epsilon 2.00
}

func ExampleOutgoing() {
	layers, _ := build.Parse("dense(8,relu)+dense(n)", 3)
	base, _ := build.New([]int{2}, 1, layers...)
	tuned, _, err := private.TrainHead(context.Background(), base, blobs(90, 1), private.Options{Epsilon: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range private.Outgoing(base, tuned) {
		fmt.Println(i.What, i.Name, i.Values, "values")
	}
	// Output:
	// weights dense2/weights 24 values
	// weights dense2/bias 3 values
}
