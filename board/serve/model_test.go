package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
)

// testModel is int8 [1,4] → Gemm → Relu → Gemm → int8 [1,3], with weights that
// make class k's output large where input k is.
func testModel() *format.Model {
	hidden, classes := 6, 3
	q := func(n int, s float32) *format.Quant {
		q := &format.Quant{}
		for i := range n {
			q.Scale = append(q.Scale, s*(1+float32(i)/8))
		}
		return q
	}
	product := func(x, w *format.Quant) *format.Quant {
		q := &format.Quant{}
		for _, s := range w.Scale {
			q.Scale = append(q.Scale, s*x.Scale[0])
		}
		return q
	}
	weights := func(rows, cols int) []byte {
		b := make([]byte, rows*cols)
		for r := range rows {
			for c := range cols {
				v := (r*7+c*5)%11 - 5
				if r%cols == c {
					v = 90
				}
				b[r*cols+c] = byte(int8(v))
			}
		}
		return b
	}
	in, hid, out := format.PerTensor(1.0/32, 2), format.PerTensor(1.0/16, -128), format.PerTensor(1.0/8, 0)
	w1, w2 := q(hidden, 1.0/128), q(classes, 1.0/128)
	return &format.Model{
		Header: format.Header{Opset: 1, Labels: []string{"no", "yes", "up"}},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"scores"},
			Nodes: []*format.Node{
				{Name: "dense1", Op: "Gemm", Inputs: []string{"x", "w1", "b1"}, Outputs: []string{"h1"}, Attrs: format.Attrs{"transB": int64(1)}},
				{Name: "relu", Op: "Relu", Inputs: []string{"h1"}, Outputs: []string{"h2"}},
				{Name: "dense2", Op: "Gemm", Inputs: []string{"h2", "w2", "b2"}, Outputs: []string{"scores"}, Attrs: format.Attrs{"transB": int64(1)}},
			},
		}},
		Tensors: []*format.Tensor{
			{Name: "x", Type: format.Int8, Shape: format.Shape{1, 4}, Quant: in},
			{Name: "w1", Type: format.Int8, Shape: format.Shape{hidden, 4}, Quant: w1, Data: weights(hidden, 4)},
			{Name: "b1", Type: format.Int32, Shape: format.Shape{hidden}, Quant: product(in, w1), Data: make([]byte, 4*hidden)},
			{Name: "h1", Type: format.Int8, Shape: format.Shape{1, hidden}, Quant: hid},
			{Name: "h2", Type: format.Int8, Shape: format.Shape{1, hidden}, Quant: hid},
			{Name: "w2", Type: format.Int8, Shape: format.Shape{classes, hidden}, Quant: w2, Data: weights(classes, hidden)},
			{Name: "b2", Type: format.Int32, Shape: format.Shape{classes}, Quant: product(hid, w2), Data: make([]byte, 4*classes)},
			{Name: "scores", Type: format.Int8, Shape: format.Shape{1, classes}, Quant: out},
		},
	}
}

// floatModel is float32 [2] → Relu, for values that int8 cannot have.
func floatModel() *format.Model {
	return &format.Model{
		Header: format.Header{Opset: 1},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
			Nodes: []*format.Node{{Name: "relu", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}},
		}},
		Tensors: []*format.Tensor{
			{Name: "x", Type: format.Float32, Shape: format.Shape{1, 2}},
			{Name: "y", Type: format.Float32, Shape: format.Shape{1, 2}},
		},
	}
}

// pictureModel is uint8 [1,2,2,3] → MaxPool → [1,1,1,3].
func pictureModel() *format.Model {
	return &format.Model{
		Header: format.Header{Opset: 1, Labels: []string{"red", "green", "blue"}},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
			Nodes: []*format.Node{{Name: "pool", Op: "MaxPool", Inputs: []string{"x"}, Outputs: []string{"y"}, Attrs: format.Attrs{
				"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}, "pads": []int64{0, 0, 0, 0},
			}}},
		}},
		Tensors: []*format.Tensor{
			{Name: "x", Type: format.Uint8, Shape: format.Shape{1, 2, 2, 3}, Quant: format.PerTensor(1.0/128, 128)},
			{Name: "y", Type: format.Uint8, Shape: format.Shape{1, 1, 1, 3}, Quant: format.PerTensor(1.0/128, 128)},
		},
	}
}

// testServer serves a folder with a good model "kws", a float model "relu" and a
// torn file "torn", on the real runtime.
func testServer(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	dir := t.TempDir()
	for name, m := range map[string]*format.Model{"kws": testModel(), "relu": floatModel()} {
		if err := format.WriteFile(filepath.Join(dir, name+modelSuffix), m); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(filepath.Join(dir, "kws.whet"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "torn.whet"), whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Models: dir, Store: testStore(t, vfs.OS), Engine: Runtime{}, Trainer: Tuner{}, Version: "test", Log: slog.New(slog.DiscardHandler),
		Board: func() *info.Board {
			return &info.Board{Model: "Raspberry Pi 4 Model B Rev 1.4", Kind: "Raspberry Pi 4", OS: "linux", Arch: "arm64", Cores: 4, CPU: "Cortex-A72"}
		}}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
	})
	return s
}

// testStore is a store whose clock ticks a second a sample.
func testStore(t testing.TB, fsys vfs.FS) *store.Store {
	t.Helper()
	var mu sync.Mutex
	ms := int64(0)
	st, err := store.Open(fsys, t.TempDir(), store.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		ms += 1000
		return time.UnixMilli(ms)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// wait waits for the training job that runs, if one does.
func (s *Server) wait() {
	s.jobs.mu.Lock()
	r := s.jobs.running
	s.jobs.mu.Unlock()
	if r != nil {
		<-r.done
	}
}

// teach adds n samples of each label of kws and of a new one, "down".
func teach(t testing.TB, s *Server, n int) {
	t.Helper()
	for i := range n {
		for k, label := range []string{"no", "yes", "up", "down"} {
			x := []int8{0, 0, 0, 0}
			x[k] = int8(60 + 3*i)
			x[(k+1)%4] = int8(2 * i)
			b := make([]byte, 0, 4)
			for _, v := range x {
				b = append(b, byte(v))
			}
			if _, err := s.cfg.Store.Add(store.Sample{Model: "kws", Label: label, Form: "INT8[1,4]", Data: b}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// bmp is a picture of one colour.
func bmp(w, h int, blue, green, red byte) []byte {
	row := (3*w + 3) / 4 * 4
	b := []byte("BM")
	for _, v := range []uint32{uint32(54 + row*h), 0, 54, 40, uint32(w), uint32(h), 1 | 24<<16, 0, uint32(row * h), 2835, 2835, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	line := make([]byte, row)
	for x := range w {
		copy(line[3*x:], []byte{blue, green, red})
	}
	return append(b, bytes.Repeat(line, h)...)
}
