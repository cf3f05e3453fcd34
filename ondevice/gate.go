package ondevice

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Gate says what a tuned head must reach before it may replace the old one.
// Both are judged on the same validation samples by the programs that serve,
// and a tie is good enough. A new class of which nothing is recognized is
// refused.
type Gate struct {
	// MaxClassDrop is the largest fraction of a class's validation samples that
	// may be lost against the old head; 0: 0.2, negative: none. The loss of one
	// or two samples is never held against a class: it is noise. Nor is one by which
	// its F1 score, which counts false alarms too, does not fall: a head that took
	// everything for one class has much to lose there, and should.
	MaxClassDrop float64

	// MinGain is how much the accuracy must at least rise; 0: it must not fall.
	MinGain float64

	// Sure asks for more than luck: of the samples that only one of the two heads has
	// right, the new one must have so many standard deviations more than half
	// (McNemar, "Note on the sampling error of the difference between correlated
	// proportions", 1947). 2 is passed by chance once in 44 times; 0: not asked for. Data
	// whose source is not trusted should be judged so, on samples that are (Options.ValData).
	Sure float64

	// Alike asks whether the training samples are of the kind of the validation
	// samples: the fractions of both that the old head has right may differ by so
	// many standard deviations at most (3 is exceeded by chance once in 370 times). A
	// fifth of wrong labels shows so among 200 samples, and so do samples with a
	// planted trigger. It needs Options.ValData, from a source that is trusted; 0: not
	// asked for.
	Alike float64
}

// alike returns why training samples are refused, of which the old head has right a
// of n, against b of m validation samples, or "".
func (g Gate) alike(a, n, b, m int) string {
	if g.Alike == 0 || n == 0 || m == 0 {
		return ""
	}
	p, q, both := float64(a)/float64(n), float64(b)/float64(m), float64(a+b)/float64(n+m)
	if d := math.Abs(p - q); d > g.Alike*math.Sqrt(both*(1-both)*(1/float64(n)+1/float64(m))) {
		return fmt.Sprintf("the labels are not like those of the validation samples: the old head has %.3f of %d training samples right and %.3f of %d others",
			p, n, q, m)
	}
	return ""
}

// ErrUnjudged is wrapped by the error of a job whose result nothing could judge:
// every class has too few sources of samples to hold one out. Options.ValData
// mends it, and Options.Val below 0 does without.
var ErrUnjudged = errors.New("ondevice: no sample can be held out to judge the result")

func (g Gate) withDefaults() Gate {
	def(&g.MaxClassDrop, 0.2)
	g.MaxClassDrop = max(g.MaxClassDrop, 0)
	return g
}

// lostIsNoise is the number of samples of one class whose loss proves nothing.
const lostIsNoise = 2

// judge returns why the tuned head is refused, or "".
func (g Gate) judge(base, tuned *Metrics, classes, fresh []string, won, lost int, regression bool) string {
	if regression {
		if !(tuned.Loss <= base.Loss) {
			return fmt.Sprintf("the loss on %d validation samples rose from %.6g to %.6g", base.Samples, base.Loss, tuned.Loss)
		}
		return ""
	}
	if !(tuned.Accuracy >= base.Accuracy+g.MinGain) {
		return fmt.Sprintf("accuracy on %d validation samples went from %.4f to %.4f; at least %.4f is asked for",
			base.Samples, base.Accuracy, tuned.Accuracy, base.Accuracy+g.MinGain)
	}
	if g.Sure > 0 {
		if d := float64(won - lost); d <= 0 || d*d < g.Sure*g.Sure*float64(won+lost) {
			return fmt.Sprintf("of %d validation samples %d were won and %d lost, which may be luck: a difference of %g standard deviations is asked for",
				base.Samples, won, lost, g.Sure)
		}
	}
	for c, name := range classes {
		n := base.Count[c]
		lost := base.Confusion[c][c] - tuned.Confusion[c][c]
		if n > lostIsNoise && tuned.Confusion[c][c] == 0 && slices.Contains(fresh, name) {
			return fmt.Sprintf("none of the %d validation samples of the new class %q is recognized", n, name)
		}
		if lost > lostIsNoise && float64(lost) > g.MaxClassDrop*float64(n) && tuned.f1(c) < base.f1(c) {
			return fmt.Sprintf("class %q lost %d of its %d validation samples; a drop of at most %g of a class is allowed",
				name, lost, n, g.MaxClassDrop)
		}
	}
	return ""
}
