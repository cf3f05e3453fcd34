package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"slices"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// stored is a model of layers of n by n weights, kept as a type that gives the
// float32 weights back; of Float32 they are those of float16.
func stored(n, layers int, typ format.DType) *format.Model {
	r := rand.New(rand.NewPCG(5, 6))
	c := &chain{}
	c.tensor("x0", format.Float32, nil, 1, n)
	for i := range layers {
		h, wide := make([]uint16, n*n), make([]float32, n*n)
		for j := range wide {
			wide[j] = float32(r.NormFloat64() / math.Sqrt(float64(n)))
		}
		kernels.Float32ToFloat16(h, wide)
		kernels.Float16ToFloat32(wide, h)
		w, x, y := fmt.Sprint("w", i), fmt.Sprint("x", i), fmt.Sprint("x", i+1)
		narrow := &format.Tensor{Name: w + "/stored", Type: format.Float16, Shape: format.Shape{n, n}}
		for _, v := range h {
			narrow.Data = binary.LittleEndian.AppendUint16(narrow.Data, v)
		}
		switch typ {
		case format.Float32:
			c.constant(f32s(w, wide, n, n))
		case format.Float16:
			c.constant(narrow)
			c.tensor(w, format.Float32, nil, n, n)
			c.node("Cast", nil, w, narrow.Name)
		default: // the same bits, as codes in blocks of 32
			narrow.Type, narrow.Data = typ, narrow.Data[:typ.Bytes(n*n)]
			narrow.Quant = &format.Quant{Scale: make([]float32, n*n/32), Block: 32}
			for j := range narrow.Quant.Scale {
				narrow.Quant.Scale[j] = r.Float32() / float32(n)
			}
			c.constant(narrow)
			c.tensor(w, format.Float32, nil, n, n)
			c.node("DequantizeLinear", nil, w, narrow.Name)
		}
		c.tensor(y, format.Float32, nil, 1, n)
		c.node("Gemm", format.Attrs{"transB": int64(1)}, y, x, w)
	}
	return c.model(c.nodes, fmt.Sprint("x", layers), nil)
}

// Weights that are stored as float16 give the bits of their float32 values, and once
// they are packed the program holds no other float32 copy of them.
func TestStoredHalf(t *testing.T) {
	const n, layers = 512, 4
	full, _ := runStored(t, stored(n, layers, format.Float32), 4*n*n*layers)
	half, _ := runStored(t, stored(n, layers, format.Float16), 4*n*n*layers)
	if !bytes.Equal(full, half) {
		t.Error("weights stored as float16 give another result than their float32 values")
	}
}

// Weights in blocks stay codes, which give the bits of their float32 values.
func TestStoredBlocks(t *testing.T) {
	const n, layers = 512, 4
	for typ, bits := range map[format.DType]int{format.Int4: 4, format.Int8: 8} {
		m := stored(n, layers, typ)
		got, p := runStored(t, m, n*n*layers*bits/8)
		if most := n * n * layers * (bits + 2) / 8; p.WeightBytes() > most {
			t.Errorf("%v: the packed weights are %d bytes, want at most %d", typ, p.WeightBytes(), most)
		}
		// The same model with the constants that the blocks stand for.
		for _, node := range m.Main().Nodes {
			if node.Op == "DequantizeLinear" {
				codes, wide := m.Tensor(node.Inputs[0]), m.Tensor(node.Outputs[0])
				x := make([]float32, n*n)
				kernels.DequantizeBlocks(&kernels.Blocks{Bits: bits, Inner: n, Block: 32, Scale: codes.Quant.Scale}, x, codes.Data)
				wide.Data = raw(x)
			}
		}
		m.Main().Nodes = slices.DeleteFunc(m.Main().Nodes, func(n *format.Node) bool { return n.Op == "DequantizeLinear" })
		if want, _ := runStored(t, m, 4*n*n*layers); !bytes.Equal(got, want) {
			t.Errorf("%v: weights in blocks give another result than their float32 values", typ)
		}
	}
}

// runStored runs a model, whose packed weights take at least so many bytes and are
// all that the program holds.
func runStored(t *testing.T, m *format.Model, least int) ([]byte, *Program) {
	t.Helper()
	live := func() int {
		var s goruntime.MemStats
		goruntime.GC()
		goruntime.ReadMemStats(&s)
		return int(s.HeapAlloc)
	}
	before := live()
	p, err := Compile(m, WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	held := live() - before
	if packed := p.WeightBytes(); packed < least || held > packed+packed/8 {
		t.Errorf("the program holds %d bytes, its packed weights are %d", held, packed)
	}
	s := p.NewSession()
	for i := range s.Input(0).Float32() {
		s.Input(0).Float32()[i] = float32(i%7) - 3
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	goruntime.KeepAlive(m)
	return bytes.Clone(s.Output(0).Bytes()), p
}
