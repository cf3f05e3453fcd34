package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// Each edit makes the small model invalid in one way.
func TestCheck(t *testing.T) {
	if err := Check(smallModel()); err != nil {
		t.Fatal(err)
	}
	node := func(m *Model, i int) *Node { return m.Graphs[0].Nodes[i] }
	long := strings.Repeat("x", maxName+1)
	for name, tt := range map[string]struct {
		edit func(m *Model)
		want string
	}{
		"no graph":               {func(m *Model) { m.Graphs = nil }, "no graph"},
		"nil graph":              {func(m *Model) { m.Graphs[0] = nil }, "a graph is nil"},
		"nil tensor":             {func(m *Model) { m.Tensors[0] = nil }, "a tensor is nil"},
		"nil state":              {func(m *Model) { m.States[0] = nil }, "a state is nil"},
		"nil node":               {func(m *Model) { m.Graphs[0].Nodes[0] = nil }, "a nil node"},
		"graph without name":     {func(m *Model) { m.Graphs[0].Name = "" }, "a graph has no name"},
		"two graphs of a name":   {func(m *Model) { m.Graphs = append(m.Graphs, m.Graphs[0]) }, `two graphs are named "main"`},
		"two tensors of a name":  {func(m *Model) { m.Tensors[1].Name = "x" }, `two tensors are named "x"`},
		"two nodes of a name":    {func(m *Model) { node(m, 1).Name = "fc" }, `two nodes are named "fc"`},
		"two states of a name":   {func(m *Model) { m.States = append(m.States, m.States[0]) }, `two states are named "state"`},
		"two symbols of a name":  {func(m *Model) { m.Symbols = []string{"a", "a"} }, `two symbols are named "a"`},
		"symbol without name":    {func(m *Model) { m.Symbols = []string{""} }, "a symbol has no name"},
		"long name":              {func(m *Model) { m.Tensors[0].Name = long }, "more than 4096"},
		"name not UTF-8":         {func(m *Model) { m.Tensors[0].Name = "\xff" }, "not UTF-8"},
		"no type":                {func(m *Model) { m.Tensors[0].Type = 0 }, "no valid type"},
		"type of the future":     {func(m *Model) { m.Tensors[0].Type = 99 }, "no valid type"},
		"size 0":                 {func(m *Model) { m.Tensors[0].Shape[1] = 0 }, "dimension 0"},
		"unknown symbol":         {func(m *Model) { m.Tensors[0].Shape[0] = -2 }, "dimension -2"},
		"too many elements":      {func(m *Model) { m.Tensors[0].Shape = Shape{MaxDim, MaxDim, MaxDim} }, "too many elements"},
		"too many dimensions":    {func(m *Model) { m.Tensors[0].Shape = make(Shape, 17) }, "17 dimensions"},
		"short data":             {func(m *Model) { m.Tensor("w").Data = make([]byte, 7) }, `tensor "w": 7 bytes of data, but int8[2 4] takes 8`},
		"symbolic data":          {func(m *Model) { m.Tensor("w").Shape[0] = -1; m.Tensor("w").Quant = PerTensor(1, 0) }, "symbolic"},
		"symbolic state":         {func(m *Model) { m.States[0].Shape[0] = -1 }, `state "state" has a symbolic`},
		"short initial state":    {func(m *Model) { m.States[0].Init = m.States[0].Init[:3] }, "3 bytes of data"},
		"scale 0":                {func(m *Model) { m.Tensors[0].Quant.Scale[0] = 0 }, "scale 0"},
		"scale negative":         {func(m *Model) { m.Tensors[0].Quant.Scale[0] = -1 }, "scale -1"},
		"scale NaN":              {func(m *Model) { m.Tensors[0].Quant.Scale[0] = float32(math.NaN()) }, "scale NaN"},
		"scale infinite":         {func(m *Model) { m.Tensors[0].Quant.Scale[0] = float32(math.Inf(1)) }, "scale +Inf"},
		"zero point too large":   {func(m *Model) { m.Tensors[0].Quant.Zero[0] = 128 }, "zero point 128 is outside int8"},
		"too many zero points":   {func(m *Model) { m.Tensors[0].Quant.Zero = []int32{1, 2} }, "2 zero points and 1 scales"},
		"scales for channels":    {func(m *Model) { m.Tensor("w").Quant.Scale = make([]float32, 3) }, "3 scales for 2"},
		"axis":                   {func(m *Model) { m.Tensor("w").Quant.Axis = 2 }, "axis 2"},
		"axis of one scale":      {func(m *Model) { m.Tensors[0].Quant.Axis = 2 }, "axis 2"},
		"axis is symbolic":       {func(m *Model) { m.Tensors[0].Quant.Scale = make([]float32, 3) }, "axis 0"},
		"no scale":               {func(m *Model) { m.Tensor("w").Quant.Scale = nil }, "0 scales"},
		"negative block":         {func(m *Model) { m.Tensor("w").Quant.Block = -1 }, "negative"},
		"blocks":                 {func(m *Model) { m.Tensor("w").Quant.Block = 2 }, "2 scales for 4"},
		"blocks of symbols":      {func(m *Model) { m.Tensors[0].Quant.Block = 2 }, "blocks"},
		"quantized float":        {func(m *Model) { m.Tensor("z").Quant = PerTensor(1, 0) }, "float32 cannot be quantized"},
		"input not in table":     {func(m *Model) { m.Graphs[0].Inputs[0].Tensor = "nobody" }, `"nobody" is not in the model's table`},
		"input is constant":      {func(m *Model) { m.Graphs[0].Inputs[0].Tensor = "w" }, "is a constant"},
		"input twice":            {func(m *Model) { m.Graphs[0].Inputs = append(m.Graphs[0].Inputs, Input{Tensor: "x"}) }, "already defined by input"},
		"no output":              {func(m *Model) { m.Graphs[0].Outputs = nil }, "has no output"},
		"output not defined":     {func(m *Model) { m.Graphs[0].Outputs[0] = "nobody" }, `"nobody" is not in`},
		"unknown op":             {func(m *Model) { node(m, 0).Op = "gemm" }, `node "fc" (gemm): unknown op (did you mean "Gemm"?)`},
		"node without name":      {func(m *Model) { node(m, 0).Name = "" }, "has no name"},
		"too few inputs":         {func(m *Model) { node(m, 0).Inputs = node(m, 0).Inputs[:1] }, "has 1 inputs and takes 2 to 3"},
		"too many inputs":        {func(m *Model) { node(m, 1).Inputs = []string{"y", "y"} }, "has 2 inputs and takes 1"},
		"too many outputs":       {func(m *Model) { node(m, 1).Outputs = []string{"z", "sum"} }, "has 2 outputs and gives 1"},
		"missing input":          {func(m *Model) { node(m, 0).Inputs[1] = "" }, "input 1 (B[N,K]) is missing"},
		"missing output":         {func(m *Model) { node(m, 1).Outputs[0] = "" }, "output 0 (Y) is missing"},
		"input of node unknown":  {func(m *Model) { node(m, 1).Inputs[0] = "nobody" }, `"nobody" is not in`},
		"output of node unknown": {func(m *Model) { node(m, 1).Outputs[0] = "nobody" }, `"nobody" is not in`},
		"output is constant":     {func(m *Model) { node(m, 1).Outputs[0] = "w" }, "is a constant"},
		"output defined twice":   {func(m *Model) { node(m, 1).Outputs[0] = "y" }, `already defined by node "fc"`},
		"cycle":                  {func(m *Model) { node(m, 0).Inputs[0] = "y" }, "used before a node defines it"},
		"wrong order": {func(m *Model) {
			n := m.Graphs[0].Nodes
			n[0], n[1] = n[1], n[0]
		}, "used before a node defines it"},
		"unknown attribute":     {func(m *Model) { node(m, 0).Attrs["alpha"] = 1.0 }, `unknown attribute "alpha": Gemm has transB`},
		"attribute of other op": {func(m *Model) { node(m, 1).Attrs = Attrs{"axis": int64(0)} }, `unknown attribute "axis": DequantizeLinear has none`},
		"attribute of Go int":   {func(m *Model) { node(m, 0).Attrs["transB"] = 1 }, "(int) and must be an integer"},
		"missing attribute":     {func(m *Model) { node(m, 2).Attrs = nil }, `"state" (the name of a state) is missing`},
		"attribute not UTF-8":   {func(m *Model) { node(m, 2).Attrs = Attrs{"state": "\xff"} }, "must be the name of a state"},
		"unknown state":         {func(m *Model) { node(m, 2).Attrs = Attrs{"state": "nobody"} }, `names the state "nobody"`},
		"shape of output":       {func(m *Model) { m.Tensor("z").Shape = Shape{-1, 3} }, `(tensor "z") has the shape [-1 3], but the op makes [-1 2]`},
		"types":                 {func(m *Model) { m.Tensor("y").Type = Uint8 }, "int8(0.5,-3) int8(2 scales on axis 0) int32 -> uint8(1,0)"},
		"no quantization":       {func(m *Model) { m.Tensor("y").Quant = nil }, "cannot take"},
		"bias type":             {func(m *Model) { m.Tensor("b").Type = Float32; m.Tensor("b").Data = make([]byte, 8) }, "cannot take"},
		"zero point by channel": {func(m *Model) { m.Tensor("w").Quant.Zero = []int32{0, 1} }, "cannot take"},
		"state type":            {func(m *Model) { m.Tensor("s").Type = Int32; node(m, 4).Inputs[1] = "z" }, "differ in type"},
		"state shape":           {func(m *Model) { m.States[0].Shape = Shape{2}; m.States[0].Init = nil }, `"s") has the shape [1], but the op makes [2]`},
		"scales overflow":       {func(m *Model) { m.Tensor("y").Quant.Scale[0] = 1e-38; m.Tensor("w").Quant.Scale[1] = 1e38 }, "do not fit together"},
		"later op table":        {func(m *Model) { m.Header.Opset = Opset + 1 }, "use a newer version"},
		"negative memory":       {func(m *Model) { m.Header.PeakBytes = -1 }, "peak memory"},
		"tunable node":          {func(m *Model) { m.Header.Tunable = []string{"nobody"} }, `tunable node "nobody"`},
		"label not UTF-8":       {func(m *Model) { m.Header.Labels[0] = "\xff" }, "labels"},
		"card too long":         {func(m *Model) { m.Header.Card["x"] = strings.Repeat("x", maxText+1) }, "card"},
		"source not UTF-8":      {func(m *Model) { m.Header.Source.Note = "\xff" }, "source"},
		"metric NaN":            {func(m *Model) { m.Header.Metrics["a"] = math.NaN() }, `metric "a" is NaN`},
		"metric's name":         {func(m *Model) { m.Header.Metrics["\xff"] = 0 }, "metrics"},
		"step for no input":     {func(m *Model) { m.Header.Pre[0].Tensor = "sum" }, `preprocessing step "scale" is for tensor "sum"`},
		"step for no output":    {func(m *Model) { m.Header.Post = []Transform{{Op: "topk", Tensor: "x"}} }, `postprocessing step "topk"`},
		"step's op":             {func(m *Model) { m.Header.Pre[0].Op = "\xff" }, "preprocessing"},
		"step's attribute":      {func(m *Model) { m.Header.Pre[0].Attrs["by"] = float32(1) }, "(float32), which no file can hold"},
		"step's NaN":            {func(m *Model) { m.Header.Pre[0].Attrs["by"] = math.NaN() }, "no file can hold"},
		"step's empty list":     {func(m *Model) { m.Header.Pre[0].Attrs["by"] = []int64{} }, "no file can hold"},
		"step's attribute name": {func(m *Model) { m.Header.Pre[0].Attrs["\xff"] = true }, "name of an attribute"},
	} {
		m := smallModel()
		tt.edit(m)
		err := Check(m)
		var ce *CheckError
		if !errors.As(err, &ce) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestCheckErrorNamesNode(t *testing.T) {
	m := smallModel()
	m.Graphs[0].Nodes[0].Attrs["alpha"] = 1.0
	var e *CheckError
	if err := Check(m); !errors.As(err, &e) || e.Node != "fc" || e.Op != "Gemm" {
		t.Errorf("%#v", e)
	}
}

func TestCheckData(t *testing.T) {
	le := binary.LittleEndian
	for _, tt := range []struct {
		typ  DType
		n    int
		data []byte
		want string
	}{
		{Float32, 2, le.AppendUint32(make([]byte, 4), math.Float32bits(-math.MaxFloat32)), ""},
		{Float32, 2, le.AppendUint32(make([]byte, 4), math.Float32bits(float32(math.Inf(-1)))), "element 1"},
		{Float32, 1, le.AppendUint32(nil, 0x7f800001), "element 0"}, // signalling NaN
		{Float64, 2, le.AppendUint64(make([]byte, 8), math.Float64bits(math.MaxFloat64)), ""},
		{Float64, 2, le.AppendUint64(make([]byte, 8), math.Float64bits(math.Inf(1))), "element 1"},
		{Float16, 2, []byte{0, 0, 0xff, 0x7b}, ""}, // the greatest: 65504
		{Float16, 2, []byte{0, 0, 0, 0xfc}, "element 1"},
		{BFloat16, 2, []byte{0, 0, 0x7f, 0x7f}, ""},
		{BFloat16, 2, []byte{0, 0, 0x80, 0x7f}, "element 1"},
		{Bool, 2, []byte{0, 1}, ""},
		{Bool, 2, []byte{0, 2}, "element 1 of bool data is 2"},
		{Int4, 3, []byte{0xff, 0x0f}, ""},
		{Int4, 3, []byte{0xff, 0x1f}, "unused high bits"},
		{Uint4, 2, []byte{0xff}, ""},
		{Int8, 2, []byte{0xff, 0xff}, ""},
	} {
		m := &Model{
			Tensors: []*Tensor{{Name: "x", Type: Bool}, {Name: "c", Type: tt.typ, Shape: Shape{tt.n}, Data: tt.data}},
			Graphs:  []*Graph{{Name: "main", Inputs: []Input{{Tensor: "x"}}, Outputs: []string{"x"}}},
		}
		err := Check(m)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v % x: %v, want %q", tt.typ, tt.data, err, tt.want)
		}
	}
}

// gemm makes a quantized fully connected layer of one output and k inputs, all of
// whose weights are w.
func gemm(x DType, xzero int32, wt DType, w byte, wzero int32, k int, bias []byte) *Model {
	m := &Model{
		Tensors: []*Tensor{
			{Name: "x", Type: x, Shape: Shape{1, k}, Quant: PerTensor(1, xzero)},
			{Name: "w", Type: wt, Shape: Shape{1, k}, Quant: PerTensor(1, wzero), Data: []byte(strings.Repeat(string([]byte{w}), k))},
			{Name: "y", Type: x, Shape: Shape{1, 1}, Quant: PerTensor(1, 0)},
		},
		Graphs: []*Graph{{Name: "main", Inputs: []Input{{Tensor: "x"}}, Outputs: []string{"y"}, Nodes: []*Node{
			{Name: "n", Op: "Gemm", Inputs: []string{"x", "w"}, Outputs: []string{"y"}, Attrs: Attrs{"transB": int64(1)}},
		}}},
	}
	if bias != nil {
		t := Int32
		if len(bias) == 8 {
			t = Int64
		}
		m.Tensors = append(m.Tensors, &Tensor{Name: "b", Type: t, Shape: Shape{1}, Data: bias})
		m.Graphs[0].Nodes[0].Inputs = append(m.Graphs[0].Nodes[0].Inputs, "b")
	}
	return m
}

// The limit of a 32-bit sum, to the last unit.
func TestSums(t *testing.T) {
	bias := func(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
	const most = math.MaxInt32
	for _, tt := range []struct {
		name string
		m    *Model
		ok   bool
	}{
		{"small", gemm(Int8, 0, Int8, 127, 0, 1000, bias(-5)), true},
		{"at the limit", gemm(Int8, -128, Int8, 1, 0, most/255, bias(most%255)), true},
		{"one above", gemm(Int8, -128, Int8, 1, 0, most/255, bias(most%255+1)), false},
		{"negative bias", gemm(Int8, -128, Int8, 1, 0, most/255, bias(-most%255-1)), false},
		{"long, of small weights", gemm(Int8, 0, Int8, 1, 0, 1<<20, nil), true},
		{"long, of large weights", gemm(Int8, 0, Int8, 0x80, 0, 1<<20, nil), false},
		{"bias alone", gemm(Int8, 0, Int8, 1, 0, 1, bias(math.MinInt32)), false},
		{"uint8", gemm(Uint8, 255, Uint8, 255, 255, 1<<20, nil), true},
		{"uint8 with zero point", gemm(Uint8, 255, Uint8, 255, 0, 1<<20, nil), false},
		{"int16: 512 products", gemm(Int16, 0, Int8, 127, 0, 1<<20, make([]byte, 8)), true},
		{"int16: weights of -128", gemm(Int16, 0, Int8, 0x80, 0, 1024, nil), false},
		{"int16: a short sum of -128", gemm(Int16, 0, Int8, 0x80, 0, 511, nil), true},
	} {
		err := Check(tt.m)
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "split the layer") {
			t.Errorf("%s: %v, want ok = %v", tt.name, err, tt.ok)
		}
	}
}

// Weights that are no constants are bounded by their type.
func TestSumsOfActivations(t *testing.T) {
	for k, ok := range map[int]bool{1000: true, 1 << 20: false} {
		m := gemm(Int8, 0, Int8, 0, 0, k, nil)
		m.Tensors[1].Data = nil
		m.Graphs[0].Inputs = append(m.Graphs[0].Inputs, Input{Tensor: "w"})
		if err := Check(m); (err == nil) != ok {
			t.Errorf("%d products: %v", k, err)
		}
	}
}

// A model of every recurrent layer, quantized.
func rnnModel() *Model {
	m := &Model{Graphs: []*Graph{{Name: "main"}}}
	g := m.Graphs[0]
	add := func(name string, t DType, s Shape, q *Quant, constant bool) string {
		x := &Tensor{Name: name, Type: t, Shape: s, Quant: q}
		if constant {
			x.Data = make([]byte, t.Bytes(s.Elems()))
		}
		m.Tensors = append(m.Tensors, x)
		return name
	}
	hq, cq, wq := PerTensor(1./128, 3), PerTensor(1./2048, 0), PerTensor(0.01, 0)
	g.Inputs = []Input{{Tensor: add("x", Int8, Shape{1, 7, 3}, PerTensor(0.1, -5), false)},
		{Tensor: add("h", Int8, Shape{1, 4}, hq, false)}, {Tensor: add("c", Int16, Shape{1, 4}, cq, false)},
		{Tensor: add("v", Int8, Shape{1, 3}, PerTensor(0.1, -5), false)}, {Tensor: add("s", Int16, Shape{1, 24}, PerTensor(0.5, 0), false)}}
	lstm := &Node{Name: "lstm", Op: "QLSTM", Inputs: []string{"x"}, Attrs: Attrs{"cell_clip": 10.0}}
	for _, k := range []string{"i", "f", "c", "o"} {
		lstm.Inputs = append(lstm.Inputs, add("w"+k, Int8, Shape{4, 3}, wq, true))
	}
	for _, k := range []string{"i", "f", "c", "o"} {
		lstm.Inputs = append(lstm.Inputs, add("r"+k, Int8, Shape{4, 4}, wq, true))
	}
	for _, k := range []string{"i", "f", "c", "o"} {
		lstm.Inputs = append(lstm.Inputs, add("b"+k, Int32, Shape{4}, nil, true))
	}
	lstm.Inputs = append(lstm.Inputs, "h", "c")
	lstm.Outputs = []string{add("y", Int8, Shape{1, 7, 4}, hq, false), add("yh", Int8, Shape{1, 4}, hq, false), add("yc", Int16, Shape{1, 4}, cq, false)}
	svdf := &Node{Name: "svdf", Op: "SVDF", Attrs: Attrs{"rank": int64(2)},
		Inputs:  []string{"v", add("feature", Int8, Shape{6, 3}, wq, true), add("time", Int16, Shape{6, 4}, wq, true), add("bias", Int32, Shape{3}, nil, true), "s"},
		Outputs: []string{add("z", Int8, Shape{1, 3}, PerTensor(1, -128), false), add("so", Int16, Shape{1, 24}, PerTensor(0.5, 0), false)}}
	g.Nodes = []*Node{lstm, svdf}
	g.Outputs = []string{"y", "yh", "yc", "z", "so"}
	return m
}

func TestCheckRNN(t *testing.T) {
	if err := Check(rnnModel()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		edit func(m *Model)
		want string
	}{
		"cell scale":          {func(m *Model) { m.Tensor("c").Quant.Scale[0] = 0.3 }, "power of two"},
		"cell zero":           {func(m *Model) { m.Tensor("c").Quant.Zero[0] = 1 }, "power of two"},
		"cell out":            {func(m *Model) { m.Tensor("yc").Quant = PerTensor(0.5, 0) }, `output 2 (tensor "yc") needs the quantization of input 14`},
		"hidden out":          {func(m *Model) { m.Tensor("y").Quant = PerTensor(0.5, 0) }, `output 0 (tensor "y") needs the quantization of input 13`},
		"recurrent zero":      {func(m *Model) { m.Tensor("rf").Quant = PerTensor(0.5, 1) }, "input 6, a weight"},
		"svdf weight zero":    {func(m *Model) { m.Tensor("time").Quant = PerTensor(0.5, 1) }, "input 2, a weight"},
		"svdf state":          {func(m *Model) { m.Tensor("so").Quant = PerTensor(0.25, 0) }, `output 1 (tensor "so")`},
		"svdf types":          {func(m *Model) { m.Tensor("s").Type = Int8 }, "cannot take"},
		"gate sums overflow":  {func(m *Model) { copy(m.Tensor("bc").Data, "\xff\xff\xff\x7f"); m.Tensor("wc").Data[0] = 1 }, "32 bits"},
		"svdf sums in 64 bit": {func(m *Model) { m.Tensor("time").Data[1] = 0x7f }, ""},
		"svdf sums of int8": {func(m *Model) {
			for _, n := range []string{"s", "so", "time"} {
				m.Tensor(n).Type = Int8
			}
			m.Tensor("time").Data = make([]byte, 24)
			m.Tensor("bias").Data = []byte{0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0}
			m.Tensor("time").Data[0] = 1
		}, "32 bits"},
	} {
		m := rnnModel()
		tt.edit(m)
		if err := Check(m); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// Graphs that call graphs. No op of the table does yet, so the test has one.
func TestGraphCalls(t *testing.T) {
	Ops["testCall"] = &OpSpec{Name: "testCall", Inputs: []string{"X"}, Outputs: []string{"Y"}, Types: []string{"T -> T"},
		Attrs: []AttrSpec{{Name: "body", Kind: KindGraph, Required: true}}, infer: inferSame}
	defer delete(Ops, "testCall")
	// chain makes n graphs, each of which calls the next twice; the last calls last.
	chain := func(n int, last string) *Model {
		m := &Model{}
		for i := range n {
			name := func(s string) string { return fmt.Sprintf("%s%d", s, i) }
			for _, s := range []string{"x", "y", "z"} {
				m.Tensors = append(m.Tensors, &Tensor{Name: name(s), Type: Bool})
			}
			g := &Graph{Name: name("g"), Inputs: []Input{{Tensor: name("x")}}, Outputs: []string{name("x")}}
			body := fmt.Sprintf("g%d", i+1)
			if i == n-1 {
				body = last
			}
			if body != "" {
				g.Nodes = []*Node{
					{Name: name("a"), Op: "testCall", Inputs: []string{name("x")}, Outputs: []string{name("y")}, Attrs: Attrs{"body": body}},
					{Name: name("b"), Op: "testCall", Inputs: []string{name("x")}, Outputs: []string{name("z")}, Attrs: Attrs{"body": body}},
				}
			}
			m.Graphs = append(m.Graphs, g)
		}
		return m
	}
	for _, tt := range []struct {
		m    *Model
		want string
	}{
		{chain(1, ""), ""},
		{chain(32, ""), ""},
		{chain(33, ""), "deeper than 32"},
		{chain(3, "g1"), "calls itself"},
		{chain(1, "g0"), "calls itself"},
		{chain(2, "nobody"), `names the graph "nobody"`},
	} {
		if err := Check(tt.m); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d graphs: %v, want %q", len(tt.m.Graphs), err, tt.want)
		}
	}
	m := chain(2, "")
	m.Graphs[1].Outputs[0] = "x0"
	if err := Check(m); err == nil || !strings.Contains(err.Error(), "pass it as an input") {
		t.Errorf("a tensor of another graph: %v", err)
	}
}

func TestQuantEqual(t *testing.T) {
	q := PerTensor(0.5, 0)
	for _, tt := range []struct {
		a, b *Quant
		want bool
	}{
		{nil, nil, true},
		{q, nil, false},
		{nil, q, false},
		{q, &Quant{Scale: []float32{0.5}}, true},
		{q, &Quant{Scale: []float32{0.5}, Axis: 1}, true},
		{q, PerTensor(0.5, 1), false},
		{q, PerTensor(0.25, 0), false},
		{q, &Quant{Scale: []float32{0.5}, Block: 4}, false},
		{&Quant{Scale: []float32{1, 2}}, &Quant{Scale: []float32{1, 2}, Axis: 1}, false},
	} {
		if got := tt.a.Equal(tt.b); got != tt.want {
			t.Errorf("%v.Equal(%v) = %v", tt.a, tt.b, got)
		}
	}
}
