package ondevice

import "math"

// sampler decides which training sample comes next. An epoch visits as many
// samples as there are; its order follows from the generator's state when the
// epoch began, so that state and a position are all that a checkpoint keeps.
type sampler struct {
	rng   rng // as it was when the epoch began
	next  rng // as it will be when the next one begins
	order []int32
	pos   int

	samples []int32    // numbers of the training samples
	groups  [2][]class // old and new classes; empty when samples are simply shuffled
	share   int        // of 1000 places that belong to the new ones
}

// class is the samples of one class and those of them that are still to come in
// the current round.
type class struct{ all, deck []int32 }

// newSampler makes a sampler that shuffles samples.
func newSampler(samples []int32, seed uint64) *sampler {
	s := &sampler{samples: samples, order: make([]int32, len(samples)), next: *newRNG(seed, streamOrder)}
	s.begin()
	return s
}

// newBalancedSampler makes a sampler that keeps a growing head from forgetting
// (and from learning too little): a share of an epoch belongs to the new classes,
// or all classes alike if that is 0 and the new ones are more than half, the rest to the
// old ones; within each part all classes get equally many places, and every class goes
// through its samples in shuffled rounds.
func newBalancedSampler(samples []int32, classOf func(i int32) int, isNew func(class int) bool, share float64, seed uint64) *sampler {
	s := &sampler{samples: samples, order: make([]int32, len(samples)), next: *newRNG(seed, streamOrder)}
	var byClass [][]int32
	for _, i := range samples {
		c := classOf(i)
		for len(byClass) <= c {
			byClass = append(byClass, nil)
		}
		byClass[c] = append(byClass[c], i)
	}
	for c, all := range byClass {
		if len(all) == 0 {
			continue
		}
		g := 0
		if isNew(c) {
			g = 1
		}
		s.groups[g] = append(s.groups[g], class{all: all})
	}
	s.share = int(math.RoundToEven(1000 * share))
	o, n := s.groups[0], s.groups[1]
	if s.share == 0 {
		s.share = 500
		if len(n) > len(o) {
			o, n = append(o, n...), nil
		}
	}
	if len(o) == 0 {
		o, n = n, nil
	}
	if len(n) == 0 {
		s.share = 0
	}
	s.groups = [2][]class{o, n}
	s.begin()
	return s
}

// begin starts an epoch.
func (s *sampler) begin() {
	s.rng, s.pos = s.next, 0
	r := s.rng
	if s.groups[0] == nil {
		copy(s.order, s.samples)
	} else {
		for g := range s.groups {
			for c := range s.groups[g] {
				s.groups[g][c].deck = s.groups[g][c].deck[:0]
			}
		}
		var placed [2]int
		for i := range s.order {
			k := (i+1)*s.share/1000 - i*s.share/1000 // 1 where a place is a new class's
			g := s.groups[k]
			c := &g[placed[k]%len(g)]
			placed[k]++
			if len(c.deck) == 0 {
				c.deck = append(c.deck, c.all...)
				r.shuffle(c.deck)
			}
			last := len(c.deck) - 1
			s.order[i] = c.deck[last]
			c.deck = c.deck[:last]
		}
	}
	r.shuffle(s.order)
	s.next = r
}

// take returns the next samples, at most n and none beyond the epoch's end.
func (s *sampler) take(n int) []int32 {
	b := s.order[s.pos:min(s.pos+n, len(s.order))]
	s.pos += len(b)
	return b
}

// restore goes back to position pos of the epoch that began with state r.
func (s *sampler) restore(r [4]uint64, pos int) {
	s.next = rng{r}
	s.begin()
	s.pos = pos
}
