package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// stored is a model of layers of n by n weights, as float32 or stored as float16.
func stored(n, layers int, half bool) *format.Model {
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
		if half {
			c.constant(narrow)
			c.tensor(w, format.Float32, nil, n, n)
			c.node("Cast", nil, w, narrow.Name)
		} else {
			c.constant(f32s(w, wide, n, n))
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
	live := func() int {
		var s goruntime.MemStats
		goruntime.GC()
		goruntime.ReadMemStats(&s)
		return int(s.HeapAlloc)
	}
	var outputs [][]byte
	for _, half := range []bool{false, true} {
		m := stored(n, layers, half)
		before := live()
		p, err := Compile(m, WithThreads(1))
		if err != nil {
			t.Fatal(err)
		}
		held := live() - before
		if packed := p.WeightBytes(); packed < 4*n*n*layers || held > packed+packed/8 {
			t.Errorf("float16 %v: the program holds %d bytes, its packed weights are %d", half, held, packed)
		}
		s := p.NewSession()
		for i := range s.Input(0).Float32() {
			s.Input(0).Float32()[i] = float32(i%7) - 3
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, bytes.Clone(s.Output(0).Bytes()))
		goruntime.KeepAlive(m)
	}
	if !bytes.Equal(outputs[0], outputs[1]) {
		t.Error("weights stored as float16 give another result than their float32 values")
	}
}
