package ondevice_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// tiny is a model of 4 inputs and 2 outputs, a dense layer of zeros, which stands for
// one that was opened from a file.
func tiny() *format.Model {
	f := func(name string, shape ...int) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
	}
	w, b := f("w", 2, 4), f("b", 2)
	w.Data, b.Data = make([]byte, 32), make([]byte, 8)
	return &format.Model{
		Header:  format.Header{Opset: 1, Labels: []string{"low", "high"}},
		Tensors: []*format.Tensor{f("x", 1, 4), f("h", 1, 4), w, b, f("y", 1, 2)},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
			Nodes: []*format.Node{
				{Name: "relu", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"h"}},
				{Name: "dense", Op: "Gemm", Inputs: []string{"h", "w", "b"}, Outputs: []string{"y"}, Attrs: format.Attrs{"transB": int64(1)}},
			},
		}},
	}
}

// measurements are samples of 4 readings, high ones in the last two.
func measurements(n int) (data ondevice.Samples) {
	for i := range n {
		label, x := "low", []float32{1, 0.5, 0.1 * float32(i%5), 0.2}
		if i%2 == 1 {
			label, x = "high", []float32{0.3, 0.1 * float32(i%7), 1, 0.9}
		}
		var input []byte
		for _, v := range x {
			input = binary.LittleEndian.AppendUint32(input, math.Float32bits(v))
		}
		data = append(data, ondevice.Sample{Input: input, Label: label, Source: fmt.Sprint(i)})
	}
	return data
}

// A plan says what will be trained and what it takes, and refuses a budget that is too
// small with one that is enough.
func ExamplePlan() {
	m, data := tiny(), measurements(40)
	plan, err := ondevice.Plan(m, data, ondevice.Options{Tail: ondevice.Head})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.Node, plan.Params, "parameters,", plan.Samples, "samples,", plan.Steps, "steps")
	_, err = ondevice.Plan(m, data, ondevice.Options{Memory: 1 << 20})
	tight := new(ondevice.BudgetError)
	fmt.Println(errors.As(err, &tight), tight.Need > 1<<20)
	// Output:
	// dense 10 parameters, 40 samples, 600 steps
	// true true
}

// Fit trains without files. OnStep sees every step.
func ExampleFit() {
	first, last := 0.0, 0.0
	plan, err := ondevice.Plan(tiny(), measurements(40), ondevice.Options{
		Epochs: 20, LR: 0.1,
		OnStep: func(s ondevice.Step) error {
			if last = s.Loss; s.Number == 1 {
				first = s.Loss
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	delta, report, err := ondevice.Fit(context.Background(), plan)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.2f, then below 0.2: %v\n", first, last < 0.2)
	fmt.Println("published:", delta != nil, "accuracy", report.Tuned.Accuracy)
	// Output:
	// loss 0.69, then below 0.2: true
	// published: true accuracy 1
}

// A loss of the caller's own: the squared hinge, of which each output has its own.
func ExampleOptions_lossFunc() {
	hinge := func(gradient, output, target []float32) (loss float64) {
		for i, y := range output {
			sign := 2*target[i] - 1 // 1 or -1
			gap := max(0, 1-sign*y)
			loss += float64(gap * gap)
			gradient[i] = -2 * sign * gap
		}
		return loss
	}
	plan, err := ondevice.Plan(tiny(), measurements(40), ondevice.Options{Loss: ondevice.Custom, LossFunc: hinge, LR: 0.05, Epochs: 30})
	if err != nil {
		log.Fatal(err)
	}
	_, report, err := ondevice.Fit(context.Background(), plan)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Tuned.Accuracy)
	// Output: 1
}

// Start keeps the job in a file; Resume goes on with it after a power cut, to the same
// bits.
func ExampleResume() {
	plan, err := ondevice.Plan(tiny(), measurements(40), ondevice.Options{Epochs: 5})
	if err != nil {
		log.Fatal(err)
	}
	job, err := ondevice.Resume(context.Background(), plan, "tiny.job")
	if err != nil {
		log.Fatal(err)
	}
	delta, report, err := job.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	if delta == nil {
		log.Fatal(report.Verdict)
	}
	if err := format.WriteDeltaFile("tiny.whetd", delta); err != nil {
		log.Fatal(err)
	}
	if err := job.Remove(); err != nil { // only now is it no longer needed
		log.Fatal(err)
	}
}
