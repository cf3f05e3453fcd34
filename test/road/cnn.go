package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/judge"
	"github.com/whet-edge/whet/test/fashion"
)

const article = "conv(32,3,relu)+maxpool(2)+conv(64,3,relu)+maxpool(2)+flatten+dense(128,relu)+dense(n,softmax)"

// pictures are grey ones of 28x28 pixels as numbers from 0 to 1.
func pictures(dir, part string) (*fit.Data, error) {
	images, err := fashion.Load(dir, part)
	if err != nil {
		return nil, err
	}
	d := &fit.Data{Class: images.Label}
	for _, p := range images.Pixels {
		x := make([]float32, len(p))
		for i, v := range p {
			x[i] = float32(v) / 255
		}
		d.X = append(d.X, x)
	}
	return d, nil
}

func span(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// cnn trains the article's network on Fashion-MNIST on both sides, from the same first
// weights and in the same order of the samples.
func cnn(ctx context.Context, c *config) error {
	train, err := pictures(c.fashion, "train")
	if err != nil {
		return err
	}
	test, err := pictures(c.fashion, "t10k")
	if err != nil {
		return err
	}
	return compareCNN(ctx, c, "fashion", 1, train, test)
}

// mnist is cnn on handwritten digits: of these there is only the test part, of which 8000
// are learned from. Its second half is easier than its first, and what ends every epoch
// alike decides too much: they are mixed first. One picture in error is 0.05 points, so it
// is done from several first weights.
func mnist(ctx context.Context, c *config) error {
	digits, err := pictures(filepath.Join(c.material, "datasets", "mnist"), "t10k")
	if err != nil {
		return err
	}
	mixed := rand.New(rand.NewPCG(28, 28)).Perm(digits.Len())
	return compareCNN(ctx, c, "mnist", c.seeds, digits.Subset(mixed[:8000]), digits.Subset(mixed[8000:]))
}

func compareCNN(ctx context.Context, c *config, name string, seeds int, train, test *fit.Data) error {
	dir := c.work
	defer func() { c.work = dir }()
	c.work = filepath.Join(dir, name)
	if err := os.MkdirAll(c.work, 0o755); err != nil {
		return err
	}
	// A tenth for validation, at the end as Keras has it.
	n := train.Len() * 9 / 10
	learn, val := train.Subset(span(0, n)), train.Subset(span(n, train.Len()))
	for part, d := range map[string]*fit.Data{"train": train, "test": test} {
		var x, y []float32
		for i, v := range d.X {
			x = append(x, v...)
			y = append(y, float32(d.Class[i]))
		}
		if err := c.write(part+".x", x); err != nil {
			return err
		}
		if err := c.write(part+".y", y); err != nil {
			return err
		}
	}

	var ours, theirs, first []float64
	var seconds, peerSeconds float64
	for seed := range uint64(seeds) {
		m, err := network([]int{28, 28, 1}, article, 10, seed+1)
		if err != nil {
			return err
		}
		if err := c.write("weights.json", weights(m)); err != nil {
			return err
		}
		begin := time.Now()
		r, err := fit.Train(ctx, m, learn, fit.Options{Epochs: c.epochs, ValData: val, Ordered: true})
		if err != nil {
			return err
		}
		took := time.Since(begin).Seconds()
		scores, err := fit.Predict(ctx, r.Model, test.X)
		if err != nil {
			return err
		}
		var peer struct {
			Accuracy, Seconds float64
			Loss, Val         []float64 // by epoch
		}
		if err := c.peer(ctx, &peer, "cnn", fmt.Sprint(c.epochs)); err != nil {
			return err
		}
		for i, e := range r.Curve {
			fmt.Printf("epoch %2d: loss %.4f, Keras %.4f; of validation %.4f, Keras %.4f\n", e.Number, e.Loss, peer.Loss[i], e.ValLoss, peer.Val[i])
		}
		a := accuracy(scores, test.Class)
		fmt.Printf("%s, weights %d: whet %.4f in %.0f s, Keras %.4f in %.0f s\n", name, seed+1, a, took, peer.Accuracy, peer.Seconds)
		ours, theirs = append(ours, a), append(theirs, peer.Accuracy)
		first = append(first, math.Abs(r.Curve[0].Loss/peer.Loss[0]-1))
		seconds, peerSeconds = seconds+took, peerSeconds+peer.Seconds
	}
	mean, half := judge.Interval(ours)
	other, otherHalf := judge.Interval(theirs)
	fmt.Printf("%s: whet %.4f ± %.4f, Keras %.4f ± %.4f from %d first weights\n", name, mean, half, other, otherHalf, seeds)
	c.check(name+": points below Keras", 100*(other-mean), other-mean <= 0.003, "at most 0.3")
	c.check(name+": loss of the first epoch, relative difference", slices.Max(first), slices.Max(first) <= 0.01, "at most 0.01")
	c.check(name+": times as fast as Keras", peerSeconds/seconds, peerSeconds/seconds >= 1.5, "at least 1.5")
	return nil
}

// negatives are the pictures' negatives, with a target of 1 for the class.
func negatives(d *fit.Data) *fit.Data {
	out := &fit.Data{Class: d.Class}
	for i, x := range d.X {
		y, target := make([]float32, len(x)), make([]float32, 10)
		for k, v := range x {
			y[k] = 1 - v
		}
		target[d.Class[i]] = 1
		out.X, out.Target = append(out.X, y), append(out.Target, target)
	}
	return out
}

// edit gives a trained network another task and another loss on both sides: it is cut
// behind its hidden layer, gets an end of sigmoids, keeps its convolutions frozen and
// learns the pictures' negatives for five epochs, each class for itself.
func edit(ctx context.Context, c *config) error {
	m, train, test, err := trained(ctx, c)
	if err != nil {
		return err
	}
	body, err := build.Cut(m, "dense1/relu")
	if err != nil {
		return err
	}
	end, err := build.Append(body, 2, nil, build.Dense{Name: "end", Units: 10, Activation: "sigmoid"})
	if err != nil {
		return err
	}
	if end, err = build.Freeze(end, "conv*"); err != nil {
		return err
	}
	if err := c.write("weights.json", weights(end)); err != nil {
		return err
	}
	train, test = negatives(train), negatives(test)
	for part, d := range map[string]*fit.Data{"train": train, "test": test} {
		if err := c.write(part+".x", slices.Concat(d.X...)); err != nil {
			return err
		}
		if err := c.write(part+"_y.json", d.Class); err != nil {
			return err
		}
	}
	r, err := fit.Train(ctx, end, train, fit.Options{Epochs: 5, Loss: ondevice.BCE, Ordered: true})
	if err != nil {
		return err
	}
	scores, err := fit.Predict(ctx, r.Model, test.X)
	if err != nil {
		return err
	}
	ours := accuracy(scores, test.Class)
	var peer float64
	if err := c.peer(ctx, &peer, "edit"); err != nil {
		return err
	}
	fmt.Printf("whet %.4f, Keras %.4f\n", ours, peer)
	c.check("points apart from the same edit in Keras", 100*math.Abs(peer-ours), math.Abs(peer-ours) <= 0.001, "at most 0.1")
	return nil
}
