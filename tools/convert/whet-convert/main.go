// Command whet-convert turns a model of another framework into a .whet file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/tools/convert"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError marks an error in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	// Trying ways to quantize leaves copies of the model behind that are as large
	// as it is: collecting them early costs a tenth of the time and saves a
	// third of the memory.
	debug.SetGCPercent(40)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := command(stdout, stderr)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		if werr := writeJSON(stdout, failure(err)); werr != nil {
			fmt.Fprintln(stderr, "whet-convert:", werr)
		}
	}
	fmt.Fprintln(stderr, "whet-convert:", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, "Type whet-convert --help for the flags.")
		return exitUsage
	}
	return exitFailed
}

// report is what --json prints after a conversion.
type report struct {
	Output      string   `json:"output"`
	Bytes       int64    `json:"bytes"`
	Source      string   `json:"source"`
	SourceBytes int64    `json:"source_bytes"`
	SourceHash  string   `json:"source_sha256"`
	Nodes       int      `json:"nodes"`
	Tensors     int      `json:"tensors"`
	States      int      `json:"states"`
	WeightBytes int64    `json:"weight_bytes"`
	Labels      int      `json:"labels"`
	Inputs      []tensor `json:"inputs"`
	Outputs     []tensor `json:"outputs"`

	Scheme       string        `json:"quantize"`
	Quantization *quant.Report `json:"quantization,omitempty"`

	Pruned []quant.Pruned `json:"pruned,omitempty"`
	Stream *streamReport  `json:"stream,omitempty"`

	Checked []difference `json:"check,omitempty"`
}

type tensor struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
}

// failureReport is what --json prints after a failure.
type failureReport struct {
	Error       string        `json:"error"`
	Unsupported []unsupported `json:"unsupported,omitempty"`
}

type unsupported struct {
	Op     string `json:"op"`
	Node   int    `json:"node"`
	Output string `json:"output"`
	Reason string `json:"reason"`
}

func failure(err error) failureReport {
	r := failureReport{Error: err.Error()}
	if u, ok := errors.AsType[*convert.UnsupportedError](err); ok {
		for _, o := range u.Ops {
			r.Unsupported = append(r.Unsupported, unsupported{o.Op, o.Node, o.Output, o.Reason})
		}
	}
	return r
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// command is the program's one command.
func command(stdout, stderr io.Writer) *cobra.Command {
	var o options
	var listOps, coverage bool
	cmd := &cobra.Command{
		Use:   "whet-convert IN -o OUT.whet",
		Short: "Turn a model of another framework into a .whet file",
		Long: `whet-convert turns a model of TensorFlow Lite, ONNX or Keras (.tflite, .onnx, .keras, .h5) or plain
weights (.safetensors) into a .whet file, and quantizes it where asked to; then a float .whet will do
as the source, too.

The output is written whole or not at all. Exit codes: 0 done, 1 failed, 2 wrong usage.`,
		Example: `  whet-convert mobilenet_v2.tflite -o mobilenet_v2.whet --labels labels.txt
  whet-convert person.tflite -o person.whet --image mean=127.5,scale=0.0078431,size=96x96
  whet-convert denoise.onnx -o denoise.whet --dim x[2]=16000 --stream x[2]=160
  whet-convert person.tflite -o person8.whet --image scale=0.0039216 --quantize int8 --calibrate photos --report person8.html`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case listOps || coverage:
				return nil
			case len(args) != 1:
				return usageError{fmt.Errorf("%d input files: give one", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if listOps {
				return printOps(stdout, o.json)
			}
			if coverage {
				return printCoverage(stdout, o.json)
			}
			o.in = args[0]
			r, err := o.convert(cmd.Context(), stderr)
			if err != nil {
				return err
			}
			return r.print(stdout, o.json)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.out, "output", "o", "", "the .whet file to write (required)")
	f.StringVar(&o.stream.spec, "stream", "", "INPUT[AXIS]=FRAMES turns a network over a whole sequence into one that takes it in chunks of so many frames, and checks that it gives the same; the source's size of that axis (--dim) must be some chunks long")
	q := &o.quantize
	f.StringVar(&q.scheme, "quantize", "none", about())
	f.IntVar(&q.block, "block", 32, "weights that share a scale in int4 and int8-weights: 32, 64 or 128")
	f.StringVar(&q.calibrate, "calibrate", "", "samples that the model is observed on: a folder of samples or of DIR/<label>/<files>, a .csv, or an .npz with x (and y), or with an array for each input; int4 and int8-weights do without, but round better with them")
	f.IntVar(&q.samples, "samples", 256, "take at most this many of them, evenly spread")
	f.StringVar(&q.method, "method", "auto", "how int8 chooses ranges: minmax, average, percentile, mse, entropy; auto measures which is the best")
	f.BoolVar(&q.repair, "repair", true, "equalize channels and correct biases where that brings int8 nearer to float")
	f.StringVar(&q.fallback, "fallback", "float32", "what the layers compute in that --max-drop keeps out of int8: float32, or int16 with int8 weights")
	f.StringVar(&q.maxDrop, "max-drop", "", "keep the fewest layers out of int8 with which the outputs' signal-to-noise ratio stays above (26dB), or accuracy falls by at most (0.005 or 0.5%) on the samples; without labels the float model's answers count as right")
	f.StringVar(&q.report, "report", "", "write what became of each node and where int8 loses what: a page, or JSON to a name that ends in .json")
	f.BoolVar(&q.strict, "strict-int8", false, "fail, naming the node, unless the result is int8 end to end")
	q.train.register(f)
	f.StringVar(&o.labels, "labels", "", "text file with the names of the classes, one a line")
	f.StringVar(&o.image, "image", "", "how a picture becomes the input: comma-separated mean=M, scale=S (real value = (pixel-mean)*scale; R/G/B for each channel), size=HxW, fit=stretch|crop|pad|corner, filter=bilinear|antialias, order=rgb|bgr|gray; none removes the steps that the source describes")
	f.StringVar(&o.title, "name", "", "title of the model for its card")
	f.StringVar(&o.description, "description", "", "description for its card")
	f.StringVar(&o.license, "license", "", "licence for its card")
	f.StringVar(&o.author, "author", "", "author for its card")
	o.describe.register(f)
	o.source.register(f)
	o.compare.add(f)
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVar(&listOps, "list-ops", false, "print the operators and layers that can be converted, and stop")
	f.BoolVar(&coverage, "coverage", false, "print all operators and layers with whether they can be converted, or why not, and stop")
	return cmd
}

func printOps(w io.Writer, asJSON bool) error {
	ops := convert.Operators()
	if asJSON {
		return writeJSON(w, ops)
	}
	for _, source := range slices.Sorted(maps.Keys(ops)) {
		for _, op := range ops[source] {
			if _, err := fmt.Fprintln(w, source, op); err != nil {
				return err
			}
		}
	}
	return nil
}

// printCoverage writes a Markdown table, which renders as a page.
func printCoverage(w io.Writer, asJSON bool) error {
	list := convert.Coverage()
	if asJSON {
		return writeJSON(w, list)
	}
	var b strings.Builder
	yes, all := map[string]int{}, map[string]int{}
	for _, o := range list {
		status := "yes"
		if o.Reason != "" {
			status = "no: " + o.Reason
		} else {
			yes[o.Source]++
		}
		if all[o.Source]++; all[o.Source] == 1 {
			fmt.Fprintf(&b, "\n| %s | converted |\n|---|---|\n", o.Source)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", o.Name, status)
	}
	for _, source := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "\n%s: %d of %d\n", source, yes[source], all[source])
	}
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, r)
	}
	if _, err := fmt.Fprintf(w, "%s: %d nodes, %d weight bytes, %d bytes in all (source: %d)\n",
		r.Output, r.Nodes, r.WeightBytes, r.Bytes, r.SourceBytes); err != nil {
		return err
	}
	if err := r.Stream.print(w); err != nil {
		return err
	}
	if err := printChecked(w, r.Checked); err != nil {
		return err
	}
	if err := printPruned(w, r.Pruned); err != nil || r.Quantization == nil {
		return err
	}
	return printQuantization(w, r.Scheme, r.Quantization)
}
