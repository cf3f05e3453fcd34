package format

import (
	"bytes"
	"strings"
	"testing"
)

// growing is y = x[n,2] seen as [n·2] plus the first n·2 of 8 numbers, for n of 2 or 4.
func growing() *Model {
	return &Model{
		Header: Header{Dynamic: Dynamic{Dims: []Dim{{"n", 2, 4, 2}}, Sizes: []SizeRule{
			{Coef: []int64{0, 1}, Den: 1, Uses: []SizeUse{{"x", "", 0}}},
			{Coef: []int64{0, 4}, Den: 2, Uses: []SizeUse{{"flat", "", 0}, {"y", "", 0}, {"k", "", 0}, {"reshape", "shape", 0}, {"gone", "", 3}}}}}},
		Graphs: []*Graph{{Name: "main", Inputs: []Input{{Tensor: "x"}}, Outputs: []string{"y"}, Nodes: []*Node{
			{Name: "reshape", Op: "Reshape", Inputs: []string{"x"}, Outputs: []string{"flat"}, Attrs: Attrs{"shape": i64(8)}},
			{Name: "add", Op: "Add", Inputs: []string{"flat", "k"}, Outputs: []string{"y"}}}}},
		Tensors: []*Tensor{{Name: "x", Type: Int32, Shape: Shape{4, 2}}, {Name: "flat", Type: Int32, Shape: Shape{8}}, {Name: "y", Type: Int32, Shape: Shape{8}},
			{Name: "k", Type: Int32, Shape: Shape{8}, Data: bytes.Repeat([]byte{1, 2, 3, 4}, 8)}},
	}
}

func TestResized(t *testing.T) {
	m := growing()
	var file bytes.Buffer
	if err := Write(&file, m); err != nil {
		t.Fatal(err)
	}
	read, err := Read(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{m, read} {
		r, err := m.Resized(map[string]int{"n": 2})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Tensor("x").Shape.Equal(Shape{2, 2}) || !r.Tensor("y").Shape.Equal(Shape{4}) || len(r.Tensor("k").Data) != 16 || r.Main().Nodes[0].Attrs.Ints("shape")[0] != 4 {
			t.Errorf("%v", r.Tensors)
		}
		if m.Tensor("x").Shape[0] != 4 || m.Main().Nodes[0].Attrs.Ints("shape")[0] != 8 || len(m.Tensor("k").Data) != 32 {
			t.Error("the model itself was changed")
		}
		if r, err := m.Resized(nil); err != nil || !r.Tensor("y").Shape.Equal(Shape{8}) {
			t.Errorf("%v", err)
		}
		for want, sizes := range map[string]map[string]int{"must be 2 to 4 in steps of 2": {"n": 3}, `no size "m"`: {"m": 1}} {
			if _, err := m.Resized(sizes); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v", sizes, err)
			}
		}
	}
	for why, change := range map[string]func(*Dynamic){
		"no whole number":      func(d *Dynamic) { d.Sizes[1].Den = 3 },
		"the shape":            func(d *Dynamic) { d.Sizes[1].Uses = d.Sizes[1].Uses[1:] },
		"would have the size":  func(d *Dynamic) { d.Sizes[0].Coef[0] = -2 },
		"would grow":           func(d *Dynamic) { d.Sizes[1].Coef[1] = 16 },
		"is not possible":      func(d *Dynamic) { d.Dims[0].Step = 3 },
		"rule for sizes has 1": func(d *Dynamic) { d.Sizes[0].Coef = i64(1) },
	} {
		m := growing()
		change(&m.Header.Dynamic)
		err := Check(m)
		if err == nil {
			_, err = m.Resized(map[string]int{"n": 2})
		}
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}
