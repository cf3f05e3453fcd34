package format

import (
	"strings"
	"testing"
)

func init() {
	AddRare()
	opCases = append(opCases, moreCases...)
}

var moreCases = []opCase{
	{"NonZero", nil, []Shape{{2, 3}}, []Shape{{2, 6}, {}}, ""},
	{"Compress", nil, []Shape{{2, 3}, {5}}, []Shape{{5}, {}}, ""},
	{"Compress", Attrs{"axis": int64(-1)}, []Shape{{2, 3}, {2}}, []Shape{{2, 2}, {}}, ""},
	{"Compress", Attrs{"axis": int64(0)}, []Shape{{2, 3}, {3}}, nil, "a condition of 3"},
	{"Unique", nil, []Shape{{2, 3}}, []Shape{{6}, {6}, {6}, {6}, {}}, ""},
	{"Unique", Attrs{"axis": int64(1)}, []Shape{{2, 3}}, []Shape{{2, 3}, {3}, {3}, {3}, {}}, ""},
	{"Unique", Attrs{"axis": int64(2)}, []Shape{{2, 3}}, nil, "axis 2"},
	{"Trim", Attrs{"axis": int64(1)}, []Shape{{2, 3}, {}}, []Shape{{2, 3}}, ""},
	{"Trim", Attrs{"axis": int64(0)}, []Shape{{2, 3}, {1}}, nil, "input 1"},
	{"NonMaxSuppression", Attrs{"max_output_boxes_per_class": int64(3)}, []Shape{{2, 9, 4}, {2, 5, 9}}, []Shape{{30, 3}, {}}, ""},
	{"NonMaxSuppression", Attrs{"max_output_boxes_per_class": int64(30)}, []Shape{{1, 9, 4}, {1, 1, 9}}, []Shape{{9, 3}, {}}, ""},
	{"NonMaxSuppression", Attrs{"max_output_boxes_per_class": int64(3)}, []Shape{{1, 9, 4}, {1, 1, 8}}, nil, "boxes"},
	{"RoiAlign", Attrs{"output_height": int64(5)}, []Shape{{1, 8, 9, 3}, {7, 4}, {7}}, []Shape{{7, 5, 1, 3}}, ""},
	{"RoiAlign", nil, []Shape{{1, 8, 9, 3}, {7, 4}, {6}}, nil, "input 2"},
	{"RoiAlign", Attrs{"sampling_ratio": int64(-1)}, []Shape{{1, 8, 9, 3}, {7, 4}, {7}}, nil, "sampling_ratio"},
	{"MaxRoiPool", Attrs{"pooled_shape": i64(2, 3)}, []Shape{{1, 8, 9, 3}, {7, 5}}, []Shape{{7, 2, 3, 3}}, ""},
	{"MaxRoiPool", Attrs{"pooled_shape": i64(2, 0)}, []Shape{{1, 8, 9, 3}, {7, 5}}, nil, "2 x 0"},
	{"DeformableIm2Col", Attrs{"kernel_shape": i64(3, 2), "offset_group": int64(2)}, []Shape{{1, 8, 9, 4}, {1, 6, 8, 24}, {1, 6, 8, 12}}, []Shape{{1, 6, 8, 24}}, ""},
	{"DeformableIm2Col", Attrs{"kernel_shape": i64(3, 2), "offset_group": int64(3)}, []Shape{{1, 8, 9, 4}, {1, 6, 8, 36}}, nil, "3 groups"},
	{"DeformableIm2Col", Attrs{"kernel_shape": i64(3, 2)}, []Shape{{1, 8, 9, 4}, {1, 6, 8, 11}}, nil, "input 1"},
	{"If", Attrs{"then_branch": "a", "else_branch": "b"}, []Shape{{}}, nil, "only a model has"},
	{"Loop", Attrs{"body": "a", "limit": int64(2)}, nil, nil, "only a model has"},
}

// controlModel is y = x + x or x, then three rounds of adding that.
func controlModel() *Model {
	t := func(name string, typ DType, shape ...int) *Tensor {
		return &Tensor{Name: name, Type: typ, Shape: shape}
	}
	in := func(names ...string) (list []Input) {
		for _, n := range names {
			list = append(list, Input{Tensor: n})
		}
		return list
	}
	three := t("three", Int64)
	three.Data = []byte{3, 0, 0, 0, 0, 0, 0, 0}
	return &Model{
		Graphs: []*Graph{
			{Name: "main", Inputs: in("c", "x"), Outputs: []string{"z", "all", "n"}, Nodes: []*Node{
				{Name: "if", Op: "If", Inputs: []string{"c", "x"}, Outputs: []string{"y"}, Attrs: Attrs{"then_branch": "twice", "else_branch": "same"}},
				{Name: "loop", Op: "Loop", Inputs: []string{"three", "", "x", "y"}, Outputs: []string{"z", "all", "n"},
					Attrs: Attrs{"body": "round", "carried": int64(1), "limit": int64(3)}}}},
			{Name: "twice", Inputs: in("tx"), Outputs: []string{"ty"}, Nodes: []*Node{{Name: "a", Op: "Add", Inputs: []string{"tx", "tx"}, Outputs: []string{"ty"}}}},
			{Name: "same", Inputs: in("sx"), Outputs: []string{"sx"}},
			{Name: "round", Inputs: in("i", "v", "w"), Outputs: []string{"go", "sum", "sum"}, Nodes: []*Node{
				{Name: "b", Op: "Add", Inputs: []string{"v", "w"}, Outputs: []string{"sum"}},
				{Name: "e", Op: "Equal", Inputs: []string{"i", "i"}, Outputs: []string{"go"}}}},
		},
		Tensors: []*Tensor{t("c", Bool), t("x", Float32, 2), t("y", Float32, 2), t("z", Float32, 2), t("all", Float32, 3, 2), t("n", Int64), three,
			t("tx", Float32, 2), t("ty", Float32, 2), t("sx", Float32, 2),
			t("i", Int64), t("v", Float32, 2), t("w", Float32, 2), t("go", Bool), t("sum", Float32, 2)},
	}
}

func TestControl(t *testing.T) {
	if err := Check(controlModel()); err != nil {
		t.Fatal(err)
	}
	for why, c := range map[string]struct {
		change func(*Model)
		want   string
	}{
		"a branch with another input":   {func(m *Model) { m.Tensor("sx").Shape = Shape{3} }, "input of else_branch 0"},
		"branches that differ":          {func(m *Model) { m.Tensor("ty").Type = Int32; m.Tensor("tx").Type = Int32 }, "input of then_branch 0"},
		"an output of another type":     {func(m *Model) { m.Tensor("y").Type = Int32 }, "output 0"},
		"a missing input of a branch":   {func(m *Model) { m.Graphs[0].Nodes[0].Inputs = []string{"c"} }, "1 tensors where there are 0"},
		"results for two rounds":        {func(m *Model) { m.Tensor("all").Shape = Shape{2, 2} }, "output 1"},
		"a carried value that grows":    {func(m *Model) { m.Tensor("sum").Shape = Shape{1, 2} }, "output of the body 1"},
		"more carried values than that": {func(m *Model) { m.Graphs[0].Nodes[1].Attrs["carried"] = int64(3) }, "3 carried"},
		"no round":                      {func(m *Model) { m.Graphs[0].Nodes[1].Attrs["limit"] = int64(0) }, "at most 0"},
		"slices of a short value":       {func(m *Model) { m.Graphs[0].Nodes[1].Attrs["scanned"] = int64(1) }, "scanned value [2] for 3 rounds"},
		"a condition that is no scalar": {func(m *Model) { m.Tensor("c").Shape = Shape{1} }, "input 0"},
		"a graph that calls itself":     {func(m *Model) { m.Graphs[0].Nodes[0].Attrs["then_branch"] = "main" }, "input of then_branch: 2 tensors"},
	} {
		m := controlModel()
		c.change(m)
		if err := Check(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", why, err, c.want)
		}
	}
}
