package ondevice

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/whet-edge/whet/format"
)

// The test network: int8 [1, testIn] → Gemm → Relu → Gemm to classes → Softmax,
// all int8, with weights that make every output of the first layer useful.
const (
	testIn     = 12
	testHidden = 16
)

// testModel returns the network with the given labels, read back from its file
// so that it has a digest.
func testModel(t testing.TB, labels ...string) *format.Model {
	return wideModel(t, testHidden, labels...)
}

// wideModel is testModel with a chosen number of features.
func wideModel(t testing.TB, hidden int, labels ...string) *format.Model {
	t.Helper()
	classes := len(labels)
	r := newRNG(1, 99)
	codes := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(int8(r.intn(255) - 127))
		}
		return b
	}
	zeros32 := func(n int) []byte { return make([]byte, 4*n) }
	scales := func(n int, s float32) *format.Quant {
		q := &format.Quant{Axis: 0}
		for i := range n {
			q.Scale = append(q.Scale, s*(1+float32(i%16)/16))
		}
		return q
	}
	bias := func(x, w *format.Quant) *format.Quant {
		q := &format.Quant{}
		for _, s := range w.Scale {
			q.Scale = append(q.Scale, s*x.Scale[0])
		}
		return q
	}
	in, hid, logit := format.PerTensor(1.0/64, 3), format.PerTensor(1.0/16, -128), format.PerTensor(1.0/8, 0)
	w1, w2 := scales(hidden, 1.0/256), scales(classes, 1.0/128)
	m := &format.Model{
		Header: format.Header{Opset: 1, Labels: labels},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "in"}}, Outputs: []string{"out"},
			Nodes: []*format.Node{
				{Name: "dense1", Op: "Gemm", Inputs: []string{"in", "w1", "b1"}, Outputs: []string{"h1"}, Attrs: format.Attrs{"transB": int64(1)}},
				{Name: "relu", Op: "Relu", Inputs: []string{"h1"}, Outputs: []string{"h2"}},
				{Name: "dense2", Op: "Gemm", Inputs: []string{"h2", "w2", "b2"}, Outputs: []string{"logits"}, Attrs: format.Attrs{"transB": int64(1)}},
				{Name: "softmax", Op: "Softmax", Inputs: []string{"logits"}, Outputs: []string{"out"}, Attrs: format.Attrs{"axis": int64(-1)}},
			},
		}},
		Tensors: []*format.Tensor{
			{Name: "in", Type: format.Int8, Shape: format.Shape{1, testIn}, Quant: in},
			{Name: "w1", Type: format.Int8, Shape: format.Shape{hidden, testIn}, Quant: w1, Data: codes(hidden * testIn)},
			{Name: "b1", Type: format.Int32, Shape: format.Shape{hidden}, Quant: bias(in, w1), Data: zeros32(hidden)},
			{Name: "h1", Type: format.Int8, Shape: format.Shape{1, hidden}, Quant: hid},
			{Name: "h2", Type: format.Int8, Shape: format.Shape{1, hidden}, Quant: hid},
			{Name: "w2", Type: format.Int8, Shape: format.Shape{classes, hidden}, Quant: w2, Data: codes(classes * hidden)},
			{Name: "b2", Type: format.Int32, Shape: format.Shape{classes}, Quant: bias(hid, w2), Data: zeros32(classes)},
			{Name: "logits", Type: format.Int8, Shape: format.Shape{1, classes}, Quant: logit},
			{Name: "out", Type: format.Int8, Shape: format.Shape{1, classes}, Quant: format.PerTensor(1.0/256, -128)},
		},
	}
	return reopen(t, m)
}

// reopen writes a model and reads it back.
func reopen(t testing.TB, m *format.Model) *format.Model {
	t.Helper()
	var b bytes.Buffer
	if err := format.Write(&b, m); err != nil {
		t.Fatal(err)
	}
	m, err := format.FromBytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testSamples makes n samples of every label: one cluster a label, whose centre
// depends on the label alone.
func testSamples(n int, seed uint64, labels ...string) Samples {
	var s Samples
	r := newRNG(seed, 7)
	for i := range n {
		for _, l := range labels {
			c := newRNG(uint64(len(l))<<32|uint64(l[len(l)-1]), 8)
			x := make([]byte, testIn)
			for k := range x {
				v := 60*c.normal() + 18*r.normal()
				x[k] = byte(int8(max(-128, min(127, v))))
			}
			s = append(s, Sample{Input: x, Label: l, Source: fmt.Sprintf("%s-%d-%d", l, seed, i)})
		}
	}
	return s
}

// seal puts the right checksum at the end of b, so that a fuzzer gets past it.
func seal(b []byte) []byte {
	if len(b) < 4 {
		return b
	}
	b = bytes.Clone(b[:len(b)-4])
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}
