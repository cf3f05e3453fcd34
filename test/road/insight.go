package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/attack"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/explain"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/private"
	"github.com/whet-edge/whet/quant"
)

// trained is the article's network after two epochs on 6000 pictures, and pictures
// that it has not seen.
func trained(ctx context.Context, c *config) (m *format.Model, train, test *fit.Data, err error) {
	if train, err = pictures(c.fashion, "train"); err != nil {
		return nil, nil, nil, err
	}
	if test, err = pictures(c.fashion, "t10k"); err != nil {
		return nil, nil, nil, err
	}
	train = train.Subset(span(0, 6000))
	if m, err = network([]int{28, 28, 1}, article, 10, 1); err != nil {
		return nil, nil, nil, err
	}
	r, err := fit.Train(ctx, m, train, fit.Options{Epochs: 2})
	if err != nil {
		return nil, nil, nil, err
	}
	return r.Model, train, test, c.write("weights.json", weights(r.Model))
}

func raw(v []float32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// explained compares attributions of the float network with Captum's, and looks
// through the int8 network whether the pixels that they name matter.
func explained(ctx context.Context, c *config) error {
	m, train, test, err := trained(ctx, c)
	if err != nil {
		return err
	}
	e, err := explain.New(m)
	if err != nil {
		return err
	}
	const compared, steps = 20, 200 // of steps, so many that one on the other side of an edge weighs little
	methods := []func(context.Context, []byte, explain.Options) (*explain.Attribution, error){e.GradientInput, e.Integrated, e.Occlusion}
	var ours [3][]*explain.Attribution
	var x []float32
	for i, method := range methods {
		for k := range compared {
			a, err := method(ctx, raw(test.X[k]), explain.Options{Class: test.Class[k], Window: []int{4, 4}, Steps: steps})
			if err != nil {
				return err
			}
			ours[i] = append(ours[i], a)
		}
	}
	for k := range compared {
		x = append(x, test.X[k]...)
	}
	if err := c.write("x.f32", x); err != nil {
		return err
	}
	if err := c.write("class.json", test.Class[:compared]); err != nil {
		return err
	}
	var peer [3][][]float64
	if err := c.peer(ctx, &peer, "explain", fmt.Sprint(steps)); err != nil {
		return err
	}
	for i, name := range []string{"gradient x input", "integrated gradients", "occlusion"} {
		// By the length of the difference: where a point of the way lies within a rounding
		// of a ReLU's or a maximum's edge, float32 and float64 fall on either side, and
		// single values differ by more.
		worst, single := 0.0, 0.0
		for k, a := range ours[i] {
			var apart, all, most, far float64
			for j, v := range a.Values {
				p := peer[i][k][j]
				d := float64(v) - p
				apart, all = apart+d*d, all+p*p
				most, far = max(most, math.Abs(p)), max(far, math.Abs(d))
			}
			worst, single = max(worst, math.Sqrt(apart/all)), max(single, far/most)
		}
		fmt.Printf("%s: a single value differs by %.1e of the largest at most\n", name, single)
		c.check(name+": apart from Captum's in float64", worst, worst <= 1e-4, "at most 1e-4 of its length")
	}

	q, err := quant.Quantize(ctx, m, func(yield func(quant.Sample, error) bool) {
		for _, v := range train.X[:200] {
			if !yield(quant.Sample{slices.Clone(v)}, nil) {
				return
			}
		}
	}, quant.Options{})
	if err != nil {
		return err
	}
	if e, err = explain.New(q.Model); err != nil {
		return err
	}
	in := q.Model.Tensor(q.Model.Main().Inputs[0].Tensor)
	r := rand.New(rand.NewPCG(1, 1))
	const images, share = 200, 78 // a tenth of the pixels
	better := 0
	for k := range images {
		input := ondevice.RawInput(in, test.X[k])
		a, err := e.Integrated(ctx, input, explain.Options{Class: -1})
		if err != nil {
			return err
		}
		order := span(0, len(a.Values))
		slices.SortFunc(order, func(i, j int) int {
			if a.Values[i] > a.Values[j] {
				return -1
			}
			return 1
		})
		without := func(pixels []int) (float32, error) {
			v := slices.Clone(test.X[k])
			for _, i := range pixels {
				v[i] = 0
			}
			b, err := e.GradientInput(ctx, ondevice.RawInput(in, v), explain.Options{Class: a.Class})
			if err != nil {
				return 0, err
			}
			return b.Score, nil
		}
		top, err := without(order[:share])
		if err != nil {
			return err
		}
		other, err := without(r.Perm(len(order))[:share])
		if err != nil {
			return err
		}
		if top < other {
			better++
		}
	}
	part := float64(better) / images
	c.check("int8: top tenth of the pixels matters more than a random one", part, part >= 0.9, "on at least 0.9 of the pictures")
	return nil
}

// attacks compares accuracies under attack with those of PyTorch, and trains the
// dense layers against the stronger attack.
func attacks(ctx context.Context, c *config) error {
	m, train, test, err := trained(ctx, c)
	if err != nil {
		return err
	}
	test = test.Subset(span(0, 500))
	fgsm := attack.Options{Epsilon: 0.05, Lo: 0, Hi: 1}
	pgd := attack.Options{Epsilon: 0.05, Steps: 10, Step: 0.0125, Lo: 0, Hi: 1}
	under := func(m *format.Model, o attack.Options) (float64, error) {
		a, err := attack.New(m, o, 1)
		if err != nil {
			return 0, err
		}
		moved := make([][]float32, test.Len())
		in := m.Tensor(m.Main().Inputs[0].Tensor)
		for i, x := range test.X {
			b, err := a.Attack(ctx, raw(x), test.Class[i])
			if err != nil {
				return 0, err
			}
			moved[i] = ondevice.RealInput(in, b)
		}
		y, err := fit.Predict(ctx, m, moved)
		return accuracy(y, test.Class), err
	}
	var ours [2]float64
	for i, o := range []attack.Options{fgsm, pgd} {
		if ours[i], err = under(m, o); err != nil {
			return err
		}
	}
	if err := c.write("x.f32", slices.Concat(test.X...)); err != nil {
		return err
	}
	if err := c.write("class.json", test.Class); err != nil {
		return err
	}
	var peer struct{ Clean, Fgsm, Pgd float64 }
	if err := c.peer(ctx, &peer, "attack", fmt.Sprint(pgd.Epsilon), fmt.Sprint(pgd.Step), fmt.Sprint(pgd.Steps)); err != nil {
		return err
	}
	fmt.Printf("clean %.4f; FGSM: whet %.4f, PyTorch %.4f; PGD: whet %.4f, PyTorch %.4f\n", peer.Clean, ours[0], peer.Fgsm, ours[1], peer.Pgd)
	c.check("FGSM: points apart from PyTorch", 100*math.Abs(ours[0]-peer.Fgsm), math.Abs(ours[0]-peer.Fgsm) <= 0.01, "at most 1")
	c.check("PGD: points apart from PyTorch", 100*math.Abs(ours[1]-peer.Pgd), math.Abs(ours[1]-peer.Pgd) <= 0.01, "at most 1")

	frozen, err := build.Freeze(m, "conv1")
	if err != nil {
		return err
	}
	learn := pgd
	learn.Steps, learn.Step = 5, 0.025
	r, err := fit.Train(ctx, frozen, train, fit.Options{Epochs: 3, Attack: &learn})
	if err != nil {
		return err
	}
	after, err := under(r.Model, pgd)
	if err != nil {
		return err
	}
	y, err := fit.Predict(ctx, r.Model, test.X)
	if err != nil {
		return err
	}
	fmt.Printf("after three epochs against PGD: clean %.4f, PGD %.4f\n", accuracy(y, test.Class), after)
	c.check("training against PGD: points won under PGD", 100*(after-ours[1]), after-ours[1] >= 0.1, "at least 10")
	return nil
}

// privacy compares the accountant with dp-accounting's, trains a head privately and
// asks an outsider's question of both heads.
func privacy(ctx context.Context, c *config) error {
	type grant struct {
		Noise, Rate, Delta float64
		Steps              int
	}
	var grants []grant
	for _, noise := range []float64{0.8, 1.1, 2, 4, 8} {
		for _, rate := range []float64{0.004, 0.02, 0.1, 0.5} {
			for _, steps := range []int{10, 300, 5000} {
				grants = append(grants, grant{noise, rate, 1e-5, steps})
			}
		}
	}
	if err := c.write("grants.json", grants); err != nil {
		return err
	}
	var peer []float64
	if err := c.peer(ctx, &peer, "privacy"); err != nil {
		return err
	}
	// Beyond an epsilon of 20 nothing is kept private, and dp-accounting leaves out the
	// orders that count there, because its series do not converge.
	worst, compared := 0.0, 0
	for i, g := range grants {
		if peer[i] > 20 {
			continue
		}
		compared++
		e, err := private.Epsilon(g.Noise, g.Rate, g.Steps, g.Delta)
		if err != nil {
			return err
		}
		worst = max(worst, math.Abs(e/peer[i]-1))
	}
	c.check(fmt.Sprintf("epsilon of %d settings, apart from dp-accounting's", compared), worst, worst <= 0.01, "at most 0.01")

	m, _, unseen, err := trained(ctx, c)
	if err != nil {
		return err
	}
	// The body is public; a new head learns negatives of pictures that it has not seen.
	body, err := build.Cut(m, "dense1/relu")
	if err != nil {
		return err
	}
	m, err = build.Append(body, 3, nil, build.Dense{Units: 10, Activation: "softmax"})
	if err != nil {
		return err
	}
	all := negatives(unseen)
	train, test := all.Subset(span(0, 5000)), all.Subset(span(5000, 10000))
	train.Target, test.Target = nil, nil
	report := func(name string, m *format.Model) error {
		y, err := fit.Predict(ctx, m, test.X)
		if err != nil {
			return err
		}
		in, err := private.Losses(ctx, m, train)
		if err != nil {
			return err
		}
		out, err := private.Losses(ctx, m, test)
		if err != nil {
			return err
		}
		i, err := private.Membership(in, out)
		fmt.Printf("%-24s accuracy %.4f, an outsider tells members: AUC %.4f, advantage %.4f\n", name, accuracy(y, test.Class), i.AUC, i.Advantage)
		return err
	}
	frozen, err := build.Freeze(m, "conv*", "dense1")
	if err != nil {
		return err
	}
	plain, err := fit.Train(ctx, frozen, train, fit.Options{Epochs: 10})
	if err != nil {
		return err
	}
	if err := report("head, plain", plain.Model); err != nil {
		return err
	}
	for _, epsilon := range []float64{1, 8} {
		p, spent, err := private.TrainHead(ctx, m, train, private.Options{Epsilon: epsilon, Delta: 1e-5, Seed: &[32]byte{1}})
		if err != nil {
			return err
		}
		if err := report(fmt.Sprintf("head, epsilon %.2f", spent.Epsilon), p); err != nil {
			return err
		}
	}
	return nil
}
