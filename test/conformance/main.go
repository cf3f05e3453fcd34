// Command conformance converts real models, runs them, and compares what they
// give with what other runtimes gave for the same inputs.
//
//	go run ./test/conformance --material DIR [--vectors DIR] [--isa LEVEL] [--threads N] [--digest] [--json]
//
// DIR holds .tflite, .h5 and .keras files and, in golden/, vectors for them.
// Vectors for the models that lack them are made by litert_golden.py and
// keras_golden.py into a folder of their own, which --vectors names. The exit code is 1 if anything differs by more
// than its type allows, or a model does not convert or run.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/whet-edge/whet/kernels"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// config is what the flags say.
type config struct {
	material, vectors, filter, isa string
	threads                        int
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("conformance", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var c config
	fs.StringVar(&c.material, "material", "", "folder with the models (required)")
	fs.StringVar(&c.vectors, "vectors", "", "folder with more vectors, as litert_golden.py and keras_golden.py write it with --out")
	fs.StringVar(&c.filter, "model", "", "only models whose path contains this")
	fs.StringVar(&c.isa, "isa", "", "level of the kernels; default: the best that this machine has")
	fs.IntVar(&c.threads, "threads", 1, "threads of a session")
	digest := fs.Bool("digest", false, "print a hash of each model's outputs, and of all of them")
	asJSON := fs.Bool("json", false, "print everything as JSON")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if c.material == "" || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "conformance: give --material DIR and no other arguments")
		return 2
	}
	rep, err := c.report(context.Background())
	if err != nil {
		fmt.Fprintln(stderr, "conformance:", err)
		return 1
	}
	switch {
	case *asJSON:
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(rep)
	case *digest:
		err = rep.digests(stdout)
	default:
		err = rep.table(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "conformance:", err)
		return 1
	}
	if rep.Failed > 0 {
		return 1
	}
	return 0
}

// report is the outcome for all models.
type report struct {
	Level   string   `json:"isa"`
	Threads int      `json:"threads"`
	Models  int      `json:"models"`
	Passed  int      `json:"passed"`     // lines that were compared and agree
	Failed  int      `json:"failed"`     // lines that do not
	Open    int      `json:"no_vectors"` // lines without a vector
	Digest  string   `json:"digest"`
	Results []result `json:"results"`
}

func (c *config) report(ctx context.Context) (*report, error) {
	if err := kernels.Err(); err != nil {
		return nil, err
	}
	level := kernels.Best()
	if c.isa != "" {
		var err error
		if level, err = kernels.ParseLevel(c.isa); err != nil {
			return nil, err
		}
	}
	folders := []string{c.material}
	if c.vectors != "" {
		folders = append(folders, c.vectors)
	}
	models, err := findModels(folders, c.filter)
	if err != nil {
		return nil, err
	}
	r := &runner{level: level, threads: c.threads, digest: sha256.New()}
	rep := &report{Level: level.String(), Threads: c.threads, Models: len(models)}
	for _, m := range models {
		rep.Results = append(rep.Results, r.check(ctx, m)...)
	}
	for _, l := range rep.Results {
		switch {
		case !l.Pass:
			rep.Failed++
		case l.Elems == 0:
			rep.Open++
		default:
			rep.Passed++
		}
	}
	rep.Digest = hex.EncodeToString(r.digest.Sum(nil))
	return rep, nil
}

func (r *report) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "model\tcase\toutput\ttype\tmax diff\trel error\tbit-exact\tverdict")
	for _, l := range r.Results {
		name := l.Output
		if len(name) > 24 {
			name = "…" + name[len(name)-23:]
		}
		diff, rel := fmt.Sprintf("%.3g", l.MaxDiff), "-"
		if l.RelErr > 0 || l.Type == "float32" {
			rel = fmt.Sprintf("%.2g", l.RelErr)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d/%d\t%s\n", l.Model, l.Case, name, l.Type, diff, rel, l.Exact, l.Elems, l.Verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d models, isa %s, %d threads: %d passed, %d failed, %d without vectors\n",
		r.Models, r.Level, r.Threads, r.Passed, r.Failed, r.Open)
	return err
}

// digests prints the hashes in the manner of sha256sum, so that two runs can
// be compared with diff. It names neither level nor threads: they must not
// matter.
func (r *report) digests(w io.Writer) error {
	for _, l := range r.Results {
		if l.Digest == "" && l.Pass {
			continue
		}
		d := l.Digest
		if d == "" {
			d = l.Verdict
		}
		if _, err := fmt.Fprintf(w, "%s  %s\n", d, l.Model); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s  all\n", r.Digest)
	return err
}
