package explain_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/explain"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/quant"
)

func network(t testing.TB, shape []int, line string) *format.Model {
	t.Helper()
	layers, err := build.Parse(line, 3)
	if err != nil {
		t.Fatal(err)
	}
	m, err := build.New(shape, 4, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func raw(v []float32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func sample(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	v := make([]float32, n)
	for i := range v {
		v[i] = r.Float32()
	}
	return v
}

// mlp is a network of a tanh layer and a linear one in float64.
type mlp struct{ w1, w2 [][]float64 }

func matrix(m *format.Model, name string) (rows [][]float64) {
	t := m.Tensor(name)
	for o := range t.Shape[0] {
		var row []float64
		for i := range t.Shape[1] {
			row = append(row, float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*(o*t.Shape[1]+i):]))))
		}
		rows = append(rows, row)
	}
	return rows
}

// score returns score k of x and its gradient.
func (n *mlp) score(x []float64, k int) (y float64, g []float64) {
	g = make([]float64, len(x))
	for h, row := range n.w1 {
		z := 0.0
		for i, v := range x {
			z += row[i] * v
		}
		a := math.Tanh(z)
		y += n.w2[k][h] * a
		for i := range x {
			g[i] += n.w2[k][h] * (1 - a*a) * row[i]
		}
	}
	return y, g
}

func TestAgreesWithFloat64(t *testing.T) {
	m := network(t, []int{7}, "dense(9,tanh)+dense(n,softmax)")
	ref := &mlp{matrix(m, "dense1/weights"), matrix(m, "dense2/weights")}
	e, err := explain.New(m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, x32, b32 := context.Background(), sample(7), make([]float32, 7)
	b32[2] = 0.3
	var x, base []float64
	for i := range x32 {
		x, base = append(x, float64(x32[i])), append(base, float64(b32[i]))
	}
	o := explain.Options{Class: 2, Baseline: raw(b32)}

	y, g := ref.score(x, 2)
	a, err := e.GradientInput(ctx, raw(x32), o)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(float64(a.Score)-y) > 1e-5 {
		t.Errorf("score %v, want %v", a.Score, y)
	}
	for i := range x {
		if want := g[i] * (x[i] - base[i]); math.Abs(float64(a.Values[i])-want) > 1e-5 {
			t.Errorf("gradient x input %d is %v, want %v", i, a.Values[i], want)
		}
	}

	if a, err = e.Integrated(ctx, raw(x32), o); err != nil {
		t.Fatal(err)
	}
	const fine = 5000
	sum := 0.0
	for i := range x {
		want := 0.0
		for k := range fine {
			p := make([]float64, len(x))
			for j := range p {
				p[j] = base[j] + (float64(k)+0.5)/fine*(x[j]-base[j])
			}
			_, g := ref.score(p, 2)
			want += g[i] * (x[i] - base[i]) / fine
		}
		if math.Abs(float64(a.Values[i])-want) > 1e-4 {
			t.Errorf("integrated gradient %d is %v, want %v", i, a.Values[i], want)
		}
		sum += float64(a.Values[i])
	}
	before, _ := ref.score(base, 2)
	if math.Abs(sum-(y-before)) > 1e-4 {
		t.Errorf("integrated gradients add up to %v, the scores differ by %v", sum, y-before)
	}

	if a, err = e.Occlusion(ctx, raw(x32), o); err != nil {
		t.Fatal(err)
	}
	for i := range x {
		hidden := slices.Clone(x)
		hidden[i] = base[i]
		if without, _ := ref.score(hidden, 2); math.Abs(float64(a.Values[i])-(y-without)) > 1e-5 {
			t.Errorf("occlusion %d is %v, want %v", i, a.Values[i], y-without)
		}
	}
}

// Every element is covered, and a score that adds up parts is told apart: each
// value's share is its own.
func TestOcclusionOfPictures(t *testing.T) {
	for shape, window := range map[[3]int][]int{{9, 7, 2}: {4, 3}, {5, 5, 1}: nil, {30, 20, 3}: nil} {
		m := network(t, shape[:], "flatten+dense(n)")
		e, err := explain.New(m)
		if err != nil {
			t.Fatal(err)
		}
		a, err := e.Occlusion(context.Background(), raw(sample(shape[0]*shape[1]*shape[2])), explain.Options{Class: 1, Window: window})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(a.Values, func(v float32) bool { return v != v }) {
			t.Errorf("%v: something is not covered", shape)
		}
	}
}

// The integer network's explanations resemble the float one's.
func TestQuantized(t *testing.T) {
	m := network(t, []int{8, 8, 1}, "conv(6,3,relu)+maxpool(2)+flatten+dense(n,softmax)")
	x := sample(64)
	res, err := quant.Quantize(context.Background(), m, func(yield func(quant.Sample, error) bool) { yield(quant.Sample{x}, nil) }, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := res.Model
	input := q.Tensor(q.Main().Inputs[0].Tensor)
	b := raw(x)
	if input.Type != format.Float32 {
		b = nil
		for _, v := range x {
			b = append(b, byte(int32(math.RoundToEven(float64(v/input.Quant.Scale[0])))+input.Quant.ZeroPoint()))
		}
	}
	for name, method := range map[string]func(*explain.Explainer, []byte) (*explain.Attribution, error){
		"gradient": func(e *explain.Explainer, b []byte) (*explain.Attribution, error) {
			return e.GradientInput(t.Context(), b, explain.Options{Class: 1})
		},
		"integrated": func(e *explain.Explainer, b []byte) (*explain.Attribution, error) {
			return e.Integrated(t.Context(), b, explain.Options{Class: 1})
		},
		"occlusion": func(e *explain.Explainer, b []byte) (*explain.Attribution, error) {
			return e.Occlusion(t.Context(), b, explain.Options{Class: 1, Window: []int{3, 3}})
		},
	} {
		var values [2][]float32
		for i, k := range []struct {
			m *format.Model
			b []byte
		}{{m, raw(x)}, {q, b}} {
			e, err := explain.New(k.m)
			if err != nil {
				t.Fatal(err)
			}
			a, err := method(e, k.b)
			if err != nil {
				t.Fatal(err)
			}
			values[i] = a.Values
		}
		if c := correlation(values[0], values[1]); c < 0.9 {
			t.Errorf("%s: float and integer correlate by %.3f", name, c)
		}
	}
}

func correlation(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

func TestPictures(t *testing.T) {
	for name, k := range map[string]struct {
		shape []int
		line  string
		kind  explain.Kind
	}{
		"picture": {[]int{8, 8, 3}, "flatten+dense(n)", explain.Picture},
		"series":  {[]int{20, 2}, "lstm(3)+dense(n)", explain.Series},
		"row":     {[]int{5}, "dense(n)", explain.Row},
	} {
		m := network(t, k.shape, k.line)
		e, err := explain.New(m)
		if err != nil {
			t.Fatal(err)
		}
		a, err := e.GradientInput(context.Background(), raw(sample(m.Tensor("input").Shape.Elems())), explain.Options{Class: -1})
		if err != nil {
			t.Fatal(err)
		}
		if a.Kind() != k.kind {
			t.Errorf("%s is taken for kind %d", name, a.Kind())
		}
		var b bytes.Buffer
		if err := a.WriteSVG(&b, "a <title> & more"); err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(&b); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		err = a.WritePNG(&b)
		if k.kind != explain.Picture {
			if err == nil {
				t.Errorf("%s is written as PNG", name)
			}
			continue
		}
		if img, err := png.Decode(&b); err != nil || img.Bounds().Dx() != 336 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	m := network(t, []int{5}, "dense(n)")
	e, err := explain.New(m)
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]explain.Options{"class 3": {Class: 3}, "baseline": {Baseline: []byte{1}}, "steps": {Steps: -1}} {
		if _, err := e.Integrated(context.Background(), raw(sample(5)), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	for _, window := range [][]int{{1, 1}, {6}, {-1}} {
		if _, err := e.Occlusion(context.Background(), raw(sample(5)), explain.Options{Window: window}); err == nil {
			t.Errorf("a window of %v is not refused", window)
		}
	}
	if _, err := e.GradientInput(context.Background(), []byte{1}, explain.Options{}); err == nil {
		t.Error("an input that is too short is not refused")
	}
}

// Of three columns the second alone decides.
func ExampleImportance() {
	r := rand.New(rand.NewPCG(1, 1))
	data := &fit.Data{}
	for range 200 {
		x := []float32{r.Float32(), r.Float32(), r.Float32()}
		class := 0
		if x[1] > 0.5 {
			class = 1
		}
		data.X, data.Class = append(data.X, x), append(data.Class, class)
	}
	m, err := build.New([]int{3}, 1, build.Dense{Units: 8, Activation: "relu"}, build.Dense{Units: 2})
	if err != nil {
		log.Fatal(err)
	}
	res, err := fit.Train(context.Background(), m, data, fit.Options{Epochs: 60, Rate: 0.02})
	if err != nil {
		log.Fatal(err)
	}
	importance, err := explain.Importance(context.Background(), res.Model, data, 5, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f\n", importance)
	// Output:
	// [0.0 0.5 0.0]
}

// Which values of a row speak for the class?
func ExampleExplainer_Integrated() {
	m, err := build.New([]int{4}, 1, build.Dense{Units: 2})
	if err != nil {
		log.Fatal(err)
	}
	weights := []float32{1, 0, 0, 0 /* and of class 1 */, 0, 2, 0, -1}
	m.Tensor("dense1/weights").Data = raw(weights)
	e, err := explain.New(m)
	if err != nil {
		log.Fatal(err)
	}
	a, err := e.Integrated(context.Background(), raw([]float32{1, 1, 1, 0.5}), explain.Options{Class: -1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("class %d, score %.1f, of which %.1f\n", a.Class, a.Score, a.Values)
	// Output:
	// class 1, score 1.5, of which [0.0 2.0 0.0 -0.5]
}
