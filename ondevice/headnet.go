package ondevice

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/ondevice/grad"
)

// headNet is a head, on the matrix kernels: weights [classes, dim], then biases
// [classes].
type headNet struct {
	plan   *TunePlan
	rows   rowSet
	codes  *codes
	params []float32
	lin    *grad.Linear

	x      []float32 // [block, dim] rows as real numbers
	logits []float32 // [batch, classes]
	delta  []float32 // [batch, classes]
	other  []float32 // [dim] of the row that is mixed in
	panel  []float32 // [batch, panel] columns of the batch, where it is more than a block
}

func newHeadNet(p *TunePlan, s *samples, batch int) *headNet {
	c, dim := len(p.Classes), p.Dim
	h := &headNet{
		plan: p, rows: s.rows, codes: s.rows[0].codes(), lin: grad.NewLinear(p.level, dim, c),
		x:      make([]float32, p.Block*dim),
		logits: make([]float32, batch*c), delta: make([]float32, batch*c),
	}
	if p.opt.Mixup > 0 {
		h.other = make([]float32, dim)
	}
	if batch > p.Block {
		h.panel = make([]float32, batch*p.Panel)
	}
	return h
}

func (h *headNet) initialize(params []float32) error {
	w := len(h.plan.Classes) * h.plan.Dim
	h.plan.startHead(params[:w], params[w:])
	return nil
}

func (h *headNet) set(params []float32) {
	h.params = params
	w := len(h.plan.Classes) * h.plan.Dim
	h.lin.SetWeights(params[:w], params[w:])
}

func (h *headNet) input(dst []float32, i int32) {
	f, r := h.rows.at(i)
	f.decode(dst, f.Row(r), h.codes)
}

// feed writes what the head reads of sample k of a batch, the columns from on.
func (h *headNet) feed(dst []float32, b *batch, k, from int) {
	f, r := h.rows.at(b.rows[k])
	f.decode(dst, f.Row(r)[f.Type.Bytes(from):], h.codes)
	if b.other != nil {
		f, r := h.rows.at(b.other[k])
		other := h.other[:len(dst)]
		f.decode(other, f.Row(r)[f.Type.Bytes(from):], h.codes)
		b.mix(dst, other)
	}
	b.drop.apply(dst, k, from)
}

func (h *headNet) forward(logits []float32, idx []int32) error {
	return h.run(logits, &batch{rows: idx})
}

func (h *headNet) run(logits []float32, b *batch) error {
	c, dim := len(h.plan.Classes), h.plan.Dim
	for k := 0; k < len(b.rows); k += h.plan.Block {
		n := min(h.plan.Block, len(b.rows)-k)
		for j := range n {
			h.feed(h.x[j*dim:][:dim], b, k+j, 0)
		}
		if err := h.lin.Forward(logits[k*c:], h.x, n); err != nil {
			return err
		}
	}
	return nil
}

func (h *headNet) learn(gradient []float32, b *batch, loss lossFunc) (float64, error) {
	c, dim, n := len(h.plan.Classes), h.plan.Dim, len(b.rows)
	if err := h.run(h.logits, b); err != nil {
		return 0, err
	}
	delta := h.delta[:n*c]
	sum := loss(delta, h.logits, 0, n)
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return sum, nil
	}
	// The gradient of the weights, δᵀ x, of a whole batch at once or a panel of columns
	// at a time. Every element is one chain over the whole batch, so neither block nor
	// panel shows in the bits.
	if n <= h.plan.Block { // its rows are still there
		if err := h.lin.WeightGrad(gradient, h.x, delta, 0, dim, n); err != nil {
			return 0, err
		}
	} else {
		for k := 0; k < dim; k += h.plan.Panel {
			w := min(h.plan.Panel, dim-k)
			for j := range n {
				h.feed(h.panel[j*w:][:w], b, j, k)
			}
			if err := h.lin.WeightGrad(gradient, h.panel, delta, k, w, n); err != nil {
				return 0, err
			}
		}
	}
	grad.BiasGrad(gradient[c*dim:], delta, n, c)
	return sum, nil
}

// startHead sets a head's weights w [classes, dim] and biases b at the start: the
// model's own rows for the classes that it knows; for a new class weights drawn
// from N(0, 0.01²) and bias 0.
//
// Rows imprinted from a class's mean feature (Qi, Brown and Lowe, "Low-Shot
// Learning with Imprinted Weights", 2018) are a better start but, after the
// training that follows, a worse end: 91.2 against 92.1 percent of the new
// classes right in the growth protocol of test/growth.
func (p *TunePlan) startHead(w, b []float32) {
	dim := p.head.dim
	r := newRNG(p.opt.Seed, streamInit)
	for c, name := range p.Classes {
		row := w[c*dim:][:dim]
		k := slices.Index(p.known, name)
		if c < len(p.known) && p.known[c] == name {
			k = c // also where two classes have one name
		}
		if k >= 0 {
			for i := range row {
				row[i] = p.head.w.at(k*dim + i)
			}
			if p.head.b != nil {
				b[c] = p.head.b.at(k)
			}
			continue
		}
		for i := range row {
			row[i] = 0.01 * r.normal()
		}
	}
}
