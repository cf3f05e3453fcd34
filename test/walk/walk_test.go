// Package walk goes the whole road once, from pictures to a network that is built,
// trained, judged, changed, explained, attacked, defended, made small, deployed,
// retrained and rolled back. README.md tells it.
package walk

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/attack"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/explain"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/judge"
	"github.com/whet-edge/whet/ondevice/private"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime"
)

var pictures = flag.String("pictures", "", "folder to write the pictures of README.md to")

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// clothes are 1000 pictures of Fashion-MNIST, as numbers from 0 to 1.
func clothes() *fit.Data {
	images := must(demo.Embedded())[0]
	d := &fit.Data{Class: images.Label}
	for _, p := range images.Pixels {
		x := make([]float32, len(p))
		for i, v := range p {
			x[i] = float32(v) / 255
		}
		d.X = append(d.X, x)
	}
	return d
}

// judged runs a model on samples and sums up.
func judged(m *format.Model, d *fit.Data) *judge.Result {
	prog := must(runtime.Compile(m))
	s := prog.NewSession()
	defer s.Close()
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	k := judge.NewClasses(10)
	for i, x := range d.X {
		copy(s.Input(0).Bytes(), ondevice.RawInput(in, x))
		check(s.Run(context.Background()))
		k.Add(s.Output(0).Float32(), d.Class[i])
	}
	return k.Result()
}

// attacked are the samples after an attack on the model.
func attacked(m *format.Model, d *fit.Data, o attack.Options) *fit.Data {
	a := must(attack.New(m, o, 1))
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	out := &fit.Data{Class: d.Class}
	for i, x := range d.X {
		out.X = append(out.X, ondevice.RealInput(in, must(a.Attack(context.Background(), ondevice.RawInput(in, x), d.Class[i]))))
	}
	return out
}

// samples are those for package ondevice: inputs as the model takes them, classes by
// name.
func samples(m *format.Model, d *fit.Data) (list ondevice.Samples) {
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	for i, x := range d.X {
		list = append(list, ondevice.Sample{Input: ondevice.RawInput(in, x), Label: demo.Classes[d.Class[i]]})
	}
	return list
}

func write(name string, picture func(b *bytes.Buffer) error) {
	if *pictures == "" {
		return
	}
	var b bytes.Buffer
	check(picture(&b))
	check(os.WriteFile(filepath.Join(*pictures, name), b.Bytes(), 0o644))
}

func Example_theWholeRoad() {
	ctx := context.Background()

	// Data: a quarter is kept for judging, by class.
	all := clothes()
	learn, keep := fit.Stratified(all.Class, 0.25, 1)
	train, test := all.Subset(learn), all.Subset(keep)
	fmt.Printf("data: %d pictures to learn from, %d to judge by\n", train.Len(), test.Len())

	// Build: the article's network.
	layers := must(build.Parse("conv(32,3,relu)+maxpool(2)+conv(64,3,relu)+maxpool(2)+flatten+dense(128,relu)+dense(n,softmax)", 10))
	m := must(build.New([]int{28, 28, 1}, 1, layers...))
	m.Header.Labels = demo.Classes

	// Train: until the validation has not been better for two epochs.
	r := must(fit.Train(ctx, m, train, fit.Options{Epochs: 10, Val: 0.2, Patience: 2, Dropout: map[string]float32{"dense1": 0.3}}))
	m = r.Model
	var loss, val []float64
	for _, e := range r.Curve {
		loss, val = append(loss, e.Loss), append(val, e.ValLoss)
	}
	write("curves.svg", func(b *bytes.Buffer) error {
		return judge.WriteCurves(b, judge.Panel{Title: "Loss by epoch", Curves: []judge.Curve{{Name: "training", Values: loss}, {Name: "validation", Values: val}}})
	})

	// Judge.
	j := judged(m, test)
	fmt.Printf("judge: accuracy %.3f, recall %.3f, F1 %.3f, AUC %.3f, calibration error %.3f\n", j.Accuracy, j.Recall, j.F1, j.AUC, j.Calibration)

	// Attack and defend: all layers but the first learn pictures that are moved
	// against them.
	pgd := attack.Options{Epsilon: 0.08, Steps: 5, Lo: 0, Hi: 1}
	before := judged(m, attacked(m, test, pgd)).Accuracy
	learned := pgd
	learned.Steps = 3
	guarded := must(fit.Train(ctx, must(build.Freeze(m, "conv1")), train, fit.Options{Epochs: 4, Attack: &learned})).Model
	guarded.Header.Tunable = nil
	fmt.Printf("attack: %.3f left under PGD, after training against it %.3f\n", before, judged(guarded, attacked(guarded, test, pgd)).Accuracy)

	// Optimize: whole numbers.
	q := must(quant.Quantize(ctx, guarded, func(yield func(quant.Sample, error) bool) {
		for _, x := range train.X[:200] {
			if !yield(quant.Sample{slices.Clone(x)}, nil) {
				return
			}
		}
	}, quant.Options{})).Model
	fmt.Printf("optimize: accuracy %.3f in float32, %.3f in int8\n", judged(guarded, test).Accuracy, judged(q, test).Accuracy)

	// Understand, through the integer network.
	in := q.Tensor(q.Main().Inputs[0].Tensor)
	why := must(must(explain.New(q)).Integrated(ctx, ondevice.RawInput(in, test.X[3]), explain.Options{Class: -1}))
	fmt.Printf("understand: picture 3 is a %s, named %s\n", demo.Classes[test.Class[3]], demo.Classes[why.Class])
	write("why.png", func(b *bytes.Buffer) error { return why.WritePNG(b) })

	// Watch: in the field the pictures come darker.
	dark := func(d *fit.Data) *fit.Data {
		out := &fit.Data{Class: d.Class}
		for _, x := range d.X {
			y := make([]float32, len(x))
			for i, v := range x {
				y[i] = 0.25 * v
			}
			out.X = append(out.X, y)
		}
		return out
	}
	field, fieldTest := dark(train), dark(test)
	fmt.Printf("watch: accuracy in the field %.3f\n", judged(q, fieldTest).Accuracy)

	// Retrain on the device: the head, behind the frozen integers. Only what passes the
	// gate becomes a delta.
	plan := must(ondevice.Plan(q, samples(q, field), ondevice.Options{Val: 0.3, Gate: ondevice.Gate{MaxClassDrop: 0.5}}))
	delta, report, err := ondevice.Fit(ctx, plan)
	check(err)
	if !report.Passed {
		log.Fatal(report.Verdict)
	}
	tuned := must(format.Apply(q, delta))
	fmt.Printf("retrain: accuracy in the field %.3f\n", judged(tuned, fieldTest).Accuracy)

	// Roll back: the base is what it was.
	fmt.Printf("roll back: accuracy in the field %.3f\n", judged(q, fieldTest).Accuracy)

	// Keep private: what leaves the device, and the same head so that no sample shows.
	for _, i := range private.Outgoing(q, tuned) {
		if i.What == "weights" {
			fmt.Printf("leaves the device: %d numbers of %s\n", i.Values, i.Name)
		}
	}
	body := must(build.Cut(guarded, "dense1/relu"))
	fresh := must(build.Append(body, 2, demo.Classes, build.Dense{Units: 10, Activation: "softmax"}))
	_, spent, err := private.TrainHead(ctx, fresh, field, private.Options{Epsilon: 3, Delta: 1e-3})
	check(err)
	fmt.Printf("private: epsilon %.2f at delta %g\n", spent.Epsilon, spent.Delta)

	// Change: another task for the same body.
	other := must(build.Append(body, 3, []string{"shoe", "other"}, must(build.Parse("dense(64,relu)+dense(n,softmax)", 2))...))
	shoes := &fit.Data{X: train.X}
	for _, c := range train.Class {
		shoes.Class = append(shoes.Class, map[bool]int{true: 0, false: 1}[c == 5 || c == 7 || c == 9])
	}
	last := must(fit.Train(ctx, must(build.Freeze(other, "conv*", "dense1")), shoes, fit.Options{Epochs: 5})).Curve[4]
	fmt.Printf("change: shoes are told from the rest, %.3f right in training\n", last.Accuracy)

	// Output:
	// data: 749 pictures to learn from, 251 to judge by
	// judge: accuracy 0.777, recall 0.781, F1 0.785, AUC 0.970, calibration error 0.044
	// attack: 0.363 left under PGD, after training against it 0.526
	// optimize: accuracy 0.709 in float32, 0.709 in int8
	// understand: picture 3 is a Sandal, named Sneaker
	// watch: accuracy in the field 0.618
	// retrain: accuracy in the field 0.781
	// roll back: accuracy in the field 0.618
	// leaves the device: 1280 numbers of head/w
	// leaves the device: 10 numbers of head/b
	// private: epsilon 3.00 at delta 0.001
	// change: shoes are told from the rest, 0.999 right in training
}
