package ondevice

import (
	"math"
	"testing"

	"github.com/whet-edge/whet/format"
)

// Adapters beside the weights compute what they do merged into them, up to the
// rounding of the integers.
func TestAdaptersMerged(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := convModel(t, labels...)
	d := pictures(20, 3, labels...)
	p, err := Plan(m, d, Options{Tail: LoRA(2)})
	if err != nil {
		t.Fatal(err)
	}
	float, err := p.startModel()
	if err != nil {
		t.Fatal(err)
	}
	names, _ := p.tail.trained(float)
	values := map[string][]float32{}
	r := newRNG(1, 51)
	for _, name := range names {
		values[name] = floatsOf(float.Tensor(name))
		for i := range values[name] {
			values[name][i] += 0.2 * r.normal()
		}
	}
	beside := reopen(t, p.tail.beside(m, withValues(float, values)))
	if w := beside.Tensor("point/w"); w.Type != format.Int8 {
		t.Errorf("beside adapters the weights are %v", w.Type)
	}
	whole := p.tail.integers(m, float, p.tail.merged(float, values))
	if whole, err = p.head.withHead(whole, values[tensorW], values[tensorB], labels, true); err != nil {
		t.Fatal(err)
	}
	got, want, base := run(t, reopen(t, whole), d), run(t, beside, d), run(t, m, d)
	var moved float64
	for i := range want {
		for k, v := range want[i] {
			if math.Abs(float64(got[i][k]-v)) > 0.06 {
				t.Errorf("sample %d: class %d has probability %v merged, %v beside", i, k, got[i][k], v)
			}
			moved = max(moved, math.Abs(float64(base[i][k]-v)))
		}
	}
	if moved < 0.15 {
		t.Errorf("the adapters change nothing: at most %v", moved)
	}
}
