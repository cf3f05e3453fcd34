package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/whet-edge/whet/runtime/pre/post"
)

// resultText prints what a run means for people; every line begins with indent.
func resultText(w io.Writer, r *post.Result, indent string) error {
	tw := table(w)
	for _, s := range r.Classes {
		fmt.Fprintf(tw, "%s%.4f\t%s\t(class %d)\n", indent, s.Score, s.Label, s.Class)
	}
	for _, b := range r.Boxes {
		fmt.Fprintf(tw, "%s%.4f\t%s\tx %.0f to %.0f\ty %.0f to %.0f", indent, b.Score, b.Label, b.X0, b.X1, b.Y0, b.Y1)
		for _, p := range b.Points {
			fmt.Fprintf(tw, "\t(%.0f, %.0f)", p.X, p.Y)
		}
		fmt.Fprintln(tw)
	}
	for i, p := range r.Points {
		fmt.Fprintf(tw, "%spoint %d\tx %.1f\ty %.1f\t%.3f\n", indent, i, p.X, p.Y, p.Score)
	}
	if r.Mask != nil {
		for _, s := range r.Mask.Shares {
			fmt.Fprintf(tw, "%s%.1f %%\tof the picture is %s\n", indent, 100*s.Score, s.Label)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	switch {
	case r.Found && len(r.Boxes) == 0:
		fmt.Fprintf(w, "%snothing found\n", indent)
	case r.Text != nil:
		fmt.Fprintf(w, "%stext: %s\n", indent, *r.Text)
	case r.Vector != nil:
		v := fmt.Sprintf("%.4g", r.Vector[:min(8, len(r.Vector))])
		fmt.Fprintf(w, "%svector of %d: %s ...\n", indent, len(r.Vector), strings.TrimSuffix(v, "]"))
	}
	return nil
}
