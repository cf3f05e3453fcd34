package more_test

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more"
)

// arr is an input of a graph with the value that it gets.
func arr[T any](typ format.DType, v []T, shape ...int) *format.Tensor {
	var t T
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(t)))
	return &format.Tensor{Type: typ, Shape: shape, Data: b}
}

func f32s(v []float32, shape ...int) *format.Tensor { return arr(format.Float32, v, shape...) }
func i64s(v []int64, shape ...int) *format.Tensor   { return arr(format.Int64, v, shape...) }
func bools(v []byte, shape ...int) *format.Tensor   { return arr(format.Bool, v, shape...) }

// session makes a session of a model and sets its inputs.
func session(t *testing.T, m *format.Model, in []*format.Tensor, threads int) *runtime.Session {
	t.Helper()
	p, err := runtime.Compile(m, runtime.WithThreads(threads))
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	for i, x := range in {
		copy(s.Input(i).Bytes(), x.Data)
	}
	return s
}

// run runs a graph of one node whose outputs have the types given, and checks that
// it does not allocate.
func run(t *testing.T, op string, attrs format.Attrs, in []*format.Tensor, out ...format.DType) *runtime.Session {
	t.Helper()
	n := &format.Node{Name: "n", Op: op, Attrs: attrs}
	g := &format.Graph{Name: "main", Nodes: []*format.Node{n}}
	m := &format.Model{Graphs: []*format.Graph{g}}
	name := func(x *format.Tensor) string {
		x.Name = string(rune('a' + len(m.Tensors)))
		m.Tensors = append(m.Tensors, x)
		return x.Name
	}
	for _, x := range in {
		n.Inputs = append(n.Inputs, name(&format.Tensor{Type: x.Type, Shape: x.Shape}))
		g.Inputs = append(g.Inputs, format.Input{Tensor: n.Inputs[len(n.Inputs)-1]})
	}
	shapes, err := format.Infer(op, attrs, in)
	if err != nil {
		t.Fatal(err)
	}
	for i, typ := range out {
		n.Outputs = append(n.Outputs, name(&format.Tensor{Type: typ, Shape: shapes[i]}))
	}
	g.Outputs = n.Outputs
	s := session(t, m, in, 2)
	for range 2 {
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(2, func() { s.Run(context.Background()) }); n != 0 {
		t.Errorf("%s: Run allocates %v times", op, n)
	}
	return s
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

const i64, f32 = format.Int64, format.Float32

// TestEveryOpIsTested walks the op table: what this package adds to it must have a
// test here, by name.
func TestEveryOpIsTested(t *testing.T) {
	tests, err := os.ReadFile("more_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"Compress", "DeformableIm2Col", "If", "Loop", "MaxRoiPool", "NonMaxSuppression", "NonZero", "RoiAlign", "Trim", "Unique"} {
		if format.Ops[op] == nil || !strings.Contains(string(tests), `, "`+op+`"`) && !strings.Contains(string(tests), `node("`+op+`"`) {
			t.Errorf("op %s has no test", op)
		}
	}
}

func TestNonZero(t *testing.T) {
	s := run(t, "NonZero", nil, []*format.Tensor{bools([]byte{0, 1, 0, 1, 1, 0}, 2, 3)}, i64, i64)
	equal(t, "positions", s.Output(0).Int64(), []int64{0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0})
	equal(t, "count", s.Output(1).Int64(), []int64{3})
}

func TestCompress(t *testing.T) {
	x := arr(format.Int8, []int8{1, 2, 3, 4, 5, 6}, 2, 3)
	s := run(t, "Compress", format.Attrs{"axis": int64(1)}, []*format.Tensor{x, bools([]byte{0, 1, 1}, 3)}, format.Int8, i64)
	equal(t, "columns", s.Output(0).Int8(), []int8{2, 3, 0, 5, 6, 0})
	s = run(t, "Compress", nil, []*format.Tensor{x, bools([]byte{0, 0, 0, 0, 1}, 5)}, format.Int8, i64)
	equal(t, "elements", s.Output(0).Int8(), []int8{5, 0, 0, 0, 0})
	equal(t, "count", s.Output(1).Int64(), []int64{1})
}

func TestUnique(t *testing.T) {
	nan := float32(math.NaN())
	x := f32s([]float32{2, 1, 1, nan, -4, 3, nan}, 7)
	s := run(t, "Unique", nil, []*format.Tensor{x}, f32, i64, i64, i64, i64)
	if y := s.Output(0).Float32(); !slices.Equal(y[:4], []float32{-4, 1, 2, 3}) || y[4] == y[4] || y[5] != 0 {
		t.Errorf("sorted: %v", y)
	}
	equal(t, "indices", s.Output(1).Int64(), []int64{4, 1, 0, 5, 3, 0, 0})
	equal(t, "inverse", s.Output(2).Int64(), []int64{2, 1, 1, 4, 0, 3, 4})
	equal(t, "counts", s.Output(3).Int64(), []int64{1, 2, 1, 1, 2, 0, 0})
	equal(t, "count", s.Output(4).Int64(), []int64{5})
	y := i64s([]int64{1, 0, 1, 2, 3, 2, 0, 9, 0}, 3, 3) // columns 1,2,0 and 0,3,9 and 1,2,0
	s = run(t, "Unique", format.Attrs{"axis": int64(1), "sorted": int64(0)}, []*format.Tensor{y}, i64, i64, i64, i64, i64)
	equal(t, "columns", s.Output(0).Int64(), []int64{1, 0, 0, 2, 3, 0, 0, 9, 0})
	equal(t, "indices", s.Output(1).Int64(), []int64{0, 1, 0})
	equal(t, "inverse", s.Output(2).Int64(), []int64{0, 1, 0})
	equal(t, "counts", s.Output(3).Int64(), []int64{2, 1, 0})
}

func TestNonMaxSuppression(t *testing.T) {
	boxes := []float32{0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 1, 11.1, 0, 10.1, 0, 100, 1, 101}
	scores := []float32{0.9, 0.75, 0.6, 0.95, 0.5, 0.3}
	attrs := format.Attrs{"max_output_boxes_per_class": int64(3), "iou_threshold": 0.5, "score_threshold": 0.4}
	s := run(t, "NonMaxSuppression", attrs, []*format.Tensor{f32s(boxes, 1, 6, 4), f32s(scores, 1, 1, 6)}, i64, i64)
	equal(t, "selected", s.Output(0).Int64(), []int64{0, 0, 3, 0, 0, 0, 0, 0, 0})
	equal(t, "count", s.Output(1).Int64(), []int64{2})
	centred := []float32{0.5, 0.5, 1, 1, 0.5, 0.6, 1, 1, 9, 9, 1, 1}
	attrs = format.Attrs{"max_output_boxes_per_class": int64(9), "iou_threshold": 0.5, "center_point_box": int64(1)}
	s = run(t, "NonMaxSuppression", attrs, []*format.Tensor{f32s(centred, 1, 3, 4), f32s([]float32{1, 2, 3}, 1, 1, 3)}, i64, i64)
	equal(t, "selected", s.Output(0).Int64(), []int64{0, 0, 2, 0, 0, 1, 0, 0, 0})
}

func TestRegions(t *testing.T) {
	x := make([]float32, 2*4*4)
	for i := range x {
		x[i] = float32(i)
	}
	attrs := format.Attrs{"output_height": int64(2), "output_width": int64(2), "sampling_ratio": int64(2), "coordinate_transformation_mode": "output_half_pixel"}
	in := []*format.Tensor{f32s(x, 2, 4, 4, 1), f32s([]float32{0, 0, 2, 2, 1, 1, 3, 3}, 2, 4), i64s([]int64{0, 1}, 2)}
	// Bins of one pixel: the mean of four samples is the value in the middle.
	s := run(t, "RoiAlign", attrs, in, f32)
	equal(t, "align", s.Output(0).Float32(), []float32{2.5, 3.5, 6.5, 7.5, 23.5, 24.5, 27.5, 28.5})
	s.InputByName("c").Int64()[1] = 2
	var e *runtime.RunError
	if err := s.Run(context.Background()); !errors.As(err, &e) || e.Node != "n" {
		t.Errorf("a picture that is not there: %v", err)
	}
	in = []*format.Tensor{f32s(x, 2, 4, 4, 1), f32s([]float32{1, 0, 0, 3, 1}, 1, 5)}
	s = run(t, "MaxRoiPool", format.Attrs{"pooled_shape": []int64{1, 2}}, in, f32)
	equal(t, "pool", s.Output(0).Float32(), []float32{21, 23})
}

// TestDeformable has a kernel of two by one elements, of which the second is half an
// element to the right and counts half.
func TestDeformable(t *testing.T) {
	in := []*format.Tensor{f32s([]float32{1, 2, 3, 4, 5, 6}, 1, 3, 2, 1),
		f32s([]float32{0, 0, 0, 0.5, 0, 0, 0, 0.5, 0, 0, 0, 0.5, 0, 0, -9, 0.5}, 1, 2, 2, 4),
		f32s([]float32{1, 0.5, 1, 0.5, 1, 0.5, 1, 0.5}, 1, 2, 2, 2)}
	s := run(t, "DeformableIm2Col", format.Attrs{"kernel_shape": []int64{2, 1}}, in, f32)
	equal(t, "columns", s.Output(0).Float32(), []float32{1, 1.75, 2, 1, 3, 2.75, 4, 0})
}

// control is a model of If and Loop; see each node.
func control() *format.Model {
	t := func(name string, typ format.DType, shape ...int) *format.Tensor {
		return &format.Tensor{Name: name, Type: typ, Shape: shape}
	}
	in := func(names ...string) (list []format.Input) {
		for _, n := range names {
			list = append(list, format.Input{Tensor: n})
		}
		return list
	}
	node := func(op string, in, out []string, attrs format.Attrs) *format.Node {
		return &format.Node{Name: op + "/" + out[0], Op: op, Inputs: in, Outputs: out, Attrs: attrs}
	}
	type s = []string
	return &format.Model{
		Graphs: []*format.Graph{
			{Name: "main", Inputs: in("c", "x", "m", "rows"), Outputs: s{"y", "a", "b", "sums", "n"}, Nodes: []*format.Node{
				node("If", s{"c", "x"}, s{"y"}, format.Attrs{"then_branch": "twice", "else_branch": "same"}),
				// (a, b) = (b, a + y), and the sums of a round's row and x.
				node("Loop", s{"m", "c", "x", "y", "x", "rows"}, s{"a", "b", "sums", "n"},
					format.Attrs{"body": "round", "carried": int64(2), "scanned": int64(1), "limit": int64(3)})}},
			{Name: "twice", Inputs: in("tx"), Outputs: s{"ty"}, Nodes: []*format.Node{node("Add", s{"tx", "tx"}, s{"ty"}, nil)}},
			{Name: "same", Inputs: in("sx"), Outputs: s{"sx"}},
			{Name: "round", Inputs: in("i", "p", "q", "w", "row"), Outputs: s{"go", "q", "pq", "sum"}, Nodes: []*format.Node{
				node("Add", s{"p", "q"}, s{"pq"}, nil), node("Add", s{"row", "w"}, s{"sum"}, nil), node("Equal", s{"i", "i"}, s{"go"}, nil)}},
		},
		Tensors: []*format.Tensor{t("c", format.Bool), t("x", f32, 2), t("m", i64), t("rows", f32, 3, 2), t("y", f32, 2), t("a", f32, 2), t("b", f32, 2),
			t("sums", f32, 3, 2), t("n", i64), t("tx", f32, 2), t("ty", f32, 2), t("sx", f32, 2),
			t("i", i64), t("p", f32, 2), t("q", f32, 2), t("w", f32, 2), t("row", f32, 2), t("go", format.Bool), t("pq", f32, 2), t("sum", f32, 2)},
	}
}

func TestControl(t *testing.T) {
	rows := f32s([]float32{10, 20, 30, 40, 50, 60}, 3, 2)
	x := f32s([]float32{1, 2}, 2)
	s := session(t, control(), []*format.Tensor{bools([]byte{1}), x, i64s([]int64{2}), rows}, 1)
	for range 2 {
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "then", s.OutputByName("y").Float32(), []float32{2, 4})
	equal(t, "a", s.OutputByName("a").Float32(), []float32{3, 6}) // (1,2) (2,3) (3,5)
	equal(t, "b", s.OutputByName("b").Float32(), []float32{5, 10})
	equal(t, "sums", s.OutputByName("sums").Float32(), []float32{11, 22, 31, 42, 0, 0})
	equal(t, "rounds", s.OutputByName("n").Int64(), []int64{2})
	ctx := t.Context()
	if n := testing.AllocsPerRun(2, func() { s.Run(ctx) }); n != 0 {
		t.Errorf("Run allocates %v times", n)
	}
	s.Input(0).Bytes()[0] = 0
	s.InputByName("m").Int64()[0] = 99
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	equal(t, "else", s.OutputByName("y").Float32(), []float32{1, 2})
	equal(t, "rounds without the condition", s.OutputByName("n").Int64(), []int64{0})
	s.Input(0).Bytes()[0] = 1
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	equal(t, "rounds at most", s.OutputByName("n").Int64(), []int64{3})
	for _, st := range s.Program().Steps() {
		if st.Kernel != "control" {
			t.Errorf("%+v", st)
		}
	}
}

// TestFaultInBody checks that a fault in a branch names the node there.
func TestFaultInBody(t *testing.T) {
	m := control()
	for _, x := range m.Tensors {
		if x.Name == "tx" || x.Name == "sx" || x.Name == "x" || x.Name == "w" || x.Name == "a" || x.Name == "p" {
			x.Type = f32
		}
	}
	m.Graphs[1].Nodes = []*format.Node{{Name: "pick", Op: "Gather", Inputs: []string{"tx", "at"}, Outputs: []string{"ty"}},
		{Name: "at", Op: "Cast", Inputs: []string{"tx"}, Outputs: []string{"at"}}}
	slices.Reverse(m.Graphs[1].Nodes)
	m.Tensors = append(m.Tensors, &format.Tensor{Name: "at", Type: i64, Shape: format.Shape{2}})
	s := session(t, m, []*format.Tensor{bools([]byte{1}), f32s([]float32{1, 2}, 2), i64s([]int64{1}), f32s(make([]float32, 6), 3, 2)}, 1)
	var e *runtime.RunError
	if err := s.Run(context.Background()); !errors.As(err, &e) || e.Node != "pick" || !strings.Contains(e.Reason, "index 2") {
		t.Errorf("%v", err)
	}
}

// TestTrim has an output whose size the data says.
func TestTrim(t *testing.T) {
	node := func(op string, in, out []string, attrs format.Attrs) *format.Node {
		return &format.Node{Name: op, Op: op, Inputs: in, Outputs: out, Attrs: attrs}
	}
	type s = []string
	m := &format.Model{
		Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: s{"y"}, Nodes: []*format.Node{
			node("NonZero", s{"x"}, s{"all", "n"}, nil), node("Trim", s{"all", "n"}, s{"y"}, format.Attrs{"axis": int64(1)})}}},
		Tensors: []*format.Tensor{{Name: "x", Type: format.Bool, Shape: format.Shape{2, 2}}, {Name: "all", Type: i64, Shape: format.Shape{2, 4}},
			{Name: "n", Type: i64, Shape: format.Shape{}}, {Name: "y", Type: i64, Shape: format.Shape{2, 4}}},
	}
	ses := session(t, m, nil, 1)
	for _, c := range []struct {
		x, want []int64
	}{{[]int64{0, 1, 1, 1}, []int64{0, 1, 1, 1, 0, 1}}, {[]int64{0, 0, 0, 0}, nil}, {[]int64{1, 1, 1, 1}, []int64{0, 0, 1, 1, 0, 1, 0, 1}}} {
		for i, v := range c.x {
			ses.Input(0).Bytes()[i] = byte(v)
		}
		if err := ses.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		y := ses.Output(0)
		equal(t, "trimmed", y.Int64(), c.want)
		if !y.Shape.Equal(format.Shape{2, len(c.want) / 2}) {
			t.Errorf("shape %v", y.Shape)
		}
	}
	if n := testing.AllocsPerRun(2, func() { ses.Run(context.Background()) }); n != 0 {
		t.Errorf("Run allocates %v times", n)
	}
	if !ses.Program().Outputs()[0].Shape.Equal(format.Shape{2, 4}) {
		t.Error("the program's output has not the largest size")
	}
}
