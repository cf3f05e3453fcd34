package runtime

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/whet-edge/whet/format"
)

// maxPlans is how many sizes of one program are kept compiled.
const maxPlans = 8

// plans are the compiled sizes of a model whose sizes may change. Its programs share
// them.
type plans struct {
	model *format.Model
	conf  config

	mu   sync.Mutex
	list []sizedProgram // the one used last is last
}

type sizedProgram struct {
	sizes []int // in the order of the model's dims
	prog  *Program
}

// keep adds a program to the list, in the place of the one that is not used longest.
func (ps *plans) keep(p *Program, sizes []int) {
	p.plans = ps
	if len(ps.list) == maxPlans {
		ps.list = slices.Delete(ps.list, 0, 1)
	}
	ps.list = append(ps.list, sizedProgram{sizes, p})
}

// at returns the program for sizes, compiled unless it is there.
func (ps *plans) at(sizes map[string]int) (*Program, error) {
	at, err := ps.model.Header.Dynamic.At(sizes)
	if err != nil {
		return nil, err
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if i := slices.IndexFunc(ps.list, func(s sizedProgram) bool { return slices.Equal(s.sizes, at) }); i >= 0 {
		s := ps.list[i]
		ps.list = append(slices.Delete(ps.list, i, i+1), s)
		return s.prog, nil
	}
	m, err := ps.model.Resized(sizes)
	if err != nil {
		return nil, err
	}
	p, err := compile(m, ps.conf)
	if err != nil {
		return nil, err
	}
	ps.keep(p, at)
	return p, nil
}

// Resize gives the sizes of the model that may change (a batch, a length) other
// values; a name that is absent gets its greatest, which all have at first. The
// session's tensors get new shapes and lose their values; states keep theirs. The
// first time that a program meets sizes it is compiled for them; some plans are kept.
func (s *Session) Resize(sizes map[string]int) error {
	ps := s.prog.plans
	if ps == nil {
		if len(sizes) == 0 {
			return nil
		}
		return fmt.Errorf("runtime: the model has no size that may change, so %v cannot be set", slices.Sorted(maps.Keys(sizes)))
	}
	p, err := ps.at(sizes)
	if err != nil {
		return err
	}
	if p == s.prog {
		return nil
	}
	profiled := s.times != nil
	s.prog = p
	if cap(s.mem.arena) < p.arena+63 {
		s.mem.arena = alignedBytes(p.arena)
	}
	s.mem.arena = s.mem.arena[:p.arena]
	clear(s.mem.arena)
	for i, b := range s.scratch {
		if len(b) < p.scratch {
			s.scratch[i] = alignedBytes(p.scratch)
		}
	}
	s.mem.bodies = newBodies(p.bodies)
	for i, v := range p.inputs {
		*s.inputs[i] = *s.tensor(v)
	}
	for i, v := range p.outputs {
		*s.outputs[i] = *s.tensor(v)
	}
	s.Profile(profiled)
	return nil
}

// Sizes describes the sizes that [Session.Resize] may change.
func (p *Program) Sizes() []format.Dim {
	if p.plans == nil {
		return nil
	}
	return slices.Clone(p.plans.model.Header.Dynamic.Dims)
}
