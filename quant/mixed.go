package quant

import (
	"cmp"
	"maps"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Kept is a layer that the budget kept out of int8.
type Kept struct {
	Node  string  `json:"node"`
	Op    string  `json:"op"`
	Type  string  `json:"type"`  // what it computes in: float32 or int16
	Bytes int64   `json:"bytes"` // that its weights and bias take more than in int8
	MACs  int64   `json:"macs"`  // done in that type
	Gain  float64 `json:"gain_db"`
}

// A group is what shares one rounding of an activation: the tensor with all
// that only moves or bounds it. Rounding is avoided when the node that makes it
// and all that read it are out of int8, so these are kept or not together.
type group struct {
	nodes []string
	gain  float64
}

// groups lists the graph's groups in its order.
func groups(m *format.Model) []*group {
	g := m.Main()
	tensors := byName(m)
	parent := map[string]string{}
	var root func(t string) string
	root = func(t string) string {
		if p, ok := parent[t]; ok {
			return root(p)
		}
		return t
	}
	passes := func(r rule) bool { return r == moves || r == bounds || r == joins }
	for _, n := range g.Nodes {
		if !passes(ruleOf(n, tensors)) {
			continue
		}
		for _, t := range slices.Concat(n.Inputs, n.Outputs[1:]) {
			if t != "" && tensors[t].Type == format.Float32 && !tensors[t].Const() && root(t) != root(n.Outputs[0]) {
				parent[root(t)] = root(n.Outputs[0])
			}
		}
	}
	var out []*group
	of := map[string]*group{}
	for _, n := range g.Nodes {
		if ruleOf(n, tensors) == stays {
			continue
		}
		for _, t := range slices.Concat(n.Inputs, n.Outputs) {
			if t == "" || tensors[t].Type != format.Float32 || tensors[t].Const() {
				continue
			}
			r := root(t)
			if of[r] == nil {
				of[r] = &group{}
				out = append(out, of[r])
			}
			if !slices.Contains(of[r].nodes, n.Name) {
				of[r].nodes = append(of[r].nodes, n.Name)
			}
		}
	}
	return out
}

// mixed keeps layers out of int8 until the budget is met: in int16 if that is
// asked for and is enough, else in float32.
func (s *search) mixed() ([]Kept, error) {
	start := s.best
	s.stage("looking for the layers to keep in " + s.options.Fallback.String())
	kept, err := s.mix()
	if err != nil || s.options.Fallback == format.Float32 {
		return kept, err
	}
	if ok, err := s.within(&s.best); ok || err != nil {
		return kept, err
	}
	s.options.Fallback, s.best = format.Float32, start
	return s.mixed()
}

// mix searches the fewest layers to keep out of int8 so that the model comes
// within the budget: it measures what each group gains alone, adds them in that
// order until the budget is met, and takes back, one node at a time, what was
// not needed. When even all of them do not suffice, all are kept.
//
// A method that was the best of a collapsed model need not be so once the
// guilty layers are out of it, so the candidates are compared again on the way.
func (s *search) mix() ([]Kept, error) {
	all := groups(s.best.source)
	if err := s.rank(all); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, nil
	}
	switch changed, err := s.again(set(all[0].nodes)); {
	case err != nil:
		return nil, err
	case changed:
		if err := s.rank(all); err != nil {
			return nil, err
		}
	}
	prefix := func(n int) map[string]bool {
		keep := map[string]bool{}
		for _, g := range all[:n] {
			maps.Copy(keep, set(g.nodes))
		}
		return keep
	}
	// The shortest prefix within the budget, by bisection.
	lo, hi := 0, len(all)
	for lo+1 < hi {
		mid := (lo + hi) / 2
		c, err := s.keeping(prefix(mid))
		if err != nil {
			return nil, err
		}
		switch ok, err := s.within(&c); {
		case err != nil:
			return nil, err
		case ok:
			hi = mid
		default:
			lo = mid
		}
	}
	if _, err := s.again(prefix(hi)); err != nil {
		return nil, err
	}
	switch ok, err := s.within(&s.best); {
	case err != nil:
		return nil, err
	case ok:
		for _, g := range slices.Backward(all[:hi]) {
			if err := s.takeBack(g.nodes); err != nil {
				return nil, err
			}
		}
	}
	s.trials = append(s.trials, Trial{s.best.name + ", mixed", s.best.score})
	return s.kept(all), nil
}

// keeping is the best candidate with these nodes out of int8.
func (s *search) keeping(keep map[string]bool) (candidate, error) {
	c := s.best
	c.keep = keep
	err := s.build(&c)
	return c, err
}

// rankSamples bounds the samples that layers are ranked on: there are many
// layers, and only their order counts.
const rankSamples = 16

// rank measures what each group gains alone and sorts them by it.
func (s *search) rank(all []*group) error {
	ref := s.ref
	s.ref = s.rough
	defer func() { s.ref = ref }()
	for _, g := range all {
		c, err := s.keeping(set(g.nodes))
		if err != nil {
			return err
		}
		g.gain = c.score.SQNR
	}
	slices.SortStableFunc(all, func(a, b *group) int { return cmp.Compare(b.gain, a.gain) })
	c, err := s.keeping(nil)
	if err != nil {
		return err
	}
	for _, g := range all {
		g.gain -= c.score.SQNR
	}
	return nil
}

// again makes the best of all candidates with these nodes out of int8 the best
// one, and reports whether it is another than before.
func (s *search) again(keep map[string]bool) (changed bool, err error) {
	best, err := s.keeping(keep)
	if err != nil {
		return false, err
	}
	for _, c := range s.tried {
		c.keep = keep
		if err := s.build(&c); err != nil {
			return false, err
		}
		if c.score.SQNR > best.score.SQNR {
			best = c
		}
	}
	changed = best.name != s.best.name
	s.best = best
	return changed, nil
}

// takeBack makes those of the nodes int8 that the budget can do without.
func (s *search) takeBack(nodes []string) error {
	for _, name := range nodes {
		if !s.best.keep[name] {
			continue
		}
		fewer := maps.Clone(s.best.keep)
		delete(fewer, name)
		c, err := s.keeping(fewer)
		if err != nil {
			return err
		}
		switch ok, err := s.within(&c); {
		case err != nil:
			return err
		case ok:
			s.best = c
		}
	}
	return nil
}

// within reports whether a candidate is within the budget.
func (s *search) within(c *candidate) (bool, error) {
	if s.judge == s.ref {
		return s.options.Budget.met(c.score, s.ref.accuracy()), nil
	}
	score, err := s.judge.score(s.ctx, c.model)
	return s.options.Budget.met(score, s.judge.accuracy()), err
}

// kept says what the kept layers cost.
func (s *search) kept(all []*group) []Kept {
	tensors := byName(s.best.source)
	var out []Kept
	for _, n := range s.best.source.Main().Nodes {
		if !s.best.keep[n.Name] {
			continue
		}
		k := Kept{Node: n.Name, Op: n.Op, Type: s.options.Fallback.String()}
		if linear(n) {
			k.MACs = nodeMACs(n, tensors)
			w := tensors[n.Inputs[1]]
			switch {
			case s.options.Fallback == format.Int16: // int64 biases
				k.Bytes = 4 * int64(w.Shape[0])
			case w.Type == format.Float32:
				k.Bytes = int64(len(w.Data)) * 3 / 4
			}
		}
		for _, g := range all {
			if slices.Contains(g.nodes, n.Name) {
				k.Gain = max(k.Gain, g.gain)
			}
		}
		out = append(out, k)
	}
	return out
}

func set(names []string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, n := range names {
		s[n] = true
	}
	return s
}
