package format_test

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"

	"github.com/whet-edge/whet/format"
)

// scaler makes a model with one node: y = 3·x + 1.
func scaler() *format.Model {
	return &format.Model{
		Header: format.Header{Card: map[string]string{"title": "three x plus one"}},
		Tensors: []*format.Tensor{
			{Name: "x", Type: format.Float32, Shape: format.Shape{1, 1}},
			{Name: "w", Type: format.Float32, Shape: format.Shape{1, 1}, Data: []byte{0, 0, 0x40, 0x40}},
			{Name: "b", Type: format.Float32, Shape: format.Shape{1}, Data: []byte{0, 0, 0x80, 0x3f}},
			{Name: "y", Type: format.Float32, Shape: format.Shape{1, 1}},
		},
		Graphs: []*format.Graph{{
			Name:    "main",
			Inputs:  []format.Input{{Tensor: "x"}},
			Outputs: []string{"y"},
			Nodes: []*format.Node{{Name: "dense", Op: "Gemm", Inputs: []string{"x", "w", "b"}, Outputs: []string{"y"},
				Attrs: format.Attrs{"transB": int64(1)}}},
		}},
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "whet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "scaler.whet")
	if err := format.WriteFile(path, scaler()); err != nil {
		log.Fatal(err)
	}

	m, err := format.Open(path, format.Options{Map: true})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Println(m.Header.Card["title"])
	for _, n := range m.Main().Nodes {
		fmt.Println(n.Op, n.Inputs, "->", n.Outputs)
	}
	fmt.Printf("%d bytes of weights, digest %x…\n", m.Header.WeightBytes, m.Header.Digest[:4])
	// Output:
	// three x plus one
	// Gemm [x w b] -> [y]
	// 8 bytes of weights, digest 8b1995ec…
}

func ExampleCheck() {
	m := scaler()
	m.Main().Nodes[0].Attrs["alpha"] = 2.0
	fmt.Println(format.Check(m))
	// Output:
	// format: node "dense" (Gemm): unknown attribute "alpha": Gemm has transB
}

func ExampleApply() {
	base, tuned := scaler(), scaler()
	tuned.Tensor("b").Data = []byte{0, 0, 0, 0x40} // y = 3·x + 2
	d, err := format.Diff(base, tuned)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	if err := format.WriteDelta(&file, d); err != nil {
		log.Fatal(err)
	}

	d, err = format.DeltaFromBytes(file.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	m, err := format.Apply(base, d)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Tensor("b").Data, slices.Equal(m.Tensor("w").Data, base.Tensor("w").Data))
	// Output:
	// [0 0 0 64] true
}

func ExampleInfer() {
	shapes, err := format.Infer("Conv", format.Attrs{"strides": []int64{2, 2}, "pads": []int64{0, 0, 1, 1}},
		[]*format.Tensor{{Shape: format.Shape{1, 224, 224, 3}}, {Shape: format.Shape{32, 3, 3, 3}}})
	fmt.Println(shapes, err)
	// Output:
	// [[1 112 112 32]] <nil>
}
