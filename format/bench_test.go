package format

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
)

// benchModel has the size of MobileNetV2: 53 convolutions, 3.4 million weights.
func benchModel() *Model {
	m := &Model{Graphs: []*Graph{{Name: "main", Inputs: []Input{{Tensor: "t0"}}, Outputs: []string{"t53"}}}}
	q := PerTensor(0.05, -3)
	m.Tensors = append(m.Tensors, &Tensor{Name: "t0", Type: Int8, Shape: Shape{1, 14, 14, 254}, Quant: q})
	for i := range 53 {
		w := &Tensor{Name: fmt.Sprintf("w%d", i), Type: Int8, Shape: Shape{254, 1, 1, 254}, Quant: &Quant{Scale: make([]float32, 254)}, Data: make([]byte, 254*254)}
		for j := range w.Quant.Scale {
			w.Quant.Scale[j] = 0.01
		}
		b := &Tensor{Name: fmt.Sprintf("b%d", i), Type: Int32, Shape: Shape{254}, Data: make([]byte, 4*254)}
		y := &Tensor{Name: fmt.Sprintf("t%d", i+1), Type: Int8, Shape: Shape{1, 14, 14, 254}, Quant: q}
		m.Tensors = append(m.Tensors, w, b, y)
		m.Graphs[0].Nodes = append(m.Graphs[0].Nodes, &Node{Name: fmt.Sprintf("conv%d", i), Op: "Conv",
			Inputs: []string{fmt.Sprintf("t%d", i), w.Name, b.Name}, Outputs: []string{y.Name}, Attrs: Attrs{"strides": []int64{1, 1}}})
	}
	return m
}

func BenchmarkFromBytes(b *testing.B) {
	file := write(b, benchModel())
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FromBytes(file); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "m.whet")
	if err := WriteFile(path, benchModel()); err != nil {
		b.Fatal(err)
	}
	for _, o := range []Options{{}, {Map: true}, {Digest: true}} {
		b.Run(fmt.Sprintf("map=%v,digest=%v", o.Map, o.Digest), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := Open(path, o)
				if err != nil {
					b.Fatal(err)
				}
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	m := benchModel()
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(new(bytes.Buffer), m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	base, tuned := benchModel(), benchModel()
	tuned.Tensor("w52").Data[0]++
	d, err := Diff(base, tuned)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Apply(base, d); err != nil {
			b.Fatal(err)
		}
	}
}
