package quant

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// outlierNet is floatNet with outliers and another activation ("": Relu): the
// function is as before, but one int8 scale cannot hold all channels.
func outlierNet(act string) *format.Model {
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	if act != "" {
		m.Main().Nodes[1].Op = act
	}
	return outliers(m)
}

// shiftedNet is floatNet with a channel of the first layer's output that lies
// around 300; the next layer takes that off again.
func shiftedNet() *format.Model {
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	m.Main().Nodes[1].Op = "Elu"
	b1, w2, b2 := float32s(m.Tensor("b1")), float32s(m.Tensor("w2")), float32s(m.Tensor("b2"))
	b1[5] += 300
	for o := range b2 {
		for tap := range 9 {
			if w := &w2[(o*9+tap)*16+5]; tap == 4 { // inside for every position
				b2[o] -= 300 * *w
			} else {
				*w = 0
			}
		}
	}
	m.Tensor("b1").Data, m.Tensor("w2").Data, m.Tensor("b2").Data = bytesOf(b1), bytesOf(w2), bytesOf(b2)
	return m
}

func quantized(t *testing.T, m *format.Model, o Options) *Result {
	t.Helper()
	r, err := Quantize(context.Background(), m, samples(1, 24), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOutliersAreBroughtBack(t *testing.T) {
	m := outlierNet("")
	plain := quantized(t, m, Options{Method: MinMax, Plain: true})
	if db := sqnr(t, m, plain.Model); db > 12 {
		t.Fatalf("plain int8 reaches %.1f dB: the net does not collapse and shows nothing", db)
	}
	if g := plain.Report.Guilty(1); len(g) != 1 || g[0].Node != "conv1" && g[0].Node != "conv2" {
		t.Errorf("the report blames %+v", g)
	}
	repaired := quantized(t, m, Options{})
	if repaired.Report.Equalized == 0 {
		t.Error("nothing was equalized")
	}
	if db := sqnr(t, m, repaired.Model); db < 25 {
		t.Errorf("repaired: %.1f dB", db)
	}
	if len(repaired.Float) != 0 {
		t.Errorf("%v stayed float", repaired.Float)
	}
}

func TestBudgetKeepsTheGuiltyLayers(t *testing.T) {
	m := outlierNet("Elu") // no equalization through it
	for _, budget := range []float64{20, 26} {
		r := quantized(t, m, Options{Budget: Budget{SQNR: budget}})
		if r.Report.Score.SQNR < budget {
			t.Errorf("%.1f dB, asked for %v", r.Report.Score.SQNR, budget)
		}
		var kept []string
		for _, k := range r.Report.Kept {
			kept = append(kept, k.Node)
		}
		if !slices.Contains(kept, "conv2") || slices.Contains(kept, "fc") {
			t.Errorf("kept %v; conv2 reads the outliers, fc does not", kept)
		}
		if !reflect.DeepEqual(kept, r.Float) {
			t.Errorf("kept %v, float %v", kept, r.Float)
		}
	}
	if r := quantized(t, m, Options{Budget: Budget{SQNR: 1}}); len(r.Float) != 0 {
		t.Errorf("a budget that int8 meets kept %v", r.Float)
	}
}

// TestBudgetKeepsLayersInInt16 where activations, not weights, are to blame.
func TestBudgetKeepsLayersInInt16(t *testing.T) {
	m := outlierNet("Elu")
	if r := quantized(t, m, Options{Budget: Budget{SQNR: 26}, Fallback: format.Int16}); len(r.Report.Kept) == 0 || r.Report.Kept[0].Type != "float32" || r.Report.Score.SQNR < 26 {
		t.Errorf("int16 cannot mend weights: kept %+v, %.1f dB", r.Report.Kept, r.Report.Score.SQNR)
	}
	m = shiftedNet()
	r := quantized(t, m, Options{Budget: Budget{SQNR: 26}, Fallback: format.Int16})
	if r.Report.Score.SQNR < 26 || len(r.Float) != 0 {
		t.Errorf("%.1f dB, float nodes %v", r.Report.Score.SQNR, r.Float)
	}
	types := map[string]format.DType{}
	for _, n := range r.Model.Main().Nodes {
		types[n.Name] = r.Model.Tensor(n.Outputs[0]).Type
	}
	if types["conv2"] != format.Int16 || types["fc"] != format.Int8 {
		t.Errorf("conv2 gives %v, fc %v", types["conv2"], types["fc"])
	}
	if k := r.Report.Kept; len(k) == 0 || k[0].Type != "int16" {
		t.Errorf("kept %+v", k)
	}
	if db := sqnr(t, m, r.Model); db < 24 {
		t.Errorf("%.1f dB on other samples", db)
	}
	if _, err := Quantize(context.Background(), m, samples(1, 4), Options{Fallback: format.Int4}); err == nil {
		t.Error("a fallback to int4 was taken")
	}
}

func TestWide(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	r := quantized(t, m, Options{Wide: true})
	if db := sqnr(t, m, r.Model); db < 35 { // the rounding of the weights is left
		t.Errorf("16x8: %.1f dB", db)
	}
	for _, name := range []string{"x", "b", "y"} {
		if x := r.Model.Tensor(name); x.Type != format.Int16 || x.Quant.ZeroPoint() != 0 {
			t.Errorf("%q is %v, zero point %d", name, x.Type, x.Quant.ZeroPoint())
		}
	}
}

func TestEqualizeKeepsTheBits(t *testing.T) {
	bounded := outlierNet("Clip")
	bounded.Main().Nodes[1].Attrs = format.Attrs{"min": 0.0, "max": 1e6}
	for _, m := range []*format.Model{outlierNet(""), outlierNet("LeakyRelu"), bounded} {
		obs, err := Observe(context.Background(), m, samples(1, 8))
		if err != nil {
			t.Fatal(err)
		}
		eq, n := Equalize(m, obs)
		if n != 1 { // conv2's flattened output and fc share no balance to mend
			t.Logf("%d pairs", n)
		}
		if n == 0 {
			t.Fatal("nothing was equalized")
		}
		if db := sqnr(t, m, eq); db != inf {
			t.Errorf("the equalized model differs: %.1f dB", db)
		}
	}
}

// TestFactorsBeneathABound of ReLU6: a channel that reaches it stays, no channel
// shrinks or grows beyond it.
func TestFactorsBeneathABound(t *testing.T) {
	ranges := []float32{6, 2.9, 0.1, 6}
	for _, depthwise := range []bool{true, false} {
		f := factors(ranges, []float32{0.01, 1, 1, 1}, 6, depthwise)
		if f[0] != 1 || f[1] != 2 && depthwise || f[3] != 1 || f[2] <= 1 {
			t.Errorf("depthwise %v: factors %v", depthwise, f)
		}
		for c, r := range ranges {
			if f[c]*r > 6 {
				t.Errorf("depthwise %v: channel %d reaches %v", depthwise, c, f[c]*r)
			}
		}
	}
	if f := factors([]float32{1, 8}, []float32{4, 1}, float32(inf), false); f[0] >= 1 && f[1] >= 1 {
		t.Errorf("without a bound: factors %v", f)
	}
}

func TestQuantizeIsDeterministic(t *testing.T) {
	m := outlierNet("")
	a, b := quantized(t, m, Options{Budget: Budget{SQNR: 30}}), quantized(t, m, Options{Budget: Budget{SQNR: 30}})
	if !reflect.DeepEqual(a.Report, b.Report) || !reflect.DeepEqual(a.Model.Tensors, b.Model.Tensors) || !reflect.DeepEqual(a.Model.Graphs, b.Model.Graphs) {
		t.Error("two runs differ")
	}
}

func TestFewSamples(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	for _, method := range []Method{Auto, MinMax, MovingAverage, Percentile, MSE, Entropy} {
		for _, n := range []int{1, 2, 32} {
			r, err := Quantize(context.Background(), m, samples(5, n), Options{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if db := sqnr(t, m, r.Model); db < 14 {
				t.Errorf("%v of %d samples: %.1f dB", method, n, db)
			}
		}
	}
}

// TestLabels bounds the loss of accuracy on samples that carry the float
// model's own answers.
func TestLabels(t *testing.T) {
	m := outlierNet("Elu")
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	var class []int
	for x := range samples(1, 24) {
		if err := s.Input(0).SetFloat32(x[0]); err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		class = append(class, argmax(s.Output(0).Float32()))
	}
	none := 0.0
	r := quantized(t, m, Options{Class: class, Budget: Budget{Drop: &none}})
	if *r.Report.Accuracy != 1 || *r.Report.Score.Accuracy != 1 {
		t.Errorf("accuracy %v of %v", *r.Report.Score.Accuracy, *r.Report.Accuracy)
	}
	r = quantized(t, m, Options{Budget: Budget{Drop: &none}}) // the answers are those of the labels
	if *r.Report.Score.Agreement != 1 || r.Report.Accuracy != nil || len(r.Report.Kept) == 0 {
		t.Errorf("agreement %v, kept %v", *r.Report.Score.Agreement, r.Report.Kept)
	}
	if _, err := Quantize(context.Background(), m, samples(1, 24), Options{Class: class[:3]}); err == nil {
		t.Error("too few labels were taken")
	}
}
