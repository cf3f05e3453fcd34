package ondevice

// sampler decides which training sample comes next. An epoch visits as many
// samples as there are; its order follows from the generator's state when the
// epoch began, so that state and a position are all that a checkpoint keeps.
type sampler struct {
	rng   rng // as it was when the epoch began
	next  rng // as it will be when the next one begins
	order []int32
	pos   int

	samples []int32   // numbers of the training samples
	groups  [][]class // classes that share an epoch; nil when samples are simply shuffled
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
// (and from learning too little): half of an epoch belongs to the new classes,
// or more if they are more than half of all, the rest to the old ones; within
// each half all classes get equally many places, and every class goes through
// its samples in shuffled rounds.
func newBalancedSampler(samples []int32, classOf func(i int32) int, isNew func(class int) bool, seed uint64) *sampler {
	s := &sampler{samples: samples, order: make([]int32, len(samples)), next: *newRNG(seed, streamOrder)}
	var byClass [][]int32
	for _, i := range samples {
		c := classOf(i)
		for len(byClass) <= c {
			byClass = append(byClass, nil)
		}
		byClass[c] = append(byClass[c], i)
	}
	var halves [2][]class // old, new
	for c, all := range byClass {
		if len(all) == 0 {
			continue
		}
		g := 0
		if isNew(c) {
			g = 1
		}
		halves[g] = append(halves[g], class{all: all})
	}
	switch o, n := halves[0], halves[1]; {
	case len(o) == 0 || len(n) == 0 || len(n) > len(o):
		s.groups = [][]class{append(o, n...)}
	default:
		s.groups = halves[:]
	}
	s.begin()
	return s
}

// begin starts an epoch.
func (s *sampler) begin() {
	s.rng, s.pos = s.next, 0
	r := s.rng
	if s.groups == nil {
		copy(s.order, s.samples)
	} else {
		for g := range s.groups {
			for c := range s.groups[g] {
				s.groups[g][c].deck = s.groups[g][c].deck[:0]
			}
		}
		for i := range s.order {
			g := s.groups[i%len(s.groups)]
			c := &g[i/len(s.groups)%len(g)]
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
