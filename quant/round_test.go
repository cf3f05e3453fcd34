package quant

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/grad"
)

// TestRoundIsTheBest tries all ways to round a few weights.
func TestRoundIsTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	const k, trials = 8, 60
	best := 0
	for range trials {
		g := &gram{taps: k, groups: 1, h: make([]float32, k*k), sum: make([]float64, k), count: 1}
		for range 40 { // inputs that go together
			common := r.NormFloat64()
			var x [k]float64
			for i := range x {
				x[i] = common + 0.5*r.NormFloat64()
			}
			for i := range k {
				for j := range k {
					g.h[i*k+j] += float32(x[i] * x[j])
				}
			}
		}
		w, scale := make([]float32, k), make([]float32, k)
		for i := range w {
			w[i], scale[i] = float32(r.NormFloat64()), 0.25
		}
		codes := make([]int8, k)
		round(codes, w, 0.25)
		nearest := append([]int8(nil), codes...)
		g.round(grad.Portable[float32]{}, codes, w, grid{least: -7, most: 7, scale: scale, mean: true})
		loss := func(codes []int8) float64 {
			e, sum := make([]float64, k), 0.0
			for i, c := range codes {
				e[i] = float64(c)*0.25 - float64(w[i])
				if e[i] > 0.25 || e[i] < -0.25 {
					t.Fatalf("weight %v became code %d of 1/4", w[i], c)
				}
			}
			h := g.damped(0, true)
			for i := range k {
				for j := range k {
					sum += e[i] * e[j] * float64(h[i*k+j])
				}
			}
			return sum
		}
		got := loss(codes)
		if got > loss(nearest)+1e-6 {
			t.Errorf("noise %v, nearest %v", got, loss(nearest))
		}
		least := got
		for mask := range 1 << k {
			var c [k]int8
			for i := range c {
				below := int(w[i] / 0.25)
				if float32(below)*0.25 > w[i] {
					below--
				}
				c[i] = int8(below + mask>>i&1)
			}
			least = min(least, loss(c[:]))
		}
		if got <= 1.2*least {
			best++
		}
	}
	if best < trials*3/4 {
		t.Errorf("within a fifth of the best of all roundings in %d of %d trials only", best, trials)
	}
}

// TestGram compares the second moments of a convolution's taps with those of a
// plain sum over its positions.
func TestGram(t *testing.T) {
	for name, groups := range map[string]int{"dense": 1, "depthwise": 2} {
		n := &format.Node{Name: "n", Op: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"y"},
			Attrs: format.Attrs{"pads": []int64{1, 0, 0, 1}, "strides": []int64{1, 2}, "group": int64(groups)}}
		tensors := map[string]*format.Tensor{
			"x": {Shape: format.Shape{1, 4, 5, 2}}, "w": {Shape: format.Shape{2, 2, 2, 2 / groups}}, "y": {Shape: format.Shape{1, 4, 3, 2}},
		}
		g := newGram(n, tensors)
		g.open()
		x := make([]float32, 40)
		for i := range x {
			x[i] = float32(i%7) - 2
		}
		p := grad.Portable[float32]{}
		g.add(p, x, 100)
		g.done(p)
		at := func(oy, ox, tap, c int) float32 {
			y, xx := oy-1+tap/2, 2*ox+tap%2
			if y < 0 || y > 3 || xx > 4 {
				return 0
			}
			return x[(y*5+xx)*2+c]
		}
		for group := range groups {
			taps := 8 / groups
			for i := range taps {
				for j := range taps {
					want := float32(0)
					for o := range 12 {
						value := func(k int) float32 {
							if groups > 1 {
								return at(o/3, o%3, k, group)
							}
							return at(o/3, o%3, k/2, k%2)
						}
						want += value(i) * value(j)
					}
					if got := g.h[(group*taps+i)*taps+j]; got != want {
						t.Fatalf("%s, group %d, taps %d and %d: %v, want %v", name, group, i, j, got, want)
					}
				}
			}
		}
	}
}

// TestRoundLessensTheNoise of a network at 8 bits.
func TestRoundLessensTheNoise(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	ctx := context.Background()
	obs, err := Observe(ctx, m, samples(1, 64))
	if err != nil {
		t.Fatal(err)
	}
	codes, err := Round(ctx, m, samples(1, 64))
	if err != nil {
		t.Fatal(err)
	}
	if len(codes) != 3 {
		t.Fatalf("%d layers were rounded", len(codes))
	}
	db := func(codes map[string][]int8) float64 {
		q, _, err := Static(m, obs.Ranges(MinMax), StaticOptions{Codes: codes, Wide: true})
		if err != nil {
			t.Fatal(err)
		}
		return sqnr(t, m, q)
	}
	if near, adapted := db(nil), db(codes); adapted < near+0.3 {
		t.Errorf("%.2f dB, rounded to the nearest %.2f", adapted, near)
	}
}
