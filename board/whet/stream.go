package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// streamResult is what whet run --stream prints.
type streamResult struct {
	Model  string      `json:"model"`
	Pieces int         `json:"pieces"`
	RunNS  int64       `json:"run_ns"` // of all pieces
	Output string      `json:"output"`
	Values [][]float32 `json:"values"` // of the first output, for each piece
}

// stream feeds the sample piece by piece, states and carried outputs being kept.
func (p *player) stream(ctx context.Context, files []string) (*streamResult, error) {
	samples, err := p.samples(files, "")
	if err != nil {
		return nil, err
	}
	first := -1
	for i, g := range samples {
		switch {
		case g == nil:
			clear(p.s.Input(i).Bytes())
		case first < 0 && p.pipes[i].Streams():
			first = i
		default:
			if err := p.pipes[i].Put(p.s.Input(i).Bytes(), g.Array); err != nil {
				return nil, fileError(g.name, err)
			}
		}
	}
	if first < 0 {
		return nil, usagef("--stream: the model does not say how a long sample is fed; convert it again with --pre \"stream hop=N\"")
	}
	n, put, err := p.pipes[first].Pieces(samples[first].Array)
	if err != nil {
		return nil, fileError(samples[first].name, err)
	}
	r := &streamResult{Pieces: n, Output: p.s.Program().Outputs()[0].Name}
	for i := range n {
		if err := put(p.s.Input(first).Bytes(), i); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := p.s.Run(ctx); err != nil {
			return nil, err
		}
		r.RunNS += time.Since(start).Nanoseconds()
		r.Values = append(r.Values, append([]float32(nil), p.s.Output(0).Float32()...))
		for from, to := range p.post.Carry() {
			copy(p.s.InputByName(to).Bytes(), p.s.OutputByName(from).Bytes())
		}
	}
	return r, nil
}

// text shows where each value of the output is above one half.
func (r *streamResult) text(w io.Writer) error {
	if r.Pieces == 0 {
		fmt.Fprintln(w, "the sample is too short for one piece")
		return nil
	}
	for k := range min(len(r.Values[0]), maxShown) {
		most, over := r.Values[0][k], 0
		for _, v := range r.Values {
			most = max(most, v[k])
			if v[k] > 0.5 {
				over++
			}
		}
		fmt.Fprintf(w, "%s[%d]: %d of %d pieces above 0.5, at most %.4f\n", r.Output, k, over, r.Pieces, most)
	}
	fmt.Fprintf(w, "%s a piece\n", nanos(r.RunNS/int64(r.Pieces)))
	return nil
}
