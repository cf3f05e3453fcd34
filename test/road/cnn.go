package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/fit"
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

// cnn trains the article's network from the same weights on both sides, in the same
// order of the samples.
func cnn(ctx context.Context, c *config) error {
	type set struct {
		name        string
		train, test *fit.Data
	}
	var sets []set
	train, err := pictures(c.fashion, "train")
	if err != nil {
		return err
	}
	test, err := pictures(c.fashion, "t10k")
	if err != nil {
		return err
	}
	sets = append(sets, set{"fashion", train, test})
	if c.material != "" { // of the digits there is only the test part: its first 8000 are learned from
		digits, err := pictures(filepath.Join(c.material, "datasets", "mnist"), "t10k")
		if err != nil {
			return err
		}
		sets = append(sets, set{"mnist", digits.Subset(span(0, 8000)), digits.Subset(span(8000, 10000))})
	}
	for _, s := range sets {
		if err := compareCNN(ctx, c, s.name, s.train, s.test); err != nil {
			return err
		}
	}
	return nil
}

func compareCNN(ctx context.Context, c *config, name string, train, test *fit.Data) error {
	dir := c.work
	defer func() { c.work = dir }()
	c.work = filepath.Join(dir, name)
	if err := os.MkdirAll(c.work, 0o755); err != nil {
		return err
	}
	m, err := network([]int{28, 28, 1}, article, 10, 1)
	if err != nil {
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
	if err := c.write("weights.json", weights(m)); err != nil {
		return err
	}

	begin := time.Now()
	r, err := fit.Train(ctx, m, learn, fit.Options{Epochs: c.epochs, ValData: val, Ordered: true, Progress: func(e fit.Epoch) {
		fmt.Printf("epoch %d: loss %.4f, accuracy %.4f, validation %.4f %.4f\n", e.Number, e.Loss, e.Accuracy, e.ValLoss, e.ValAccuracy)
	}})
	if err != nil {
		return err
	}
	seconds := time.Since(begin).Seconds()
	scores, err := fit.Predict(ctx, r.Model, test.X)
	if err != nil {
		return err
	}
	ours := accuracy(scores, test.Class)

	var peer struct{ Accuracy, Seconds float64 }
	if err := c.peer(ctx, &peer, "cnn", fmt.Sprint(c.epochs)); err != nil {
		return err
	}
	fmt.Printf("%s: whet %.4f in %.0f s, Keras %.4f in %.0f s\n", name, ours, seconds, peer.Accuracy, peer.Seconds)
	c.check(name+": points below Keras", 100*(peer.Accuracy-ours), peer.Accuracy-ours <= 0.003, "at most 0.3")
	c.check(name+": times as fast as Keras", peer.Seconds/seconds, peer.Seconds/seconds >= 1.5, "at least 1.5")
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
