package attack_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/attack"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/explain"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/quant"
)

// clouds are two classes in 16 values, of which the first tells them apart for sure
// and each other a little: robust and fragile signs (Tsipras et al., 2019).
func clouds(n int) *fit.Data {
	r := rand.New(rand.NewPCG(1, 1))
	d := &fit.Data{}
	for i := range n {
		sign := float64(2*(i%2) - 1)
		x := make([]float32, 16)
		x[0] = float32(min(max(0.5+0.35*sign+0.12*r.NormFloat64(), 0), 1))
		for k := 1; k < len(x); k++ {
			x[k] = float32(min(max(0.5+0.1*sign+0.1*r.NormFloat64(), 0), 1))
		}
		d.X, d.Class = append(d.X, x), append(d.Class, i%2)
	}
	return d
}

func train(t testing.TB, m *format.Model, d *fit.Data, o fit.Options) *format.Model {
	t.Helper()
	r, err := fit.Train(context.Background(), m, d, o)
	if err != nil {
		t.Fatal(err)
	}
	return r.Model
}

func network(t testing.TB) *format.Model {
	t.Helper()
	m, err := build.New([]int{16}, 1, build.Dense{Units: 16, Activation: "relu"}, build.Dense{Units: 2, Activation: "softmax"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// accuracy is that under an attack, or without one.
func accuracy(t testing.TB, m *format.Model, d *fit.Data, o *attack.Options) float64 {
	t.Helper()
	e, err := explain.New(m)
	if err != nil {
		t.Fatal(err)
	}
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	right := 0
	for i, x := range d.X {
		raw := ondevice.RawInput(in, x)
		if o != nil {
			a, err := attack.New(m, *o, uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err = a.Attack(context.Background(), raw, d.Class[i]); err != nil {
				t.Fatal(err)
			}
			for k, v := range ondevice.RealInput(in, raw) {
				step := float32(1e-6)
				if in.Quant != nil {
					step = in.Quant.Scale[0]
				}
				if far := float32(math.Abs(float64(v - x[k]))); far > o.Epsilon+step || v < o.Lo-step || v > o.Hi+step {
					t.Fatalf("sample %d: value %d moved from %v to %v", i, k, x[k], v)
				}
			}
		}
		a, err := e.GradientInput(context.Background(), raw, explain.Options{Class: -1})
		if err != nil {
			t.Fatal(err)
		}
		if a.Class == d.Class[i] {
			right++
		}
	}
	return float64(right) / float64(d.Len())
}

func TestAttackAndDefend(t *testing.T) {
	d := clouds(200)
	fgsm := attack.Options{Epsilon: 0.2, Lo: 0, Hi: 1}
	pgd := attack.Options{Epsilon: 0.2, Steps: 10, Random: true, Lo: 0, Hi: 1}
	m := train(t, network(t), d, fit.Options{Epochs: 30, Rate: 0.01})
	clean, fast, strong := accuracy(t, m, d, nil), accuracy(t, m, d, &fgsm), accuracy(t, m, d, &pgd)
	t.Logf("clean %.3f, FGSM %.3f, PGD %.3f", clean, fast, strong)
	if clean < 0.95 || fast > clean-0.3 || strong > fast+0.02 {
		t.Errorf("clean %.3f, FGSM %.3f, PGD %.3f", clean, fast, strong)
	}
	robust := train(t, m, d, fit.Options{Epochs: 30, Rate: 0.01, Attack: &pgd})
	if after := accuracy(t, robust, d, &pgd); after < strong+0.1 {
		t.Errorf("PGD %.3f before and %.3f after training against it", strong, after)
	}
}

func TestQuantized(t *testing.T) {
	d := clouds(60)
	m := train(t, network(t), d, fit.Options{Epochs: 30, Rate: 0.01})
	res, err := quant.Quantize(context.Background(), m, func(yield func(quant.Sample, error) bool) {
		for _, x := range d.X {
			if !yield(quant.Sample{slices.Clone(x)}, nil) {
				return
			}
		}
	}, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := attack.Options{Epsilon: 0.15, Steps: 5, Lo: 0, Hi: 1}
	float, integer := accuracy(t, m, d, &o), accuracy(t, res.Model, d, &o)
	if math.Abs(float-integer) > 0.1 {
		t.Errorf("accuracy under attack: float %.3f, integer %.3f", float, integer)
	}
}

func TestRefusals(t *testing.T) {
	m := network(t)
	for _, o := range []attack.Options{{}, {Epsilon: 0.1, Steps: -1}, {Epsilon: 0.1, Lo: 1}} {
		if _, err := attack.New(m, o, 1); err == nil || !strings.Contains(err.Error(), "out of range") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	a, err := attack.New(m, attack.Options{Epsilon: 0.1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Attack(context.Background(), []byte{1}, 0); err == nil {
		t.Error("an input that is too short is not refused")
	}
	if _, err := a.Attack(context.Background(), make([]byte, 64), 2); err == nil {
		t.Error("a class that the model lacks is not refused")
	}
}

// A step of 0.1 on every value is enough.
func ExampleAttacker_Attack() {
	m, err := build.New([]int{3}, 1, build.Dense{Units: 2})
	if err != nil {
		log.Fatal(err)
	}
	var w []byte
	for _, v := range []float32{1, -1, 0, 0, 0, 1} {
		w = binary.LittleEndian.AppendUint32(w, math.Float32bits(v))
	}
	m.Tensor("dense1/weights").Data = w
	a, err := attack.New(m, attack.Options{Epsilon: 0.1, Lo: 0, Hi: 1}, 1)
	if err != nil {
		log.Fatal(err)
	}
	in := m.Tensor("input")
	x, err := a.Attack(context.Background(), ondevice.RawInput(in, []float32{0.5, 0.05, 0.4}), 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n", ondevice.RealInput(in, x))
	// Output:
	// [0.40 0.15 0.50]
}
