package ondevice

// A Reservoir keeps up to a fixed number of feature rows of every class, each
// row seen being kept with equal probability (Vitter's algorithm R, "Random
// sampling with a reservoir", 1985, one reservoir a class). It is what [Options]
// wants as Replay.
type Reservoir struct {
	perClass int
	rng      *rng
	seen     map[string]int
	slots    map[string][]int // rows of kept, by class
	kept     *Features
}

// NewReservoir makes an empty reservoir for rows of the same kind as like.
func NewReservoir(like *Features, perClass int, seed uint64) *Reservoir {
	return &Reservoir{
		perClass: perClass, rng: newRNG(seed, streamReservoir), seen: map[string]int{}, slots: map[string][]int{},
		kept: like.empty(),
	}
}

// Add offers row i of f.
func (r *Reservoir) Add(f *Features, i int) error {
	if !f.sameKind(r.kept) {
		return errOtherFeatures
	}
	l := f.labels[i]
	r.seen[l]++
	if len(r.slots[l]) < r.perClass {
		r.slots[l] = append(r.slots[l], r.kept.Len())
		return r.kept.Append(f.ids[i], l, f.Row(i))
	}
	if k := r.rng.intn(r.seen[l]); k < r.perClass {
		slot := r.slots[l][k]
		r.kept.ids[slot] = f.ids[i]
		copy(r.kept.Row(slot), f.Row(i))
	}
	return nil
}

// Forget removes the rows that forget wants gone; the others stay, and their classes
// have room for new ones.
func (r *Reservoir) Forget(forget func(id ID, label string) bool) {
	kept := r.kept.Without(forget)
	slots := map[string][]int{}
	for i, l := range kept.labels {
		slots[l] = append(slots[l], i)
	}
	for l, old := range r.slots {
		if gone := len(old) - len(slots[l]); gone > 0 {
			r.seen[l] = len(slots[l]) // as if only these had been seen
		}
	}
	*r.kept, r.slots = *kept, slots
}

// Features returns the rows kept so far; the reservoir goes on using them.
func (r *Reservoir) Features() *Features { return r.kept }
