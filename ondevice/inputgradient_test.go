package ondevice

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
)

// golden is testdata/integers.json, which integers.py makes.
type golden struct {
	Tensors []struct {
		Name  string
		Scale float32
		Zero  int32
		Shape []int
		Codes []int8
	}
	Layers []struct {
		Name    string
		Weights []int8
		Shape   []int
		Scales  []float32
		Bias    []int32
	}
	Class     int
	Gradients map[string][]float64
}

func readGolden(t *testing.T) (*golden, *format.Model) {
	t.Helper()
	b, err := os.ReadFile("testdata/integers.json")
	if err != nil {
		t.Fatal(err)
	}
	var d golden
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	m := &format.Model{Header: format.Header{Opset: 1}}
	for _, x := range d.Tensors {
		shape := append(format.Shape{1}, x.Shape...)
		if x.Name == "mean" || x.Name == "score" {
			shape = format.Shape{1, x.Shape[2]}
		}
		m.Tensors = append(m.Tensors, &format.Tensor{Name: x.Name, Type: format.Int8, Shape: shape, Quant: format.PerTensor(x.Scale, x.Zero)})
	}
	for _, l := range d.Layers {
		w := &format.Tensor{Name: l.Name + "/w", Type: format.Int8, Shape: l.Shape, Quant: &format.Quant{Scale: l.Scales}}
		if l.Name == "score" {
			w.Shape = format.Shape{l.Shape[0], l.Shape[3]}
		}
		for _, q := range l.Weights {
			w.Data = append(w.Data, byte(q))
		}
		bias := &format.Tensor{Name: l.Name + "/b", Type: format.Int32, Shape: format.Shape{len(l.Bias)}}
		for _, v := range l.Bias {
			bias.Data = binary.LittleEndian.AppendUint32(bias.Data, uint32(v))
		}
		m.Tensors = append(m.Tensors, w, bias)
	}
	node := func(op, out string, attrs format.Attrs, in ...string) *format.Node {
		return &format.Node{Name: out, Op: op, Inputs: in, Outputs: []string{out}, Attrs: attrs}
	}
	ones := []int64{1, 1, 1, 1}
	m.Graphs = []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "in"}}, Outputs: []string{"score"}, Nodes: []*format.Node{
		node("Conv", "c1", format.Attrs{"pads": ones}, "in", "c1/w", "c1/b"),
		node("MaxPool", "pool", format.Attrs{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}, "c1"),
		node("Conv", "deep", format.Attrs{"pads": ones, "strides": []int64{2, 2}, "group": int64(6)}, "c1", "deep/w", "deep/b"),
		node("Conv", "point", nil, "deep", "point/w", "point/b"),
		node("Add", "sum", nil, "point", "pool"),
		node("ReduceMean", "mean", format.Attrs{"axes": []int64{1, 2}, "keepdims": int64(0)}, "sum"),
		node("Gemm", "score", format.Attrs{"transB": int64(1)}, "mean", "score/w", "score/b"),
	}}}
	return &d, reopen(t, m)
}

// The gradients through an int8 network against a float64 emulation of the same
// whole numbers, on every level.
func TestInputGradient(t *testing.T) {
	d, m := readGolden(t)
	var names []string
	for name := range d.Gradients {
		if name != "in" {
			names = append(names, name)
		}
	}
	in := codeBytes(d.Tensors[0].Codes)
	for _, level := range kernels.Levels() {
		g, err := newInputGradient(m, names, runtime.WithLevel(level))
		if err != nil {
			t.Fatal(err)
		}
		for _, class := range []int{-1, d.Class} {
			for _, name := range names {
				clear(g.tape.Tensor(name).Grad)
			}
			scores, by, err := g.Run(context.Background(), in, class)
			if err != nil {
				t.Fatal(err)
			}
			score := d.Tensors[len(d.Tensors)-1]
			for i, q := range score.Codes {
				if want := score.Scale * float32(int32(q)-score.Zero); scores[i] != want {
					t.Fatalf("%v: score %d is %v, want %v", level, i, scores[i], want)
				}
			}
			g.tape.Flush()
			closeTo(t, "in", by, d.Gradients["in"])
			for _, name := range names {
				closeTo(t, name, g.tape.Tensor(name).Grad, d.Gradients[name])
			}
		}
	}
}

// closeTo compares vectors, to 1e-5 of the length of the one wanted.
func closeTo(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	var diff, norm float64
	for i, v := range want {
		diff += (float64(got[i]) - v) * (float64(got[i]) - v)
		norm += v * v
	}
	if len(got) != len(want) || !(norm > 0) || math.Sqrt(diff/norm) > 1e-5 {
		t.Errorf("d/d%s: %d elements differ by %g of their length %g", name, len(got), math.Sqrt(diff/norm), math.Sqrt(norm))
	}
}

func codeBytes(codes []int8) (b []byte) {
	for _, q := range codes {
		b = append(b, byte(q))
	}
	return b
}

func TestInputGradientRefuses(t *testing.T) {
	m := convModel(t, "a", "b", "c")
	g, err := NewInputGradient(m)
	if err != nil {
		t.Fatal(err)
	}
	in := pictures(1, 1, "a")[0].Input
	if _, _, err := g.Run(context.Background(), in[1:], 0); err == nil {
		t.Error("an input that is too short was taken")
	}
	if _, _, err := g.Run(context.Background(), in, 3); err == nil {
		t.Error("a fourth score of three was taken")
	}
	scores, _, err := g.Run(context.Background(), in, 2)
	if err != nil || len(scores) != 3 {
		t.Errorf("%v, %v: want the three scores before the Softmax", scores, err)
	}
}
