// Command onnx runs folders of ONNX node tests: every folder that holds a
// model.onnx and test_data_set_N folders with input_N.pb and output_N.pb.
//
//	go run ./test/onnx [--models] [--peer PYTHON] [--filter TEXT] [--all] [--json] DIR...
//
// A case passes if every output of every data set has the type and shape that is
// expected, equal integers and bools, and floats within 1e-3 relative and 1e-5
// absolute, the limits of ONNX's own runner. Where the shape of a result depends
// on an input, that input is made a constant of the case's value; the table says
// so. With --models, real models are compared with another runtime's vectors,
// within 1e-4. A case whose model cannot be converted is skipped with the reasons. Cases
// of training, texts, sequences, optional values and images are out of scope, by their
// names. With --peer, the same cases are run by onnxruntime in that Python, which needs
// the packages onnx and onnxruntime. The exit code is 1 if a case fails, or if the peer
// passes more of those in scope.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// report is the outcome for all cases.
type report struct {
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	Skipped int      `json:"skipped"`
	InScope int      `json:"in_scope"`        // cases
	Both    int      `json:"in_scope_passed"` // of them
	Peer    *peer    `json:"peer,omitempty"`
	Results []result `json:"results"`
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("onnx", flag.ContinueOnError)
	fs.SetOutput(stderr)
	golden := fs.Bool("models", false, "the folders hold models of any name, with vectors in golden/MODEL/in_CASE_INPUT.npy")
	python := fs.String("peer", "", "run the cases with onnxruntime too, in this Python")
	filter := fs.String("filter", "", "only cases whose name contains this")
	all := fs.Bool("all", false, "list the cases that pass, too")
	asJSON := fs.Bool("json", false, "print everything as JSON")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if fs.NArg() == 0 {
		fmt.Fprintln(stderr, "onnx: give one or more folders of node tests")
		return 2
	}
	rep, err := check(fs.Args(), *filter, *golden)
	if err != nil {
		fmt.Fprintln(stderr, "onnx:", err)
		return 1
	}
	if *python != "" {
		if rep.Peer, err = runPeer(*python, rep.Results, stderr); err != nil {
			fmt.Fprintln(stderr, "onnx:", err)
			return 1
		}
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(rep)
	} else {
		err = rep.table(stdout, *all)
	}
	if err != nil {
		fmt.Fprintln(stderr, "onnx:", err)
		return 1
	}
	if rep.Failed > 0 || rep.Peer != nil && rep.Peer.InScope > rep.Both {
		return 1
	}
	return 0
}

func check(dirs []string, filter string, golden bool) (*report, error) {
	rep, list := &report{}, find
	if golden {
		list = models
	}
	for _, dir := range dirs {
		cases, err := list(dir)
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			if !strings.Contains(c.name, filter) {
				continue
			}
			r := c.check()
			r.dir, r.Scope = filepath.Dir(c.model), outOfScope(c.name)
			rep.Results = append(rep.Results, r)
			if r.Scope == "" {
				rep.InScope++
				if r.Verdict == pass {
					rep.Both++
				}
			}
			switch r.Verdict {
			case pass:
				rep.Passed++
			case fail:
				rep.Failed++
			default:
				rep.Skipped++
			}
		}
	}
	if len(rep.Results) == 0 {
		return nil, fmt.Errorf("%s: no case whose name contains %q", strings.Join(dirs, ", "), filter)
	}
	return rep, nil
}

func (r *report) table(w io.Writer, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\tverdict\treason")
	why := map[string]int{}
	for _, l := range r.Results {
		reason := l.Reason
		if len(l.Fixed) > 0 {
			reason = strings.TrimSpace(reason + " [constant: " + strings.Join(l.Fixed, ", ") + "]")
		}
		for _, op := range l.Ops {
			why[op]++
		}
		if l.Verdict == pass && !all {
			continue
		}
		if l.Scope != "" {
			reason = "out of scope: " + l.Scope
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.Name, l.Verdict, reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var ops []string
	for op, n := range why {
		ops = append(ops, fmt.Sprintf("%s %d", op, n))
	}
	slices.Sort(ops)
	if len(ops) > 0 {
		fmt.Fprintf(w, "\nskipped for: %s\n", strings.Join(ops, ", "))
	}
	_, err := fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n%d of %d in scope passed (%.1f %%)\n", r.Passed, r.Failed, r.Skipped,
		r.Both, r.InScope, 100*float64(r.Both)/float64(max(r.InScope, 1)))
	if p := r.Peer; p != nil && err == nil {
		_, err = fmt.Fprintf(w, "onnxruntime %s: %d of %d in scope passed, %d of all\n", p.Version, p.InScope, r.InScope, p.Passed)
	}
	return err
}
