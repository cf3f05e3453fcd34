package ondevice

import "slices"

// initialize sets the starting weights: the model's own rows for the classes
// that it knows; for a new class weights drawn from N(0, 0.01²) and bias 0.
//
// Rows imprinted from a class's mean feature (Qi, Brown and Lowe, "Low-Shot
// Learning with Imprinted Weights", 2018) are a better start but, after the
// training that follows, a worse end: 91.2 against 92.1 percent of the new
// classes right in the growth protocol of test/growth.
func (t *trainer) initialize() {
	p := t.plan
	w, b, dim := t.weights(), t.bias(), p.Dim
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
