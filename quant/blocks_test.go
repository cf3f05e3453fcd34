package quant

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/whet-edge/whet/format"
)

// mlp is x[192] through a matrix that stands upright, a Relu and a Gemm.
func mlp(r *rand.Rand) *format.Model {
	m := floatNet(r)
	weights := func(name string, shape ...int) *format.Tensor {
		x := make([]float32, format.Shape(shape).Elems())
		for i := range x {
			x[i] = float32(r.NormFloat64()) / 16
		}
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: bytesOf(x)}
	}
	act := func(name string, n int) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: format.Shape{1, n}}
	}
	m.Tensors = []*format.Tensor{act("x", 192), act("a", 144), act("b", 144), act("y", 50), weights("w1", 192, 144), weights("w2", 50, 144), weights("c", 50)}
	m.Main().Nodes = []*format.Node{
		{Name: "up", Op: "MatMul", Inputs: []string{"x", "w1"}, Outputs: []string{"a"}},
		{Name: "relu", Op: "Relu", Inputs: []string{"a"}, Outputs: []string{"b"}},
		{Name: "fc", Op: "Gemm", Inputs: []string{"b", "w2", "c"}, Outputs: []string{"y"}, Attrs: format.Attrs{"transB": int64(1)}},
	}
	return m
}

func TestBlocks(t *testing.T) {
	ctx := context.Background()
	m := mlp(rand.New(rand.NewPCG(6, 6)))
	size := func(m *format.Model) int {
		var b bytes.Buffer
		if err := format.Write(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	for _, c := range []struct {
		o  BlockOptions
		db float64 // at least, rounded to the nearest
	}{{BlockOptions{Bits: 4, Size: 32}, 18}, {BlockOptions{Bits: 4, Size: 64}, 17}, {BlockOptions{Bits: 4, Size: 128}, 16}, {BlockOptions{Bits: 8, Size: 32}, 42}} {
		near, err := Blocks(ctx, m, c.o)
		if err != nil {
			t.Fatal(err)
		}
		c.o.Samples = samples(1, 500)
		adapted, err := Blocks(ctx, m, c.o)
		if err != nil {
			t.Fatal(err)
		}
		a, b := sqnr(t, m, near), sqnr(t, m, adapted)
		if a < c.db || b < a {
			t.Errorf("%d bits in blocks of %d: %.1f dB, %.1f dB adapted", c.o.Bits, c.o.Size, a, b)
		}
		w := adapted.Tensor("w1")
		if len(w.Data) != 192*144*c.o.Bits/8 || w.Quant.Block != c.o.Size {
			t.Errorf("%d bits in blocks of %d: %d bytes of %v", c.o.Bits, c.o.Size, len(w.Data), w.Type)
		}
	}
	eight, err := Dynamic(m)
	if err != nil {
		t.Fatal(err)
	}
	four, err := Blocks(ctx, m, BlockOptions{Bits: 4, Size: 32})
	if err != nil {
		t.Fatal(err)
	}
	// Dynamic leaves MatMul alone: count the codes of both matrices.
	if most := 0.6*float64((192+50)*144) + 2048; float64(size(four)) > most {
		t.Errorf("int4 takes %d bytes of file, want at most %.0f; dynamic %d", size(four), most, size(eight))
	}
	if m.Tensor("w1").Type != format.Float32 || m.Main().Nodes[0].Inputs[1] != "w1" {
		t.Error("the source model was changed")
	}
}

func TestBlockRefusals(t *testing.T) {
	m := mlp(rand.New(rand.NewPCG(6, 6)))
	for _, o := range []BlockOptions{{Bits: 5, Size: 32}, {Bits: 4, Size: 48}} {
		if _, err := Blocks(context.Background(), m, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	four, err := Blocks(context.Background(), m, BlockOptions{Bits: 4, Size: 32})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Blocks(context.Background(), four, BlockOptions{Bits: 4, Size: 32}); err == nil {
		t.Error("a model without float weights was taken")
	}
}

// TestTiedWeights are stored once for a lookup and a product.
func TestTiedWeights(t *testing.T) {
	m := mlp(rand.New(rand.NewPCG(6, 6)))
	m.Tensors = append(m.Tensors, &format.Tensor{Name: "i", Type: format.Int64, Shape: format.Shape{1}, Data: bytesOf([]int64{7})},
		&format.Tensor{Name: "row", Type: format.Float32, Shape: format.Shape{1, 144}})
	m.Main().Nodes = append(m.Main().Nodes, &format.Node{Name: "lookup", Op: "Gather", Inputs: []string{"w2", "i"}, Outputs: []string{"row"}})
	m.Main().Outputs = []string{"y", "row"}
	four, err := Blocks(context.Background(), m, BlockOptions{Bits: 4, Size: 32, Samples: samples(1, 4)})
	if err != nil {
		t.Fatal(err)
	}
	nodes := 0
	for _, n := range four.Main().Nodes {
		if n.Op == "DequantizeLinear" {
			nodes++
		}
	}
	if nodes != 2 || len(four.Tensor("w2").Data) != 50*144/2 {
		t.Errorf("%d nodes give weights back, w2 takes %d bytes", nodes, len(four.Tensor("w2").Data))
	}
	if db := sqnr(t, m, four); db < 15 {
		t.Errorf("%.1f dB", db)
	}
}
