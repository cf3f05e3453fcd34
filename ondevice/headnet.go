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
	panel  []float32 // [batch, panel] columns of the batch, where it is more than a block
}

func newHeadNet(p *TunePlan, s *samples, batch int) *headNet {
	c, dim := len(p.Classes), p.Dim
	h := &headNet{
		plan: p, rows: s.rows, codes: s.rows[0].codes(), lin: grad.NewLinear(p.level, dim, c),
		x:      make([]float32, p.Block*dim),
		logits: make([]float32, batch*c), delta: make([]float32, batch*c),
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

func (h *headNet) forward(logits []float32, idx []int32) error {
	c, dim := len(h.plan.Classes), h.plan.Dim
	for k := 0; k < len(idx); k += h.plan.Block {
		part := idx[k:min(k+h.plan.Block, len(idx))]
		for j, i := range part {
			h.input(h.x[j*dim:][:dim], i)
		}
		if err := h.lin.Forward(logits[k*c:], h.x, len(part)); err != nil {
			return err
		}
	}
	return nil
}

func (h *headNet) learn(gradient []float32, idx []int32, loss lossFunc) (float64, error) {
	c, dim, n := len(h.plan.Classes), h.plan.Dim, len(idx)
	if err := h.forward(h.logits, idx); err != nil {
		return 0, err
	}
	delta := h.delta[:n*c]
	sum := loss(delta, h.logits, idx)
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
			for j, i := range idx {
				f, r := h.rows.at(i)
				f.decode(h.panel[j*w:][:w], f.Row(r)[f.Type.Bytes(k):], h.codes)
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
