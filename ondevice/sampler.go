package ondevice

// sampler decides which training sample comes next. An epoch visits as many
// samples as there are; its order follows from the generator's state when the
// epoch began, so that state and a position are all that a checkpoint keeps.
type sampler struct {
	rng      rng // as it was when the epoch began
	next     rng // as it will be when the next one begins
	order    []int32
	pos      int
	samples  []int32   // numbers of the training samples
	byClass  [][]int32 // the same by class, when classes are balanced; else nil
	deck     [][]int32 // scratch of begin
	schedule []int32   // scratch of begin: which class each place of an epoch gets
}

// newSampler makes a sampler of samples. With class set, every epoch draws from
// all classes equally often, each class going through its samples in shuffled
// rounds: the "balanced" training that keeps a grown head from forgetting.
func newSampler(samples []int32, class func(i int32) int, seed uint64) *sampler {
	s := &sampler{samples: samples, order: make([]int32, len(samples)), next: *newRNG(seed, streamOrder)}
	if class != nil {
		for _, i := range samples {
			c := class(i)
			for len(s.byClass) <= c {
				s.byClass = append(s.byClass, nil)
			}
			s.byClass[c] = append(s.byClass[c], i)
		}
		k := 0
		for _, b := range s.byClass {
			if len(b) > 0 {
				s.byClass[k] = b
				k++
			}
		}
		s.byClass = s.byClass[:k]
		s.deck = make([][]int32, k)
		s.schedule = make([]int32, len(samples))
	}
	s.begin()
	return s
}

// begin starts an epoch.
func (s *sampler) begin() {
	s.rng, s.pos = s.next, 0
	r := s.rng
	if s.byClass == nil {
		copy(s.order, s.samples)
		r.shuffle(s.order)
	} else {
		for i := range s.schedule {
			s.schedule[i] = int32(i % len(s.byClass))
		}
		r.shuffle(s.schedule)
		for c := range s.deck {
			s.deck[c] = s.deck[c][:0]
		}
		for i, c := range s.schedule {
			if len(s.deck[c]) == 0 {
				s.deck[c] = append(s.deck[c], s.byClass[c]...)
				r.shuffle(s.deck[c])
			}
			last := len(s.deck[c]) - 1
			s.order[i] = s.deck[c][last]
			s.deck[c] = s.deck[c][:last]
		}
	}
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
