package private

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/grad"
	"github.com/whet-edge/whet/runtime"
)

// Options say how a head is trained privately. The result is (Epsilon, Delta)-
// differentially private with respect to a training sample's presence; the body
// before it, the samples' number and these options are taken for public.
type Options struct {
	Epsilon float64 // the most that may be spent; the noise follows from it
	Delta   float64 // 0: 1 / (2 n)
	Clip    float32 // largest norm of a sample's gradient; 0: 1
	Epochs  int     // 0: 20
	Batch   int     // samples of a step on average; 0: a twentieth of all
	Rate    float32 // learning rate; 0: 0.5

	// Seed is for repeating a run in a test. Nil takes the system's random numbers:
	// whoever knows a seed can take the noise off again.
	Seed *[32]byte
}

// Spent is what a training has cost.
type Spent struct {
	Epsilon, Delta float64
	Noise          float64 // standard deviation, in clipping norms
	Rate           float64 // probability of a sample to be in a batch
	Steps          int
	Clipped        float64 // part of the gradients that were longer than the norm
}

// head finds the last dense layer, which must be float32, and what it reads.
func head(m *format.Model) (*format.Node, error) {
	g := m.Main()
	want := g.Outputs[0]
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.Contains(n.Outputs, want) {
			continue
		}
		if n.Op == "Softmax" {
			want = n.Inputs[0]
			continue
		}
		if n.Op == "Gemm" && len(n.Inputs) == 3 && m.Tensor(n.Inputs[1]).Type == format.Float32 && m.Tensor(n.Inputs[1]).Const() && m.Tensor(n.Inputs[2]).Const() {
			return n, nil
		}
		break
	}
	return nil, fmt.Errorf("private: the model does not end in a dense float32 layer with a bias; build.Append puts one there")
}

// TrainHead returns the model with its last dense layer trained by DP-SGD (Abadi et
// al., 2016, arXiv:1607.00133) on cross-entropy. What that layer reads, x, is
// computed once; a sample's gradient is the outer product of δ = p - y and (x, 1), so
// its norm |δ| sqrt(|x|²+1) needs no gradient to be formed (Goodfellow, 2015,
// arXiv:1510.01799), and clipping scales δ. Data.X are the input's real values.
func TrainHead(ctx context.Context, m *format.Model, data *fit.Data, o Options) (*format.Model, *Spent, error) {
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	if len(data.Class) != data.Len() {
		return nil, nil, fmt.Errorf("private: %d samples with %d classes: each needs one", data.Len(), len(data.Class))
	}
	return trainHead(ctx, m, data.Class, o, func(i int, dst []byte) error {
		if x := data.X[i]; len(x) != in.Shape.Elems() {
			return fmt.Errorf("private: sample %d has %d values; the model's input has %d", i, len(x), in.Shape.Elems())
		}
		copy(dst, ondevice.RawInput(in, data.X[i]))
		return nil
	})
}

// TrainHeadOn is TrainHead on samples that need not be in memory; each is read once.
// Their labels must be among the model's, or the numbers of its outputs where it has
// none.
func TrainHeadOn(ctx context.Context, m *format.Model, data ondevice.Data, o Options) (*format.Model, *Spent, error) {
	class := make([]int, data.Len())
	for i := range class {
		label := data.Sample(i).Label
		if class[i] = slices.Index(m.Header.Labels, label); class[i] >= 0 {
			continue
		}
		c, err := strconv.Atoi(label)
		if err != nil || len(m.Header.Labels) > 0 {
			return nil, nil, fmt.Errorf("private: the model has no class %q; build.Append puts a head with it on the model", label)
		}
		class[i] = c
	}
	return trainHead(ctx, m, class, o, data.Input)
}

// trainHead has the class of every sample and what fills in its input.
func trainHead(ctx context.Context, m *format.Model, class []int, o Options, input func(i int, dst []byte) error) (*format.Model, *Spent, error) {
	node, err := head(m)
	if err != nil {
		return nil, nil, err
	}
	w, b := m.Tensor(node.Inputs[1]), m.Tensor(node.Inputs[2])
	classes, dim, n := w.Shape[0], w.Shape[1], len(class)
	if n == 0 || slices.Min(class) < 0 || slices.Max(class) >= classes {
		return nil, nil, fmt.Errorf("private: of %d samples one is of no class of a head of %d; build.Append puts a larger one on the model", n, classes)
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Epochs, 20)
	def(&o.Batch, max(1, n/20))
	if o.Delta == 0 {
		o.Delta = 1 / (2 * float64(n))
	}
	if o.Clip == 0 {
		o.Clip = 1
	}
	if o.Rate == 0 {
		o.Rate = 0.5
	}
	if o.Epochs < 1 || o.Batch < 1 || o.Batch > n || !(o.Clip > 0) || !(o.Rate > 0) {
		return nil, nil, fmt.Errorf("private: %d epochs, batches of %d among %d, norm %v, rate %v: one is out of range", o.Epochs, o.Batch, n, o.Clip, o.Rate)
	}
	s := &Spent{Delta: o.Delta, Rate: float64(o.Batch) / float64(n), Steps: o.Epochs * n / o.Batch}
	if s.Noise, err = Noise(o.Epsilon, s.Rate, s.Steps, o.Delta); err != nil {
		return nil, nil, err
	}
	if s.Epsilon, err = Epsilon(s.Noise, s.Rate, s.Steps, o.Delta); err != nil {
		return nil, nil, err
	}
	x, err := features(ctx, m, node.Inputs[0], dim, n, input)
	if err != nil {
		return nil, nil, err
	}
	t := &trainer{classes: classes, dim: dim, o: o, w: append(ondevice.RealInput(w, w.Data), ondevice.RealInput(b, b.Data)...)}
	if err := t.train(ctx, x, class, s); err != nil {
		return nil, nil, err
	}
	out := *m
	out.Tensors = slices.Clone(m.Tensors)
	for i, c := range out.Tensors {
		v := t.w[:classes*dim]
		if c == b {
			v = t.w[classes*dim:]
		}
		if c == w || c == b {
			k := *c
			k.Data = ondevice.RawInput(c, v)
			out.Tensors[i] = &k
		}
	}
	return &out, s, nil
}

// features runs the model's body on all n samples.
func features(ctx context.Context, m *format.Model, tensor string, dim, n int, input func(i int, dst []byte) error) ([][]float32, error) {
	prog, err := runtime.Compile(m, runtime.WithOutputs(tensor))
	if err != nil {
		return nil, err
	}
	session := prog.NewSession()
	defer session.Close()
	list := make([][]float32, n)
	for i := range list {
		if err := input(i, session.Input(0).Bytes()); err != nil {
			return nil, err
		}
		session.Reset()
		if err := session.Run(ctx); err != nil {
			return nil, err
		}
		list[i] = slices.Clone(session.Output(0).Float32()[:dim])
	}
	return list, nil
}

// A trainer is a head in training: weights [classes, dim], then biases.
type trainer struct {
	classes, dim int
	o            Options
	w            []float32
}

func (t *trainer) train(ctx context.Context, x [][]float32, class []int, s *Spent) error {
	seed := t.o.Seed
	if seed == nil {
		seed = new([32]byte)
		if _, err := crand.Read(seed[:]); err != nil {
			return err
		}
	}
	r := rand.New(rand.NewChaCha8(*seed))
	sum, logits, delta := make([]float64, len(t.w)), make([]float32, t.classes), make([]float32, t.classes)
	length := make([]float64, len(x)) // sqrt(|x|²+1)
	for i, v := range x {
		length[i] = 1
		for _, f := range v {
			length[i] += float64(f) * float64(f)
		}
		length[i] = math.Sqrt(length[i])
	}
	drawn, clipped := 0, 0
	biases := t.w[t.classes*t.dim:]
	for range s.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(sum)
		for i, v := range x {
			if r.Float64() >= s.Rate {
				continue
			}
			for c := range logits {
				logits[c] = biases[c]
				for k, f := range v {
					logits[c] += t.w[c*t.dim+k] * f
				}
			}
			grad.SoftmaxCrossEntropy(delta, logits, class[i:i+1], 1, t.classes, 0, 1)
			norm := 0.0
			for _, d := range delta {
				norm += float64(d) * float64(d)
			}
			norm = math.Sqrt(norm) * length[i]
			drawn++
			scale := 1.0
			if clip := float64(t.o.Clip); norm > clip {
				scale = clip / norm
				clipped++
			}
			for c, d := range delta {
				d := float64(d) * scale
				for k, f := range v {
					sum[c*t.dim+k] += d * float64(f)
				}
				sum[t.classes*t.dim+c] += d
			}
		}
		for i := range t.w {
			g := sum[i] + s.Noise*float64(t.o.Clip)*r.NormFloat64()
			t.w[i] -= float32(float64(t.o.Rate) * g / float64(t.o.Batch))
		}
	}
	s.Clipped = float64(clipped) / float64(max(drawn, 1))
	return nil
}

// An Inference is how well an outsider who sees a sample's loss can tell whether the
// sample was trained on (Yeom et al., 2018, arXiv:1709.01604).
type Inference struct {
	AUC       float64 // chance that a training sample has the smaller loss; 0.5: nothing shows
	Advantage float64 // largest difference of true and false positives over all thresholds
}

// Membership compares the losses of samples that were trained on with those of
// samples that were not.
func Membership(members, others []float64) (Inference, error) {
	if len(members) == 0 || len(others) == 0 {
		return Inference{}, fmt.Errorf("private: losses of %d members and %d others: both are needed", len(members), len(others))
	}
	a, b := slices.Sorted(slices.Values(members)), slices.Sorted(slices.Values(others))
	var r Inference
	for _, v := range b {
		below, _ := slices.BinarySearch(a, v)
		upTo, _ := slices.BinarySearch(a, math.Nextafter(v, math.Inf(1)))
		r.AUC += (float64(below) + float64(upTo)) / 2
	}
	r.AUC /= float64(len(a)) * float64(len(b))
	for _, threshold := range a {
		hit, _ := slices.BinarySearch(a, math.Nextafter(threshold, math.Inf(1)))
		wrong, _ := slices.BinarySearch(b, math.Nextafter(threshold, math.Inf(1)))
		r.Advantage = max(r.Advantage, float64(hit)/float64(len(a))-float64(wrong)/float64(len(b)))
	}
	return r, nil
}

// Losses are the cross-entropies of a model's samples.
func Losses(ctx context.Context, m *format.Model, data *fit.Data) ([]float64, error) {
	y, err := fit.Predict(ctx, m, data.X)
	if err != nil {
		return nil, err
	}
	softmax := false
	for _, n := range m.Main().Nodes {
		softmax = softmax || n.Op == "Softmax" && slices.Contains(n.Outputs, m.Main().Outputs[0])
	}
	list := make([]float64, len(y))
	for i, s := range y {
		if softmax {
			list[i] = -math.Log(max(float64(s[data.Class[i]]), math.SmallestNonzeroFloat32))
			continue
		}
		list[i] = grad.SoftmaxCrossEntropy(make([]float32, len(s)), s, data.Class[i:i+1], 1, len(s), 0, 1)
	}
	return list, nil
}

// An Item is a part of what leaves a device with a delta.
type Item struct {
	What   string // "weights", "labels", "metrics" or "card"
	Name   string
	Values int // numbers or texts
	Bytes  int
}

// Outgoing lists what a delta from base to tuned tells: the weights that differ,
// names of classes, figures and remarks in the header. Samples, features and the
// order of training are in no delta.
func Outgoing(base, tuned *format.Model) (list []Item) {
	had := map[string]*format.Tensor{}
	for _, t := range base.Tensors {
		had[t.Name] = t
	}
	for _, t := range tuned.Tensors {
		if o := had[t.Name]; t.Const() && (o == nil || o.Type != t.Type || !slices.Equal(o.Data, t.Data)) {
			list = append(list, Item{"weights", t.Name, t.Shape.Elems(), len(t.Data)})
		}
	}
	if !slices.Equal(base.Header.Labels, tuned.Header.Labels) {
		n := 0
		for _, l := range tuned.Header.Labels {
			n += len(l)
		}
		list = append(list, Item{"labels", "", len(tuned.Header.Labels), n})
	}
	for _, k := range slices.Sorted(maps.Keys(tuned.Header.Metrics)) {
		if v, ok := base.Header.Metrics[k]; !ok || v != tuned.Header.Metrics[k] {
			list = append(list, Item{"metrics", k, 1, binary.Size(v)})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(tuned.Header.Card)) {
		if v := tuned.Header.Card[k]; base.Header.Card[k] != v {
			list = append(list, Item{"card", k, 1, len(v)})
		}
	}
	return list
}
