package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/augment"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime/pre"
)

// The network of the spoken digits: a log mel spectrogram of a second, three
// convolutions, the mean over what is left, and a dense layer.
const digitFrames, digitBands = 49, 32

const digitSteps = 600

var digitLayers = []int{16, 32, 64} // channels

// digitNet is the network, with weights drawn by He's rule ("Delving Deep into
// Rectifiers", 2015).
func digitNet(seed uint64) (*format.Model, error) {
	r := rand.New(rand.NewPCG(seed, 4))
	var w []float32
	layer := func(out, in int, gain float64) {
		for range out * in {
			w = append(w, float32(r.NormFloat64()*math.Sqrt(gain/float64(in))))
		}
		w = append(w, make([]float32, out)...)
	}
	in := 1
	for _, out := range digitLayers {
		layer(out, 9*in, 2)
		in = out
	}
	layer(10, in, 1)
	c := newChain(w, 1, digitFrames, digitBands, 1)
	for i, out := range digitLayers {
		name := fmt.Sprint("conv", i+1)
		c.conv(name, out, 3, 2, 1, 1)
		c.add("Relu", name+"/relu", nil)
	}
	c.add("ReduceMean", "pool", format.Attrs{"axes": []int64{1, 2}})
	c.flatten(in)
	c.dense("dense", 10)
	m, err := c.model()
	if err != nil {
		return nil, err
	}
	m.Header.Labels = digits()
	for _, step := range []string{
		"audio rate=8000 samples=8000 peak=true",
		"mel rate=8000 fft=256 window=256 hop=160 mels=32 low=60 log=ln floor=1e-6 center=false",
		"normalize mean=-6 scale=0.25",
	} {
		t, err := pre.ParseStep(step)
		if err != nil {
			return nil, err
		}
		t.Tensor = "x"
		m.Header.Pre = append(m.Header.Pre, t)
	}
	return m, nil
}

// clips are the wav files of the Free Spoken Digit Dataset, DIGIT_SPEAKER_NUMBER.wav.
type clips struct {
	of map[string][10][]*pre.Array // by speaker and digit, in the order of their numbers
}

func loadClips(dir string) (*clips, error) {
	c := &clips{map[string][10][]*pre.Array{}}
	for digit := range 10 {
		for number := range 50 {
			files, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("%d_*_%d.wav", digit, number)))
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				a, err := pre.ReadFile(f)
				if err != nil {
					return nil, err
				}
				speaker := strings.Split(filepath.Base(f), "_")[1]
				list := c.of[speaker]
				list[digit] = append(list[digit], a)
				c.of[speaker] = list
			}
		}
	}
	if len(c.of) < 4 {
		return nil, fmt.Errorf("%s has clips of %d speakers; four are needed", dir, len(c.of))
	}
	return c, nil
}

// clipData are clips as a model takes them.
type clipData struct {
	pipe  *pre.Pipeline
	clips []*pre.Array
	digit []int
}

func (c *clips) data(m *format.Model, speakers []string, choose func(digit int) []int) (*clipData, error) {
	pipes, err := pre.ForModel(m)
	if err != nil {
		return nil, err
	}
	d := &clipData{pipe: pipes[0]}
	for _, s := range speakers {
		for digit, list := range c.of[s] {
			for _, i := range choose(digit) {
				d.clips, d.digit = append(d.clips, list[i]), append(d.digit, digit)
			}
		}
	}
	return d, nil
}

func (d *clipData) Len() int { return len(d.clips) }

func (d *clipData) Sample(i int) ondevice.Sample {
	return ondevice.Sample{Label: fmt.Sprint(d.digit[i])}
}

func (d *clipData) Input(i int, dst []byte) error { return d.pipe.Put(dst, d.clips[i]) }

// InputOf lets package augment change the sound itself.
func (d *clipData) InputOf(i int, dst []byte, change func(sound []float32, channels int)) (bool, error) {
	return d.pipe.PutChanged(dst, d.clips[i], change)
}

// accuracy is the fraction of clips of which a model names the digit.
func (d *clipData) accuracy(ctx context.Context, m *format.Model) (float64, error) {
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	var inputs [][]byte
	for i := range d.clips {
		b := make([]byte, in.Type.Bytes(in.Shape.Elems()))
		if err := d.Input(i, b); err != nil {
			return 0, err
		}
		inputs = append(inputs, b)
	}
	return accuracy(ctx, m, inputs, func(i int) int { return d.digit[i] })
}

// trainDigits trains a network from random weights, by whet itself.
func trainDigits(ctx context.Context, d *clipData, m *format.Model, epochs int) (*format.Model, error) {
	return tuneOrKeep(ctx, m, d, ondevice.Options{
		Tail: ondevice.All, Optimizer: ondevice.AdamW, WeightDecay: 0.01, LR: 3e-3, Schedule: ondevice.Cosine, Warmup: 20,
		Epochs: epochs, Val: -1,
	})
}

// tuneOrKeep returns the tuned model, or the old one if the gate refuses it.
func tuneOrKeep(ctx context.Context, m *format.Model, d ondevice.Data, o ondevice.Options) (*format.Model, error) {
	plan, err := ondevice.Plan(m, d, o)
	if err != nil {
		return nil, err
	}
	delta, _, err := ondevice.Fit(ctx, plan)
	if err != nil || delta == nil {
		return m, err
	}
	return format.Apply(m, delta)
}

// A personal way to make a base model one's own.
type personal struct {
	name    string
	options ondevice.Options
	augment string
}

var personals = []personal{
	{name: "nearest class mean", options: ondevice.Options{Instant: true, Val: -1}},
	{name: "head", options: ondevice.Options{Val: -1}},
	{name: "head, augmented", options: ondevice.Options{Val: -1}, augment: sounds},
	{name: "last:2", options: ondevice.Options{Tail: ondevice.Last(2), LR: 1e-3, Optimizer: ondevice.AdamW, Val: -1}},
	{name: "last:3", options: ondevice.Options{Tail: ondevice.Last(3), LR: 1e-3, Optimizer: ondevice.AdamW, Val: -1}},
	{name: "last:3, augmented", options: ondevice.Options{Tail: ondevice.Last(3), LR: 1e-3, Optimizer: ondevice.AdamW, Val: -1}, augment: sounds},
}

const sounds = "slide=0.1,noise=0.01,mask=0.1"

// spoken trains a network on three speakers of spoken digits, quantizes it, and makes it
// the fourth's from a few clips of each digit; the other clips are for judging. Learning
// rates and the number of steps are the same for all speakers: the head's rate is found
// by whet on its own samples, that of deeper tails and the steps were chosen from a short
// grid on these very clips, so the last points of their rows are flattered.
func spoken(ctx context.Context, c *config) ([]check, error) {
	if c.fsdd == "" {
		fmt.Fprintln(os.Stderr, "SKIPPED: digits: give -fsdd, the folder of the Free Spoken Digit Dataset's recordings")
		return nil, nil
	}
	all, err := loadClips(c.fsdd)
	if err != nil {
		return nil, err
	}
	var speakers []string
	for s := range all.of {
		speakers = append(speakers, s)
	}
	slices.Sort(speakers)
	if c.quick {
		speakers = speakers[:1]
	}
	result := map[string][]float64{}
	note := func(k int, way string, a float64) {
		key := fmt.Sprintf("%2d %s", k, way)
		result[key] = append(result[key], 100*a)
	}
	for _, own := range speakers {
		base, err := spokenBase(ctx, all, own)
		if err != nil {
			return nil, err
		}
		for seed := range uint64(c.seeds) {
			for _, k := range []int{5, 20} {
				if err := personalize(ctx, c, all, base, own, seed, k, note); err != nil {
					return nil, err
				}
			}
		}
	}
	return spokenChecks(result), nil
}

// spokenBase is the int8 network of all speakers but one.
func spokenBase(ctx context.Context, all *clips, without string) (*format.Model, error) {
	net, err := digitNet(1)
	if err != nil {
		return nil, err
	}
	var others []string
	for s := range all.of {
		if s != without {
			others = append(others, s)
		}
	}
	slices.Sort(others)
	d, err := all.data(net, others, func(int) []int { return whole(50) })
	if err != nil {
		return nil, err
	}
	float, err := trainDigits(ctx, d, net, 20)
	if err != nil {
		return nil, err
	}
	q, err := quant.Quantize(ctx, float, func(yield func(quant.Sample, error) bool) {
		b, v := make([]byte, 4*digitFrames*digitBands), make([]float32, digitFrames*digitBands)
		for i := 0; i < d.Len(); i += 5 {
			err := d.Input(i, b)
			for k := range v {
				v[k] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*k:]))
			}
			if !yield(quant.Sample{v}, err) {
				return
			}
		}
	}, quant.Options{})
	if err != nil {
		return nil, err
	}
	q.Model.Header.Labels, q.Model.Header.Pre = float.Header.Labels, float.Header.Pre
	return q.Model, nil
}

func whole(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// personalize makes a base one speaker's from k clips of each digit, in every way, and
// judges it on 30 others.
func personalize(ctx context.Context, c *config, all *clips, base *format.Model, own string, seed uint64, k int, note func(int, string, float64)) error {
	r := rand.New(rand.NewPCG(seed, 5))
	var order [10][]int
	for digit := range order {
		order[digit] = r.Perm(50)
	}
	few, err := all.data(base, []string{own}, func(digit int) []int { return order[digit][:k] })
	if err != nil {
		return err
	}
	test, err := all.data(base, []string{own}, func(digit int) []int { return order[digit][20:] })
	if err != nil {
		return err
	}
	judge := func(way string, m *format.Model, d *clipData) error {
		a, err := d.accuracy(ctx, m)
		note(k, way, a)
		return err
	}
	if err := judge("before", base, test); err != nil {
		return err
	}
	for _, p := range personals {
		if c.quick && !strings.HasPrefix(p.name, "head") && !strings.HasPrefix(p.name, "last:3") {
			continue
		}
		p.options.Seed, p.options.Classes = seed, digits()
		data := ondevice.Data(few)
		if p.augment != "" {
			chain, err := augment.Parse(p.augment)
			if err != nil {
				return err
			}
			if data, err = augment.Views(few, base, chain, 4, seed); err != nil {
				return err
			}
		}
		if !p.options.Instant { // as many as from scratch
			p.options.Epochs = max(1, digitSteps*32/data.Len())
		}
		tuned, err := tuneOrKeep(ctx, base, data, p.options)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := judge(p.name, tuned, test); err != nil {
			return err
		}
	}
	scratch, err := digitNet(seed + 10)
	if err != nil {
		return err
	}
	own1, err := all.data(scratch, []string{own}, func(digit int) []int { return order[digit][:k] })
	if err != nil {
		return err
	}
	theirs, err := all.data(scratch, []string{own}, func(digit int) []int { return order[digit][20:] })
	if err != nil {
		return err
	}
	if scratch, err = trainDigits(ctx, own1, scratch, digitSteps*32/own1.Len()); err != nil {
		return err
	}
	return judge("from scratch", scratch, theirs)
}

// spokenChecks prints the table and says what must hold.
func spokenChecks(result map[string][]float64) (list []check) {
	mean := map[string]float64{}
	for key, v := range result {
		mean[key], _ = spread(v)
	}
	fmt.Printf("\nspoken digits: percent right of the fourth speaker's other clips\n%-26s %18s %18s\n", "", "5 clips a digit", "20 clips a digit")
	for _, way := range append(append([]string{"before"}, ways()...), "from scratch") {
		if result[" 5 "+way] == nil {
			continue
		}
		fmt.Printf("%-26s", way)
		for _, k := range []int{5, 20} {
			m, dev := spread(result[fmt.Sprintf("%2d %s", k, way)])
			fmt.Printf(" %12.2f ±%4.2f", m, dev)
		}
		fmt.Println()
	}
	for _, k := range []int{5, 20} {
		at := func(way string) float64 { return mean[fmt.Sprintf("%2d %s", k, way)] }
		deep := max(at("last:2"), at("last:3"), at("last:3, augmented"))
		list = append(list,
			atLeast(fmt.Sprintf("digits, %d clips: head, points gained", k), at("head")-at("before"), 1),
			atLeast(fmt.Sprintf("digits, %d clips: best tail over head, points", k), deep-max(at("head"), at("head, augmented")), 0.5),
			atLeast(fmt.Sprintf("digits, %d clips: best tail over from scratch, points", k), deep-at("from scratch"), 0))
		if n, ok := mean[fmt.Sprintf("%2d nearest class mean", k)]; ok {
			list = append(list, atLeast(fmt.Sprintf("digits, %d clips: best tail over nearest class mean, points", k), deep-n, 0))
		}
	}
	return list
}

func ways() (names []string) {
	for _, p := range personals {
		names = append(names, p.name)
	}
	return names
}

// spread returns the mean and the (population) standard deviation.
func spread(v []float64) (mean, dev float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		dev += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, math.Sqrt(dev)
}
