package main

import (
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/format/vfs"
)

// demoResult is what whet demo prints as JSON.
type demoResult struct {
	*demo.Report
	PeakRSS int64    `json:"peak_rss_bytes"`
	Saved   []string `json:"saved,omitempty"`
	Next    []string `json:"next"`
}

func newDemoCmd() *cobra.Command {
	var mf modelFlags
	var seed uint64
	var save string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole story on data that the program carries",
		Long: `Load a small int8 network that knows eight kinds of clothing, check it on 1,000
real images, teach it two new kinds from 20 examples of each, and measure again.
Needs no arguments, no network and no files.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := mf.options()
			if err != nil {
				return err
			}
			bar, stage := &progress{}, ""
			report, err := demo.Run(cmd.Context(), demo.Options{
				Seed: seed, Runtime: opts,
				Progress: func(s string, done, total int) {
					if s != stage {
						bar.done()
						stage = s
						bar = newProgress(cmd, total, fmt.Sprintf("%-8s", s))
					}
					bar.set(done)
				},
			})
			bar.done()
			if err != nil {
				return err
			}
			r := &demoResult{Report: report, PeakRSS: info.PeakRSS()}
			if save != "" {
				if err := r.save(save); err != nil {
					return err
				}
			}
			r.next(save)
			return emit(cmd, r, func(w io.Writer) error { return r.text(w, newCanvas(cmd.OutOrStdout())) })
		},
	}
	cmd.Flags().IntVar(&mf.threads, "threads", 0, "threads that share one run (default: all cores)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "chooses the examples that it learns from")
	cmd.Flags().StringVar(&save, "save", "", "keep the model, the delta and the images shown in this folder")
	return cmd
}

// The names of what --save writes.
const (
	demoModel = "fashion8.whet"
	demoDelta = "fashion10.whetd"
)

// save writes the model, the delta and the shown images.
func (r *demoResult) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	sets, err := demo.Embedded()
	if err != nil {
		return err
	}
	files := map[string]func(io.Writer) error{
		demoModel: func(w io.Writer) error { _, err := w.Write(demo.BaseFile()); return err },
		demoDelta: func(w io.Writer) error { _, err := w.Write(r.Delta()); return err },
	}
	names := []string{demoModel, demoDelta}
	for _, s := range r.Shown {
		name := imageName(s.Label)
		names = append(names, name)
		files[name] = func(w io.Writer) error { return png.Encode(w, sets[0].Image(s.Index)) }
	}
	for _, name := range names {
		file := filepath.Join(dir, name)
		if err := vfs.WriteFile(vfs.OS, file, files[name]); err != nil {
			return fileError(file, err)
		}
		r.Saved = append(r.Saved, file)
	}
	return nil
}

// imageName makes a file name of a label.
func imageName(label string) string {
	return strings.NewReplacer(" ", "-", "/", "-").Replace(strings.ToLower(label)) + ".png"
}

// next fills in the three commands to type now.
func (r *demoResult) next(saved string) {
	first := fmt.Sprintf("whet demo --seed %d", r.Seed+1)
	dir := saved
	if saved == "" {
		dir = "demo"
		first = "whet demo --save demo"
	}
	model := shellQuote(filepath.Join(dir, demoModel))
	r.Next = []string{
		first,
		fmt.Sprintf("whet run %s --delta %s --input %s --top 3", model,
			shellQuote(filepath.Join(dir, demoDelta)), shellQuote(filepath.Join(dir, imageName(r.Shown[0].Label)))),
		fmt.Sprintf("whet bench %s --profile", model),
	}
}

func (r *demoResult) text(w io.Writer, c canvas) error {
	fmt.Fprintf(w, "An int8 network (%d kB, %s parameters) that knows %d kinds of clothing, on %s kernels, %d threads.\n",
		r.ModelBytes/1000, countOf(int64(r.Parameters)), demo.Old, r.ISA, r.Threads)
	fmt.Fprintf(w, "It was shown %d images of two new kinds (%d each) and kept %d features of the old ones (%s).\n\n",
		r.Examples, demo.Each, r.Kept, byteCount(r.KeptBytes))
	if err := c.draw(w, r.Shown); err != nil {
		return err
	}
	tw := table(w)
	fmt.Fprintf(tw, "accuracy on %d test images\t%d old kinds\t2 new kinds\tall\n", r.TestImages, demo.Old)
	for _, row := range []struct {
		name string
		a    demo.Accuracy
	}{{"before", r.Before}, {"after", r.After}} {
		fmt.Fprintf(tw, "%s\t%.1f %%\t%.1f %%\t%.1f %%\n", row.name, 100*row.a.Old, 100*row.a.New, 100*row.a.All)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	bits := "the same bits as on every other CPU"
	if !r.SameBits {
		bits = "NOT the bits of other CPUs: this is a fault, please report it"
	}
	tw = table(w)
	row := func(key, format string, args ...any) { fmt.Fprintf(tw, "%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	row("load", "%s", nanos(r.LoadNS))
	row("one image", "%s, %s", nanos(r.ImageNS), bits)
	row("learning", "%s (features of the old examples %s, then %d heads of %d epochs, %d of them to judge)", nanos(r.LearnNS+r.FeatureNS), nanos(r.FeatureNS), demo.Folds+1, r.Epochs, demo.Folds)
	row("all", "%s", nanos(r.TotalNS))
	row("memory", "%s at the peak; learning planned for %s", byteCount(r.PeakRSS), byteCount(r.PeakBytes))
	row("delta", "%s: the base model is not changed", byteCount(r.DeltaBytes))
	row("kernels", "%s", strings.Join(slices.Compact(slices.Clone(r.Kernels)), "; "))
	if len(r.Saved) > 0 {
		row("saved", "%s", strings.Join(r.Saved, " "))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprint(w, "\nNext:\n")
	for _, s := range r.Next {
		fmt.Fprintf(w, "  %s\n", s)
	}
	return nil
}

// A canvas draws grey images: with 24 grey levels in half blocks on a
// terminal, else with letters.
type canvas struct {
	colour bool
	width  int // columns
}

func newCanvas(w io.Writer) canvas {
	c := canvas{width: 80}
	if f, ok := w.(*os.File); ok && isTerminal(w) {
		c.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			c.width = columns
		}
	}
	return c
}

// draw prints the images side by side, as many as fit, with what was said.
func (c canvas) draw(w io.Writer, shown []demo.Shown) error {
	sets, err := demo.Embedded()
	if err != nil {
		return err
	}
	const gap = 2
	perRow := max(1, min(len(shown), (c.width+gap)/(demo.Side+gap)))
	for row := range slices.Chunk(shown, perRow) {
		for y := 0; y < demo.Side; y += 2 {
			var line strings.Builder
			for i, s := range row {
				if i > 0 {
					line.WriteString(strings.Repeat(" ", gap))
				}
				pix := sets[0].Pixels[s.Index]
				c.line(&line, pix[y*demo.Side:][:demo.Side], pix[(y+1)*demo.Side:][:demo.Side])
			}
			fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		}
		for _, caption := range []func(demo.Shown) string{
			func(s demo.Shown) string { return s.Label },
			func(s demo.Shown) string { return "before: " + s.Before },
			func(s demo.Shown) string { return fmt.Sprintf("after: %s (%.2f)", s.After, s.Score) },
		} {
			var line strings.Builder
			for _, s := range row {
				fmt.Fprintf(&line, "%-*s", demo.Side+gap, caption(s))
			}
			fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		}
		fmt.Fprintln(w)
	}
	return nil
}

// line draws two rows of pixels in one line of text.
func (c canvas) line(b *strings.Builder, top, bottom []byte) {
	const letters = " .:-=+*#%@"
	// The 256-colour palette has 24 greys from 232 (almost black) on.
	grey := func(p byte) int { return 232 + int(p)*23/255 }
	for x := range top {
		if c.colour {
			fmt.Fprintf(b, "\x1b[38;5;%d;48;5;%dm▀", grey(top[x]), grey(bottom[x]))
		} else {
			b.WriteByte(letters[(int(top[x])+int(bottom[x]))*(len(letters)-1)/510])
		}
	}
	if c.colour {
		b.WriteString("\x1b[0m")
	}
}
