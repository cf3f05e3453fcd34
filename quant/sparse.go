package quant

import (
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Thin returns a copy of the model in which the smallest of the float32 weights
// of every Conv and Gemm are zero: that part of them, of 1 (magnitude pruning:
// Han et al., 2015, arXiv:1506.02626). Layers of fewer than 1024 weights stay as
// they are. [Tune] with Sparse makes up for the loss; [Sparse] makes the file
// smaller.
func Thin(m *format.Model, part float64) (*format.Model, error) {
	if !(part > 0 && part < 1) {
		return nil, fmt.Errorf("quant: %g of the weights cannot become zero: choose a part between 0 and 1", part)
	}
	out := clone(m)
	tensors := byName(out)
	done := map[string]bool{}
	for _, g := range out.Graphs {
		for _, n := range g.Nodes {
			if !linear(n) {
				continue
			}
			w := tensors[n.Inputs[1]]
			if !plainConst(w) || w.Shape.Elems() < 1024 || done[w.Name] {
				continue
			}
			done[w.Name] = true
			x := float32s(w)
			size := make([]float32, len(x))
			for i, v := range x {
				size[i] = abs(v)
			}
			slices.Sort(size)
			least := size[int(part*float64(len(x)))]
			for i, v := range x {
				if abs(v) < least {
					x[i] = 0
				}
			}
			w.Data = bytesOf(x)
		}
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("quant: the model has no Conv or Gemm with 1024 float32 weights")
	}
	return out, format.Check(out)
}

// gapBytes is what a weight that is not zero takes in sparse storage besides
// itself: how far it lies from the one before.
const gapBytes = 1

// Sparse returns a copy of the model in which matrices with many zeros are stored
// without them, wherever that is smaller, and how many those are. A weight is kept with
// the distance from the one before, a byte; where that is not enough a zero is
// kept, too. Only storage changes: the nodes get all weights back when the model
// is compiled.
func Sparse(m *format.Model) (*format.Model, int, error) {
	out := clone(m)
	parts := map[string]*sparse{}
	n, err := store(out, func(stored, wide *format.Tensor) []*format.Node { return parts[stored.Name].back(out, stored, wide) },
		func(_ *format.Node, w *format.Tensor) bool {
			if parts[w.Name] == nil {
				parts[w.Name] = newSparse(float32s(w))
			}
			// The nodes and tensors that give the weights back take some bytes, too.
			return len(parts[w.Name].values)*(4+gapBytes)+1024 < len(w.Data)
		},
		func(_ *format.Node, w *format.Tensor) error {
			p := parts[w.Name]
			w.Data, w.Shape = bytesOf(p.values), format.Shape{len(p.values)}
			return nil
		})
	if err != nil {
		return nil, 0, err
	}
	return out, n, format.Check(out)
}

// A sparse is a matrix without its zeros: values[i] lies gaps[i] behind the
// value before, the first one gaps[0]-1 behind the beginning.
type sparse struct {
	values []float32
	gaps   []byte
}

func newSparse(x []float32) *sparse {
	s := &sparse{}
	last := -1
	for i, v := range x {
		if v != 0 || i-last == math.MaxUint8 {
			s.values, s.gaps = append(s.values, v), append(s.gaps, byte(i-last))
			last = i
		}
	}
	return s
}

// back makes the nodes that scatter the values over zeros: their places are the
// running sums of the gaps.
func (s *sparse) back(m *format.Model, stored, wide *format.Tensor) []*format.Node {
	n, all := len(s.values), wide.Shape.Elems()
	tensor := func(name string, t format.DType, data []byte, shape ...int) string {
		m.Tensors = append(m.Tensors, &format.Tensor{Name: wide.Name + "/" + name, Type: t, Shape: shape, Data: data})
		return wide.Name + "/" + name
	}
	node := func(op, out string, attrs format.Attrs, in ...string) *format.Node {
		return &format.Node{Name: out + "/" + op, Op: op, Attrs: attrs, Inputs: in, Outputs: []string{out}}
	}
	first := format.Attrs{"axis": int64(0)}
	gaps, start := tensor("gaps", format.Uint8, s.gaps, n), tensor("start", format.Int64, bytesOf([]int64{-1}), 1)
	far, sums, places := tensor("far", format.Int64, nil, n), tensor("sums", format.Int64, nil, n), tensor("places", format.Int64, nil, n)
	zero, zeros, flat := tensor("zero", format.Float32, make([]byte, 4), 1), tensor("zeros", format.Float32, nil, all), tensor("flat", format.Float32, nil, all)
	return []*format.Node{
		node("Cast", far, nil, gaps),
		node("CumSum", sums, first, far),
		node("Add", places, nil, sums, start),
		node("Expand", zeros, format.Attrs{"shape": []int64{int64(all)}}, zero),
		node("ScatterElements", flat, first, zeros, places, stored.Name),
		node("Reshape", wide.Name, format.Attrs{"shape": shapeAttr(wide.Shape)}, flat),
	}
}

// Cluster returns a copy of the model in which the float32 weights of its
// matrices take n values each matrix, of which there are at most 256, and are stored as a byte a weight that
// picks one (weight sharing: Han, Mao and Dally, "Deep Compression", 2016,
// arXiv:1510.00149, section 3). The values are the means of their weights, found
// by Lloyd's algorithm from an even spread. Matrices of fewer than 8n weights
// stay as they are.
func Cluster(m *format.Model, n int) (*format.Model, error) {
	if n < 2 || n > 256 {
		return nil, fmt.Errorf("quant: %d values a matrix: choose 2 to 256", n)
	}
	out := clone(m)
	values := map[string][]float32{}
	done, err := store(out, func(stored, wide *format.Tensor) []*format.Node {
		return picked(out, values[stored.Name], stored, wide)
	},
		func(_ *format.Node, w *format.Tensor) bool { return w.Shape.Elems() >= 8*n },
		func(_ *format.Node, w *format.Tensor) error {
			var codes []byte
			codes, values[w.Name] = lloyd(float32s(w), n)
			w.Type, w.Shape, w.Data = format.Uint8, format.Shape{len(codes)}, codes
			return nil
		})
	if err != nil {
		return nil, err
	}
	if done == 0 {
		return nil, fmt.Errorf("quant: the model has no matrices of %d float32 weights", 8*n)
	}
	return out, format.Check(out)
}

// picked makes the nodes that look the weights up.
func picked(m *format.Model, values []float32, stored, wide *format.Tensor) []*format.Node {
	book := &format.Tensor{Name: wide.Name + "/values", Type: format.Float32, Shape: format.Shape{len(values)}, Data: bytesOf(values)}
	index := &format.Tensor{Name: wide.Name + "/codes", Type: format.Int64, Shape: stored.Shape}
	flat := &format.Tensor{Name: wide.Name + "/flat", Type: format.Float32, Shape: stored.Shape}
	m.Tensors = append(m.Tensors, book, index, flat)
	return []*format.Node{
		{Name: index.Name, Op: "Cast", Inputs: []string{stored.Name}, Outputs: []string{index.Name}},
		{Name: flat.Name, Op: "Gather", Inputs: []string{book.Name, index.Name}, Outputs: []string{flat.Name}, Attrs: format.Attrs{"axis": int64(0)}},
		{Name: wide.Name, Op: "Reshape", Inputs: []string{flat.Name}, Outputs: []string{wide.Name}, Attrs: format.Attrs{"shape": shapeAttr(wide.Shape)}},
	}
}

// lloydTurns bounds the turns of Lloyd's algorithm, which moves little after the first ten.
const lloydTurns = 30

// lloyd finds n values that are near the numbers of x, and which of them is the
// nearest to each.
func lloyd(x []float32, n int) (codes []byte, values []float32) {
	lo, hi := span(x)
	values = make([]float32, n)
	for i := range values {
		values[i] = lo + float32((hi-lo)*(float32(i)+0.5)/float32(n))
	}
	codes = make([]byte, len(x))
	sum, count := make([]float64, n), make([]int, n)
	for range lloydTurns {
		changed := false
		clear(sum)
		clear(count)
		for i, v := range x {
			c := nearest(values, v)
			changed = changed || c != int(codes[i])
			codes[i] = byte(c)
			sum[c] += float64(v)
			count[c]++
		}
		for c := range values {
			if count[c] > 0 {
				values[c] = float32(sum[c] / float64(count[c]))
			}
		}
		if !changed {
			break
		}
	}
	return codes, values
}

// nearest is the index of the ascending value that is the nearest to v.
func nearest(values []float32, v float32) int {
	i, _ := slices.BinarySearch(values, v)
	switch {
	case i == 0:
		return 0
	case i == len(values) || v-values[i-1] <= values[i]-v:
		return i - 1
	}
	return i
}
