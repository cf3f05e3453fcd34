package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/post"
	"github.com/whet-edge/whet/runtime/pre/stage"
)

// A chain is several models as one: each sees what the one before found. It is a
// text file, one stage a line (# begins a comment):
//
//	model file=detector.whet        relative to the chain's folder
//	crop margin=0.1 label=face most=20
//	model file=classifier.whet
//
// margin widens a box by that share of its size on every side; without a label
// all boxes are cut out.
type chain []link

type link struct {
	*player
	path   string
	margin float64
	label  string
	most   int
}

// found is what a model of a chain says of the picture, or of a crop.
type found struct {
	*post.Result
	Parts []*found `json:"parts,omitempty"` // one for each box
}

type chainResult struct {
	Chain string `json:"chain"`
	*found
	Drawn string `json:"drawn,omitempty"`
}

func (f *runFlags) openChain(path string) (chain, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var c chain
	next := link{}
	cut := true // the next model has something to see
	sc := bufio.NewScanner(io.LimitReader(file, 1<<20))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := stage.Parse(line)
		switch {
		case err != nil:
		case s.Op == "model" && cut:
			if err = s.Only("file"); err == nil {
				next.path = s.Attrs["file"]
				if !filepath.IsAbs(next.path) {
					next.path = filepath.Join(filepath.Dir(path), next.path)
				}
				next.player, err = f.player(next.path)
			}
			if err == nil {
				c = append(c, next)
				next, cut = link{}, false
			}
		case s.Op == "crop" && !cut:
			next, err = parseCrop(s)
			cut = true
		default:
			err = fmt.Errorf("%q: a chain is model, crop, model and so on", line)
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
	}
	if err = sc.Err(); err == nil && cut {
		err = errors.New("a chain ends with a model")
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parseCrop(s stage.Stage) (link, error) {
	l := link{label: s.Attrs["label"], most: 100}
	if v, ok := s.Attrs["margin"]; ok {
		m, err := strconv.ParseFloat(v, 64)
		if err != nil || !(m >= 0 && m <= 10) {
			return l, fmt.Errorf("crop: margin=%q is no share", v)
		}
		l.margin = m
	}
	if v, ok := s.Attrs["most"]; ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return l, fmt.Errorf("crop: most=%q is no number", v)
		}
		l.most = n
	}
	return l, s.Only("margin", "label", "most")
}

func (c chain) close() {
	for _, l := range c {
		l.player.close()
	}
}

// play runs the first model on a picture and the others on its crops.
func (c chain) play(ctx context.Context, a *pre.Array, top int) (*found, error) {
	l := c[0]
	samples := make([]*sample, len(l.pipes))
	samples[0] = &sample{a, l.path}
	if err := l.complete(samples, ""); err != nil {
		return nil, err
	}
	l.s.Reset()
	r, err := l.player.play(ctx, samples, top)
	if err != nil {
		return nil, fileError(l.path, err)
	}
	f := &found{Result: r.Result}
	if f.Result == nil { // no description: scores are what there is
		f.Result = &post.Result{Classes: r.Outputs[0].Top}
	}
	if len(c) == 1 {
		return f, nil
	}
	for _, b := range f.Boxes {
		next := c[1]
		if next.label != "" && b.Label != next.label || len(f.Parts) == next.most {
			f.Parts = append(f.Parts, &found{Result: &post.Result{}})
			continue
		}
		mx, my := next.margin*float64(b.X1-b.X0), next.margin*float64(b.Y1-b.Y0)
		part := a.Cut(int(float64(b.X0)-mx), int(float64(b.Y0)-my), int(float64(b.X1)+mx+0.5), int(float64(b.Y1)+my+0.5))
		if part == nil {
			f.Parts = append(f.Parts, &found{Result: &post.Result{}})
			continue
		}
		p, err := c[1:].play(ctx, part, top)
		if err != nil {
			return nil, err
		}
		f.Parts = append(f.Parts, p)
	}
	return f, nil
}

func (f *runFlags) runChain(cmd *cobra.Command, path string) error {
	if len(f.inputs) != 1 || f.stream || f.dir != "" || f.against != nil || f.text != "" {
		return usagef("a chain takes one --input, a picture, and --draw, --top")
	}
	c, err := f.openChain(path)
	if err != nil {
		return err
	}
	defer c.close()
	a, err := pre.ReadFile(f.inputs[0])
	if err != nil {
		return err
	}
	if !a.Picture() {
		return usagef("%s: a chain needs a picture", f.inputs[0])
	}
	r := &chainResult{Chain: path}
	if r.found, err = c.play(cmd.Context(), a, f.top); err != nil {
		return err
	}
	if f.draw != "" {
		if r.Drawn, err = drawFile(f.draw, a, r.found.captioned()); err != nil {
			return err
		}
	}
	return emit(cmd, r, r.text)
}

// captioned returns the result with boxes that are labelled with what the models
// behind say of them.
func (f *found) captioned() *post.Result {
	r := *f.Result
	r.Boxes = slices.Clone(r.Boxes)
	for i, p := range f.Parts {
		switch {
		case p.Text != nil:
			r.Boxes[i].Label = *p.Text
		case len(p.Classes) > 0:
			r.Boxes[i].Label += ": " + p.Classes[0].Label
		}
	}
	return &r
}

func (r *chainResult) text(w io.Writer) error {
	if err := r.found.text(w, ""); err != nil {
		return err
	}
	if r.Drawn != "" {
		fmt.Fprintf(w, "drawn: %s\n", r.Drawn)
	}
	return nil
}

func (f *found) text(w io.Writer, indent string) error {
	if f.Parts == nil {
		return resultText(w, f.Result, indent)
	}
	for i, b := range f.Boxes {
		if err := resultText(w, &post.Result{Boxes: []post.Box{b}}, indent); err != nil {
			return err
		}
		if err := f.Parts[i].text(w, indent+"  "); err != nil {
			return err
		}
	}
	return nil
}
