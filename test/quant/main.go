// Command quant quantizes real float models and compares the result with the
// float model and, where the same network was published quantized by
// TensorFlow, with that one.
//
//	go run ./test/quant --material DIR [--model NAME] [--models DIR] [--peers DIR] [--imagenet DIR] [--json]
//
// Beside it stands plain int8: min-max ranges and no repair.
//
// peers.py adds LiteRT's and onnxruntime's own quantizers, fed with the same samples,
// and networks out of packages.
//
// With --imagenet the classifiers of ImageNet see a photograph of each of its classes, with
// which their accuracy is told too; without, other photographs, which show few of them.
//
// Calibration and evaluation samples are disjoint. The published int8 models
// run here too: the runtime gives their own runtime's results to the last bit
// or the one before. The exit code is 1 if an int8 model loses more than half a
// point of accuracy, agrees with float on fewer than 98 % of the samples (all of them:
// the agreement where float is sure, by a tenth, only stands beside), or is
// farther from float than the published one by a paired 95 % interval.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/whet-edge/whet/test/photos"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("quant", flag.ContinueOnError)
	fs.SetOutput(stderr)
	material := fs.String("material", "", "folder with the models and data (required)")
	pictures := fs.String("photos", photos.Dir, "folder with gcompris-qt and tuxpaint, whose packages have photographs")
	classes := fs.String("imagenet", "", "folder with a photograph of each class of ImageNet, n01440764_tench.JPEG and so on, to show its classifiers instead")
	filter := fs.String("model", "", "only networks whose name contains this")
	exportTo := fs.String("export", "", "write the samples to this folder for other quantizers, and stop")
	models := fs.String("models", "", "folder with the models that peers.py makes of packages")
	peers := fs.String("peers", "", "folder with what other quantizers made of the exported samples")
	asJSON := fs.Bool("json", false, "print the table as JSON")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if *material == "" || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "quant: give --material DIR and no other arguments")
		return 2
	}
	from := folders{*material, *pictures, *classes}
	if *exportTo != "" {
		if err := export(from, *models, *exportTo, *filter); err != nil {
			fmt.Fprintln(stderr, "quant:", err)
			return 1
		}
		return 0
	}
	var rows []*result
	bad := false
	for _, n := range networks {
		if !strings.Contains(n.name, *filter) {
			continue
		}
		if _, err := os.Stat(n.path(*material, *models)); n.made && err != nil {
			fmt.Fprintf(stderr, "quant: %s: left out: %v (peers.py makes it; --models names its folder)\n", n.name, err)
			continue
		}
		r, err := n.measure(context.Background(), from, *models, *peers)
		if err != nil {
			fmt.Fprintf(stderr, "quant: %s: %v\n", n.name, err)
			return 1
		}
		rows = append(rows, r)
		for _, why := range r.Failed {
			fmt.Fprintf(stderr, "quant: %s: %s\n", n.name, why)
			bad = true
		}
	}
	if err := print(stdout, rows, *asJSON); err != nil {
		fmt.Fprintln(stderr, "quant:", err)
		return 1
	}
	if bad {
		return 1
	}
	return 0
}

func print(w io.Writer, rows []*result, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "network\tsamples\taccuracy: float\tint8\tpublished\tLiteRT\tORT\tdB: plain\tint8\tpublished\tLiteRT\tORT\tagreement: plain\tint8\tpublished\tLiteRT\tORT\twhere float is sure: int8\tof\tnoise less published's\tless LiteRT's\tless ORT's\tin float\tseconds")
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%d+%d\t%s", r.Name, r.Calibration, r.Samples, fraction(r.Float))
		models := []*score{&r.Plain, &r.Int8, r.Published, r.LiteRT, r.ORT}
		for _, s := range models[1:] {
			fmt.Fprint(tw, "\t", s.cell(func(s *score) string { return fraction(s.Accuracy) }))
		}
		for _, s := range models {
			fmt.Fprint(tw, "\t", s.cell(func(s *score) string { return fmt.Sprintf("%.1f", s.SQNR) }))
		}
		for _, s := range models {
			fmt.Fprint(tw, "\t", s.cell(func(s *score) string { return fmt.Sprintf("%.4f", s.Agreement) }))
		}
		fmt.Fprintf(tw, "\t%.4f\t%d", r.Int8.Sure, r.Int8.SureCount)
		fmt.Fprintf(tw, "\t%s\t%s\t%s\t%d\t%.1f\n", difference(r.Noise), difference(r.LiteRTNoise), difference(r.ORTNoise), len(r.FloatNodes), r.Seconds)
	}
	return tw.Flush()
}

func fraction(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", *v)
}
