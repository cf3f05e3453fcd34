package serve

// A signTest finds out whether a candidate is worse than what it is compared
// with, and may be asked after every observation.
//
// An observation is a pair of which one was worse; pairs that tie do not count.
// If the candidate is no worse, "the candidate was the worse one" has
// probability 1/2 at most, whatever went before. Somebody who bets a share b of
// what he has on it each time has then a non-negative supermartingale, and by
// Ville's inequality the probability that it ever grows to 1/a is a at most: that
// is the error of the test, however often one looks (Ville 1939; Shafer,
// "Testing by betting", 2021). Bets of several sizes are held at a time, which
// find small differences as well as large ones; their mean is a supermartingale,
// too.
type signTest struct {
	gain  [len(bets)]float64 // what a stake of 1 has become, less 1
	pairs int
	worse int
}

var bets = [...]float64{0.1, 0.3, 0.9}

func (t *signTest) observe(worse bool) {
	t.pairs++
	sign := -1.0
	if worse {
		t.worse++
		sign = 1
	}
	for i, b := range bets {
		t.gain[i] += (1 + t.gain[i]) * b * sign
	}
}

// evidence is by how much the bets have multiplied.
func (t *signTest) evidence() float64 {
	sum := 0.0
	for _, g := range t.gain {
		sum += 1 + g
	}
	return sum / float64(len(bets))
}

// wrongly is the probability with which one such test ever finds a candidate
// worse that is not. A canary is tested in three ways, which makes less than one
// healthy canary in a hundred.
const wrongly = 0.003

func (t *signTest) finds() bool { return t.evidence() >= 1/wrongly }
