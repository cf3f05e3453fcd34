package pre

import "fmt"

// Streams reports whether the model's description says how a long sample is fed
// piece by piece: the step stream.
func (p *Pipeline) Streams() bool { return p.hop > 0 }

// Pieces takes a whole sample through the steps and returns how many inputs it
// makes, each hop rows after the one before, and the function that writes piece
// i. A row is a frame of features, or a sample of a sound. Before the first piece's
// last hop rows lie the step's lead of zeros.
func (p *Pipeline) Pieces(a *Array) (n int, put func(dst []byte, i int) error, err error) {
	if p.hop == 0 {
		return 0, nil, fmt.Errorf("the model does not say how input %q is fed piece by piece; convert it again with --pre \"stream hop=N\"", p.in.Name)
	}
	v, err := p.run(a, p.steps, true)
	if err != nil {
		return 0, nil, err
	}
	row := v.w * v.c
	if v.h == 1 {
		row = v.c
	}
	if p.elems%row != 0 {
		return 0, nil, p.mismatch(a)
	}
	rows := p.elems / row
	lead := p.lead
	if lead < 0 {
		lead = max(0, rows-p.hop)
	}
	all := append(make([]float32, lead*row), v.v...)
	if len(all) >= p.elems {
		n = (len(all)-p.elems)/(p.hop*row) + 1
	}
	return n, func(dst []byte, i int) error {
		if len(dst) != p.Size() {
			return fmt.Errorf("input %q needs %d bytes, not %d", p.in.Name, p.Size(), len(dst))
		}
		return p.store(dst, all[i*p.hop*row:][:p.elems], false)
	}, nil
}
