package quant

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"
)

// TestDigest pins the bytes of a quantized model: every CPU, level of kernels
// and number of threads makes the same. The numbers that go in are made without
// functions whose last bits depend on the CPU.
func TestDigest(t *testing.T) {
	const want = "1fb11b42857451ed83b64529baad29195a0592f488138b323db1dce8df74b350"
	r := rand.New(rand.NewPCG(11, 12))
	uniform := func(n int, scale float32) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.IntN(2001)-1000) * scale
		}
		return x
	}
	m := floatNet(rand.New(rand.NewPCG(1, 1)))
	for _, c := range m.Tensors {
		if c.Const() {
			c.Data = bytesOf(uniform(len(c.Data)/4, 1.0/4096))
		}
	}
	var inputs [][]float32
	for range 12 {
		inputs = append(inputs, uniform(192, 1.0/512))
	}
	samples := func(yield func(Sample, error) bool) {
		for _, x := range inputs {
			if !yield(Sample{x}, nil) {
				return
			}
		}
	}
	q, err := Quantize(context.Background(), m, samples, Options{Budget: Budget{SQNR: 40}})
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, x := range q.Model.Tensors {
		h.Write([]byte(x.Name))
		h.Write(x.Data)
		if x.Quant != nil {
			for _, s := range x.Quant.Scale {
				h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(s)))
			}
			h.Write(binary.LittleEndian.AppendUint32(nil, uint32(x.Quant.ZeroPoint())))
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}
