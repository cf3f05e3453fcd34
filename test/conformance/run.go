package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/tools/convert"
)

// A result is one line of the table: an output of a case.
type result struct {
	Model   string  `json:"model"`
	Case    string  `json:"case"`
	Output  string  `json:"output"`
	Type    string  `json:"type"`
	Oracle  string  `json:"oracle,omitempty"`
	Elems   int     `json:"elements"`
	Exact   int     `json:"exact"`             // elements with the same bits
	MaxDiff float64 `json:"max_diff"`          // in units of the last place; of floats, absolute
	Limit   float64 `json:"limit"`             // for MaxDiff of integers, for RelErr of floats
	RelErr  float64 `json:"rel_err,omitempty"` // of floats
	Pass    bool    `json:"pass"`
	Verdict string  `json:"verdict"` // "pass", "FAIL", or why there is none
	Digest  string  `json:"digest,omitempty"`

	floor float64
}

// runner converts and runs models.
type runner struct {
	level   kernels.Level
	threads int
	digest  hash.Hash // of all outputs of all models
}

// check runs all cases of m. An error becomes a result that fails.
func (r *runner) check(ctx context.Context, m *model) []result {
	bad := func(err error) []result {
		// An error may have several lines; the table has one for each result.
		return []result{{Model: m.name, Verdict: "FAIL: " + strings.ReplaceAll(err.Error(), "\n", "; ")}}
	}
	src, err := convert.Import(m.path)
	if err != nil {
		return bad(err)
	}
	// Through the file: what runs is what whet-convert would have written.
	var file bytes.Buffer
	if err := format.Write(&file, src); err != nil {
		return bad(err)
	}
	w, err := format.FromBytes(file.Bytes())
	if err != nil {
		return bad(err)
	}
	p, err := runtime.Compile(w, runtime.WithLevel(r.level), runtime.WithThreads(r.threads))
	if err != nil {
		return bad(err)
	}
	sum := sha256.New()
	results := []result{}
	cases := m.cases
	if len(cases) == 0 {
		cases = []testCase{ramp(p)}
	}
	for _, c := range cases {
		lines, err := r.run(ctx, w, p, c, sum)
		if err != nil {
			return bad(fmt.Errorf("case %s: %w", c.name, err))
		}
		for i := range lines {
			lines[i].Model, lines[i].Case, lines[i].Oracle = m.name, c.name, m.oracle
			if len(m.cases) == 0 {
				lines[i].Verdict = "no vectors"
				if m.note != "" {
					lines[i].Verdict += ": " + m.note
				}
			}
		}
		results = append(results, lines...)
	}
	d := sum.Sum(nil)
	results[0].Digest = hex.EncodeToString(d)
	r.digest.Write(d)
	return results
}

// run runs one case in a session of its own and compares every output.
func (r *runner) run(ctx context.Context, m *format.Model, p *runtime.Program, c testCase, sum hash.Hash) ([]result, error) {
	s := p.NewSession()
	defer s.Close()
	outs := p.Outputs()
	results := make([]result, len(outs))
	for i, o := range outs {
		results[i] = result{Output: o.Name, Type: o.Type.String(), Limit: limit(m, o), Pass: true, Verdict: "pass", floor: floor}
		if m.Header.Source.Format == "keras" {
			results[i].floor = 1
		}
	}
	for k, st := range c.steps {
		if len(st.in) != len(p.Inputs()) || st.out != nil && len(st.out) != len(outs) {
			return nil, fmt.Errorf("%d inputs and %d outputs for a model with %d and %d", len(st.in), len(st.out), len(p.Inputs()), len(outs))
		}
		for i, a := range st.in {
			t := s.Input(i)
			if a.Type != t.Type || len(a.Data) != len(t.Bytes()) {
				return nil, fmt.Errorf("input %q is %v %v, the vector %v %v", t.Name, t.Type, t.Shape, a.Type, a.Shape)
			}
			copy(t.Bytes(), a.Data)
		}
		if err := s.Run(ctx); err != nil {
			return nil, fmt.Errorf("run %d: %w", k, err)
		}
		for i := range outs {
			t := s.Output(i)
			sum.Write(t.Bytes())
			if st.out == nil {
				continue
			}
			got := &pre.Array{Type: t.Type, Shape: t.Shape, Data: t.Bytes()}
			if err := results[i].compare(got, st.out[i]); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

// floor is the size below which the error of a float counts as relative to
// floor times the greatest magnitude of the tensor, not to the element itself:
// both runtimes are as exact there, and a softmax's 1e-16 matters to nobody.
// Keras models are held to 1e-5 of the greatest: at single elements Keras itself
// is farther from float64 than that (2e-5 in the autoencoder of MLPerf Tiny).
const floor = 1e-2

// compare adds the difference of two tensors to the result.
func (r *result) compare(got, want *pre.Array) error {
	if got.Type != want.Type || len(got.Data) != len(want.Data) {
		return fmt.Errorf("output %q is %v %v, the vector %v %v", r.Output, got.Type, got.Shape, want.Type, want.Shape)
	}
	a, err := values(got)
	if err != nil {
		return err
	}
	b, err := values(want)
	if err != nil {
		return err
	}
	top := 0.0
	for _, v := range b {
		top = max(top, math.Abs(v))
	}
	size := got.Type.Bytes(1)
	for i := range a {
		r.Elems++
		if bytes.Equal(got.Data[i*size:(i+1)*size], want.Data[i*size:(i+1)*size]) {
			r.Exact++
			continue
		}
		d := math.Abs(a[i] - b[i])
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		r.MaxDiff = max(r.MaxDiff, d)
		if got.Type.Float() && d > 0 {
			r.RelErr = max(r.RelErr, d/max(math.Abs(b[i]), r.floor*top))
		}
	}
	measure := r.MaxDiff
	if got.Type.Float() {
		measure = r.RelErr
	}
	if !(measure <= r.Limit) {
		r.Pass, r.Verdict = false, "FAIL"
	}
	return nil
}

// values returns the elements of an array as float64, exactly.
func values(a *pre.Array) ([]float64, error) {
	if a.Type == format.Float32 {
		f, err := a.Float32s()
		out := make([]float64, len(f))
		for i, v := range f {
			out[i] = float64(v)
		}
		return out, err
	}
	n, err := a.Ints()
	out := make([]float64, len(n))
	for i, v := range n {
		out[i] = float64(v)
	}
	return out, err
}

// limit is how far an output may be from the vector: 1e-4, relative, for
// floats, and 1e-5 of the greatest for those of Keras models; a unit for 8-bit integers; for wider ones as much as a unit of the
// coarsest 8-bit tensor that leads to it.
func limit(m *format.Model, out runtime.Info) float64 {
	switch {
	case out.Type.Float() && m.Header.Source.Format == "keras":
		return 1e-5
	case out.Type.Float():
		return 1e-4
	case out.Quant == nil || out.Type == format.Int8 || out.Type == format.Uint8:
		return 1
	}
	tensors := map[string]*format.Tensor{}
	for _, t := range m.Tensors {
		tensors[t.Name] = t
	}
	leads := map[string]bool{out.Name: true}
	coarsest := out.Quant.Scale[0]
	for _, n := range slices.Backward(m.Main().Nodes) {
		used := false
		for _, y := range n.Outputs {
			used = used || leads[y]
		}
		if !used {
			continue
		}
		for _, x := range n.Inputs {
			t := tensors[x]
			if t == nil || t.Const() {
				continue
			}
			leads[x] = true
			if t.Quant != nil && t.Type.Bits() == 8 {
				coarsest = max(coarsest, t.Quant.Scale[0])
			}
		}
	}
	return float64(coarsest) / float64(out.Quant.Scale[0])
}

// ramp is the case of a model that has none: two runs on inputs that walk
// through their type's range, so that the digest covers it.
func ramp(p *runtime.Program) testCase {
	c := testCase{name: "ramp"}
	seed := uint32(1)
	for range 2 {
		var s step
		for _, in := range p.Inputs() {
			a := &pre.Array{Type: in.Type, Shape: in.Shape, Data: make([]byte, in.Type.Bytes(in.Shape.Elems()))}
			for i := range a.Data {
				seed = seed*1664525 + 1013904223 // Numerical Recipes' generator
				a.Data[i] = byte(seed >> 24)
				if in.Type == format.Float32 && i%4 == 3 {
					a.Data[i] = 0x3e // within [0.125, 0.5)
				}
			}
			s.in = append(s.in, a)
		}
		c.steps = append(c.steps, s)
	}
	return c
}
