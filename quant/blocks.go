package quant

import (
	"context"
	"fmt"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// BlockOptions say how [Blocks] stores weights.
type BlockOptions struct {
	// Bits of a code: 4 or 8.
	Bits int
	// Size is the number of weights that share a scale: 32, 64 or 128.
	Size int
	// Samples, unless nil, are what the rounding of the weights is chosen on;
	// without them every weight is rounded to its nearest code.
	Samples Samples
	// Sequence is how many samples in a row belong together, for a model with states
	// (a language model's tokens): the states begin anew with each Sequence of them.
	// 0: with every sample.
	Sequence int
}

// Blocks returns a copy of the model in which the float32 weights of its
// matrices are stored as int4 or int8, with a float16 scale for each block of
// them along the innermost axis. Only storage changes: products read the
// codes, through a DequantizeLinear in the graph, and compute in float32. Depthwise
// and other convolutions whose innermost axis is shorter than a block stay as they
// are.
//
// With samples, the codes of a layer are those of the least expected error of
// its output (see [Round]), free to move more than one step.
func Blocks(ctx context.Context, m *format.Model, o BlockOptions) (*format.Model, error) {
	if o.Bits != 4 && o.Bits != 8 {
		return nil, fmt.Errorf("quant: blocks of %d bits: choose 4 or 8", o.Bits)
	}
	if o.Size != 32 && o.Size != 64 && o.Size != 128 {
		return nil, fmt.Errorf("quant: blocks of %d weights: choose 32, 64 or 128", o.Size)
	}
	chosen := map[string]*blocked{}
	if o.Samples != nil {
		var err error
		if chosen, err = o.round(ctx, m); err != nil {
			return nil, err
		}
	}
	out := clone(m)
	n, err := store(out, by("DequantizeLinear"), o.takes, func(_ *format.Node, w *format.Tensor) error {
		b := chosen[w.Name]
		if b == nil {
			b = o.nearest(float32s(w), w.Shape[len(w.Shape)-1], nil)
		}
		b.put(w, o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("quant: the model has no matrices with float32 weights whose rows are as long as a block of %d", o.Size)
	}
	return out, format.Check(out)
}

// shortRow is the least length of a row that gets a scale of its own although it
// is shorter than a block.
const shortRow = 16

func (o *BlockOptions) takes(n *format.Node, w *format.Tensor) bool {
	inner := w.Shape[len(w.Shape)-1]
	if n.Op == "Conv" && w.Shape.Elems() != w.Shape[0]*inner { // not a matrix product of pixels
		return inner >= o.Size
	}
	return inner >= shortRow
}

// blocked is a tensor of rows in blocks.
type blocked struct {
	inner, perRow, size int
	codes               []int8
	scale               []float32 // of every block
}

// nearest chooses a scale for every block by the least squared error, each weight
// counting by its importance (nil: alike), and the nearest codes.
func (o *BlockOptions) nearest(w []float32, inner int, importance []float32) *blocked {
	b := &blocked{inner: inner, size: o.Size, perRow: (inner + o.Size - 1) / o.Size, codes: make([]int8, len(w))}
	b.scale = make([]float32, len(w)/inner*b.perRow)
	parallel(len(b.scale), func(i int) {
		from := i/b.perRow*inner + i%b.perRow*o.Size
		to := min(from+o.Size, (i/b.perRow+1)*inner)
		block := w[from:to]
		var weight []float32
		if importance != nil {
			weight = importance[from:to]
		}
		b.scale[i] = o.scale(block, weight)
		o.code(b.codes[from:to], block, b.scale[i])
	})
	return b
}

// limits are the least and the greatest code. -128 is left out: what is
// symmetric in 8 bits is so everywhere here.
func (o *BlockOptions) limits() (least, most float32) {
	if o.Bits == 4 {
		return -8, 7
	}
	return -127, 127
}

func (o *BlockOptions) code(codes []int8, w []float32, scale float32) {
	least, most := o.limits()
	for i, v := range w {
		codes[i] = int8(min(max(roundEven(v/scale), least), most))
	}
}

// scale chooses that of a block. Of 4 bits some are tried: it pays to cut a
// weight that is far larger than the others.
func (o *BlockOptions) scale(w, importance []float32) float32 {
	most := largest(w)
	if o.Bits == 8 {
		return asHalf(most / 127)
	}
	codes := make([]int8, len(w))
	best, least := float32(0), float32(0)
	for quarter := 5 * 4; quarter <= 9*4; quarter++ {
		s := asHalf(most / (float32(quarter) / 4))
		o.code(codes, w, s)
		e := float32(0)
		for i, v := range w {
			d := float32(float32(codes[i])*s) - v
			d = float32(d * d)
			if importance != nil {
				d = float32(d * importance[i])
			}
			e += d
		}
		if best == 0 || e < least {
			best, least = s, e
		}
	}
	return best
}

// asHalf rounds a scale to float16; one that is too small becomes the least.
func asHalf(x float32) float32 {
	var h [1]uint16
	var f [1]float32
	kernels.Float32ToFloat16(h[:], []float32{min(x, 65504)})
	h[0] = max(h[0], 1)
	kernels.Float16ToFloat32(f[:], h[:])
	return f[0]
}

// put makes a tensor what b says.
func (b *blocked) put(w *format.Tensor, o BlockOptions) {
	w.Type, w.Quant, w.Data = format.Int8, &format.Quant{Scale: b.scale, Block: b.size}, bytesOf(b.codes)
	if o.Bits == 4 {
		packed := make([]byte, (len(b.codes)+1)/2)
		for i, c := range b.codes {
			packed[i/2] |= byte(c) & 15 << (i % 2 * 4)
		}
		w.Type, w.Data = format.Int4, packed
	}
}

// at is the block of an element.
func (b *blocked) at(i int) int { return i/b.inner*b.perRow + i%b.inner/b.size }

// round chooses the codes of the main graph's layers on the samples.
func (o *BlockOptions) round(ctx context.Context, m *format.Model) (map[string]*blocked, error) {
	tensors := byName(m)
	var layers []*format.Node
	seen := map[string]bool{}
	for _, n := range m.Main().Nodes {
		if !linear(n) && n.Op != "MatMul" {
			continue
		}
		w, x := tensors[n.Inputs[1]], tensors[n.Inputs[0]]
		if plainConst(w) && len(w.Shape) > 1 && !seen[w.Name] && (n.Op != "MatMul" || len(w.Shape) == 2) && !x.Const() && x.Type == format.Float32 && o.takes(n, w) {
			layers = append(layers, n)
			seen[w.Name] = true
		}
	}
	least, most := o.limits()
	out := map[string]*blocked{}
	err := grams(ctx, m, layers, o.Samples, o.Sequence, func(g *gram, p grad.Product[float32]) error {
		w := tensors[g.node.Inputs[1]]
		real := float32s(w)
		// Element i of the tensor is tap taps(i) of its row of weights; of MatMul
		// the rows stand upright.
		row, tap := func(i int) int { return i / g.taps }, func(i int) int { return i % g.taps }
		if g.node.Op == "MatMul" {
			columns := w.Shape[1]
			row, tap = func(i int) int { return i % columns }, func(i int) int { return i / columns }
		}
		importance := make([]float32, len(real))
		for i := range importance {
			importance[i] = g.h[tap(i)*g.taps+tap(i)]
		}
		b := o.nearest(real, w.Shape[len(w.Shape)-1], importance)
		codes, turned, scale := make([]int8, len(real)), make([]float32, len(real)), make([]float32, len(real))
		for i, v := range real {
			at := row(i)*g.taps + tap(i)
			codes[at], turned[at], scale[at] = b.codes[i], v, b.scale[b.at(i)]
		}
		g.round(p, codes, turned, grid{least: least, most: most, scale: scale, free: true, mean: true})
		for i := range b.codes {
			b.codes[i] = codes[row(i)*g.taps+tap(i)]
		}
		out[w.Name] = b
		return nil
	})
	return out, err
}
