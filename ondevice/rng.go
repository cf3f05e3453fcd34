package ondevice

import "math/bits"

// rng is xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom
// number generators", 2021). It is our own because its state is part of a
// checkpoint and its every draw part of the promise that a resumed job ends
// with the bits of an unbroken one.
type rng struct{ s [4]uint64 }

// newRNG seeds one of several independent streams of a seed through SplitMix64,
// as the authors advise.
func newRNG(seed uint64, stream uint64) *rng {
	x := seed ^ bits.RotateLeft64(stream*0x9e3779b97f4a7c15, 32)
	r := &rng{}
	for i := range r.s {
		x += 0x9e3779b97f4a7c15
		z := x
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		r.s[i] = z ^ z>>31
	}
	return r
}

// The streams of a job's seed.
const (
	streamSplit = iota
	streamInit
	streamOrder
	streamReservoir
	streamStep    // and the number of the step, in multiples of 256
	streamAdapter // what adapters begin with
)

func (r *rng) uint64() uint64 {
	s := &r.s
	v := bits.RotateLeft64(s[1]*5, 7) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return v
}

// intn returns a uniform number in [0, n), by Lemire's multiplication with
// rejection ("Fast random integer generation in an interval", 2019).
func (r *rng) intn(n int) int {
	un := uint64(n)
	hi, lo := bits.Mul64(r.uint64(), un)
	if lo < un {
		for t := -un % un; lo < t; {
			hi, lo = bits.Mul64(r.uint64(), un)
		}
	}
	return int(hi)
}

// shuffle permutes x (Fisher and Yates).
func (r *rng) shuffle(x []int32) {
	for i := len(x) - 1; i > 0; i-- {
		j := r.intn(i + 1)
		x[i], x[j] = x[j], x[i]
	}
}

// normal returns a draw of mean 0 and deviation 1: the sum of twelve uniform
// ones less six (Irwin and Hall), which needs no logarithm and is exact.
func (r *rng) normal() float32 {
	var s uint64
	for range 12 {
		s += r.uint64() >> 41 // 23 bits
	}
	return float32(int64(s)-6<<23) / (1 << 23)
}
