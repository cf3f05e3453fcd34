// Train compares on-device training with PyTorch: the same initial weights, data
// and batch order, the same protocols, in one run.
//
//	go run ./test/train -python /usr/bin/python3 [-data /usr/share/datasets/fashion-mnist] [-work DIR] [-fsdd DIR] [-only REGEXP] [-seeds N] [-quick] [-json] [NAME ...]
//
//	  - parity: 500 steps of the head, the conv tail and all layers by SGD with momentum and by AdamW; loss curves
//	    and final accuracy, also beside PyTorch in float64;
//	  - speed: a training step on one core, whet and PyTorch in turns;
//	  - gate: 100 poisoned jobs, of which none may be published, and 100 honest ones (2 minutes; no PyTorch but for the base);
//	  - digits: a network of three speakers of spoken digits becomes the fourth's (10 minutes on one core; no PyTorch);
//	  - tables: domain shift and class growth by the same protocols as PyTorch (15 minutes);
//	  - memory: 30 jobs inside a control group of the planned size (20 seconds; root; no PyTorch).
//
// The Python needs torch (Debian: python3-torch). Without names it does all. The data is Fashion-MNIST, as the Debian package
// dataset-fashion-mnist has it. DIR keeps the trained base networks. The exit code
// is 1 if something misses its bound.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
)

// config is what the flags say.
type config struct {
	python, peer, data, work string
	fsdd                     string
	seeds                    int
	quick                    bool // a part of it, for CI

	only *regexp.Regexp // cases of speed and parity
}

// a check is one measured figure and its bound.
type check struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Bound  float64 `json:"bound"`
	Passed bool    `json:"passed"`
}

func atMost(name string, v, bound float64) check  { return check{name, v, bound, v <= bound} }
func atLeast(name string, v, bound float64) check { return check{name, v, bound, v >= bound} }

func main() {
	var c config
	flag.StringVar(&c.python, "python", "python3", "a Python with torch")
	flag.StringVar(&c.peer, "peer", "test/train/peer.py", "the PyTorch side")
	flag.StringVar(&c.data, "data", "/usr/share/datasets/fashion-mnist", "folder with Fashion-MNIST")
	flag.StringVar(&c.work, "work", filepath.Join(os.TempDir(), "whet-train"), "folder for base networks and exchange")
	flag.StringVar(&c.fsdd, "fsdd", "", "folder with the recordings of the Free Spoken Digit Dataset")
	flag.IntVar(&c.seeds, "seeds", 5, "seeds of digits and tables, which choose the samples")
	flag.BoolVar(&c.quick, "quick", false, "digits: one speaker and fewer ways; tables: fewer cells")
	only := flag.String("only", "", "a regular expression of the cases of parity and speed, such as ^head")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	c.only = regexp.MustCompile(*only)
	ok, err := runAll(context.Background(), &c, flag.Args(), *asJSON)
	if err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

func runAll(ctx context.Context, c *config, names []string, asJSON bool) (ok bool, err error) {
	type part struct {
		name string
		run  func(ctx context.Context, c *config) ([]check, error)
	}
	parts := []part{{"parity", parity}, {"speed", speed}, {"gate", gate}, {"digits", spoken}, {"tables", tables}, {"memory", memory}}
	for _, n := range names {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == n }) {
			return false, fmt.Errorf("%q is unknown", n)
		}
	}
	if err := os.MkdirAll(c.work, 0o755); err != nil {
		return false, err
	}
	all := map[string][]check{}
	ok = true
	for _, p := range parts {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		list, err := p.run(ctx, c)
		if err != nil {
			return false, fmt.Errorf("%s: %w", p.name, err)
		}
		all[p.name] = list
		for _, k := range list {
			ok = ok && k.Passed
			if !asJSON {
				mark := "ok  "
				if !k.Passed {
					mark = "MISS"
				}
				fmt.Printf("%s %-58s %10.4g  bound %g\n", mark, k.Name, k.Value, k.Bound)
			}
		}
	}
	if asJSON {
		return ok, json.NewEncoder(os.Stdout).Encode(all)
	}
	return ok, nil
}

// run runs a command of the PyTorch side and returns what it printed.
func (c *config) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.python, append([]string{c.peer}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1")
	return cmd.Output()
}
