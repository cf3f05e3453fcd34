package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert"
)

// Texts that a language model is measured on are drawn from itself, token by token by
// its own probabilities: they are of the kind that it was trained for, no other model
// can have a smaller loss on them on average, and all that a smaller form loses shows.
const (
	storyTokens = 128
	storyCount  = 100
	storyBegin  = 1 // the token that a story begins with; this one and those below end it
)

// stories prints what storing the weights of a language model in blocks costs. There is
// no bound: of a network as small as those that fit here, 4 bits take more than a
// hundredth of the loss, however they are rounded.
func stories(ctx context.Context, w io.Writer, path string) error {
	m, err := convert.Import(path)
	if err != nil {
		return err
	}
	learn, err := tell(ctx, m, 1)
	if err != nil {
		return err
	}
	held, err := tell(ctx, m, 2)
	if err != nil {
		return err
	}
	float, err := perToken(ctx, m, held)
	if err != nil {
		return err
	}
	samples := func(yield func(quant.Sample, error) bool) {
		for _, id := range slices.Concat(learn...) {
			if !yield(quant.Sample{{float32(id)}}, nil) {
				return
			}
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "form\tloss a token\tmore than float32\tbytes of the matrices\tfile bytes\t\n")
	for _, form := range []struct {
		name string
		o    quant.BlockOptions
	}{
		{nameFloat, quant.BlockOptions{}},
		{"int8 in blocks of 32", quant.BlockOptions{Bits: 8, Size: 32}},
		{"int4 in blocks of 32", quant.BlockOptions{Bits: 4, Size: 32}},
		{"int4 in blocks of 32, rounded adaptively", quant.BlockOptions{Bits: 4, Size: 32, Samples: samples, Sequence: storyTokens}},
	} {
		q := m
		if form.o.Bits > 0 {
			if q, err = quant.Blocks(ctx, m, form.o); err != nil {
				return fmt.Errorf("%s: %w", form.name, err)
			}
		}
		loss, err := perToken(ctx, q, held)
		if err != nil {
			return err
		}
		var file bytes.Buffer
		if err := format.Write(&file, q); err != nil {
			return err
		}
		fmt.Fprintf(tw, "%s\t%.4f\t%+.2f %%\t%d\t%d\t\n", form.name, loss, 100*(loss/float-1), matrixBytes(m, q), file.Len())
	}
	return tw.Flush()
}

// matrixBytes is what the matrices of products take in a form of m, scales included.
func matrixBytes(m, form *format.Model) (sum int) {
	for _, n := range m.Main().Nodes {
		if n.Op != "Gemm" {
			continue
		}
		w := form.Tensor(n.Inputs[1])
		sum += len(w.Data)
		if w.Quant != nil {
			sum += 2 * len(w.Quant.Scale)
		}
	}
	return sum
}

// tell draws stories of storyTokens tokens; shorter ones are left out.
func tell(ctx context.Context, m *format.Model, seed uint64) (out [][]int32, err error) {
	p, err := runtime.Compile(m)
	if err != nil {
		return nil, err
	}
	s := p.NewSession()
	defer s.Close()
	r := rand.New(rand.NewPCG(seed, 1))
	for range storyCount {
		s.Reset()
		ids := []int32{storyBegin}
		for len(ids) < storyTokens {
			s.Input(0).Int32()[0] = ids[len(ids)-1]
			if err := s.Run(ctx); err != nil {
				return nil, err
			}
			u, next := r.Float64(), 0
			for i, v := range probabilities(s.Output(0).Float32()) {
				next = i
				if u -= v; u < 0 {
					break
				}
			}
			if next <= storyBegin+1 {
				break
			}
			ids = append(ids, int32(next))
		}
		if len(ids) == storyTokens {
			out = append(out, ids)
		}
	}
	return out, nil
}

// perToken is the mean cross-entropy of the tokens behind the first.
func perToken(ctx context.Context, m *format.Model, stories [][]int32) (float64, error) {
	p, err := runtime.Compile(m)
	if err != nil {
		return 0, err
	}
	s := p.NewSession()
	defer s.Close()
	sum, n := 0.0, 0
	for _, ids := range stories {
		s.Reset()
		for i, next := range ids[1:] {
			s.Input(0).Int32()[0] = ids[i]
			if err := s.Run(ctx); err != nil {
				return 0, err
			}
			sum -= math.Log(probabilities(s.Output(0).Float32())[next])
			n++
		}
	}
	return sum / float64(n), nil
}

// probabilities are the softmax of scores.
func probabilities(scores []float32) []float64 {
	p, most, sum := make([]float64, len(scores)), slices.Max(scores), 0.0
	for i, v := range scores {
		p[i] = math.Exp(float64(v - most))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
