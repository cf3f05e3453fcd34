// Mca shows how close the arm64 kernels come to what a core's pipes allow, without the
// core: it takes the inner loop of every kernel out of the built program and gives it
// to llvm-mca.
//
//	go run ./test/arm64/mca [--json] [--kernel NAME] [--record FILE] [PROGRAM]
//
// PROGRAM is an arm64 program that has the kernels; without it, whet is built. With
// --kernel the loop of one kernel is printed with its disassembly.
//
// A loop is asked to reach 90 % of its limit on a core that issues out of order, 80 % on
// one that does not, or to have a reason in llvm-mca's report; the last column gives it.
// The exit status is 1 if one has neither, or takes longer than recorded.txt says. With
// --record the cycles are written to FILE instead, which is recorded.txt after a change
// that is meant.
//
// The Cortex-A53's cycles are not llvm-mca's but those in which it issues the loop, by what
// others measured on boards, if no operand is late (package model); latencies show in the
// Cortex-A55's. To that one LLVM gives two FMLA of 128 bits a cycle, where it has one.
//
// Columns: cycles of one passage of the loop; multiply-accumulates a cycle, and what
// the multiplier reaches if nothing else runs; the limit, the cycles below which the
// pipes or the issue width do not let the loop fall, and the share of it that is
// reached; the busiest pipe and its cycles.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/whet-edge/whet/test/arm64/model"
)

func main() {
	asJSON := flag.Bool("json", false, "print JSON")
	kernel := flag.String("kernel", "", "print the loop of this kernel")
	record := flag.String("record", "", "write the cycles to this file instead of comparing them")
	flag.Parse()
	if err := run(os.Stdout, flag.Arg(0), *kernel, *record, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "mca:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, program, kernel, record string, asJSON bool) error {
	if err := model.Installed(); err != nil {
		return err
	}
	if program == "" {
		dir, err := os.MkdirTemp("", "mca")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if program, err = build(dir); err != nil {
			return err
		}
	}
	loops, err := readLoops(program)
	if err != nil {
		return err
	}
	if kernel != "" {
		return printLoop(w, loops, kernel)
	}
	rows, err := measure(loops)
	if err != nil {
		return err
	}
	if record != "" {
		var file bytes.Buffer
		if err := writeRecord(&file, rows); err != nil {
			return err
		}
		return os.WriteFile(record, file.Bytes(), 0o644)
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		err = enc.Encode(rows)
	} else {
		err = printRows(w, rows)
	}
	if err != nil {
		return err
	}
	return check(rows, recorded)
}

// build makes whet for arm64 in dir.
func build(dir string) (string, error) {
	program := filepath.Join(dir, "whet-arm64")
	cmd := exec.Command("go", "build", "-o", program, "github.com/whet-edge/whet/board/whet")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
}

// A row is one loop on one core.
type row struct {
	Kernel       string  `json:"kernel"`
	Core         string  `json:"core"`
	Instructions int     `json:"instructions"`
	Cycles       float64 `json:"cycles"`
	MACs         int     `json:"macs"`
	MACsPerCycle float64 `json:"macs_per_cycle"`
	Peak         float64 `json:"macs_per_cycle_peak"`
	Limit        float64 `json:"limit_cycles"`
	Share        float64 `json:"share_of_limit"`
	Pipe         string  `json:"busiest_pipe"`
	Busy         float64 `json:"busiest_pipe_cycles"`
	Asked        float64 `json:"asked_share"`
	Reason       string  `json:"reason,omitempty"` // of a share below the asked one
}

// asked is the share of its limit that a loop has to reach on a core, or to have a reason.
func asked(core string) float64 {
	if core == "cortex-a53" || core == "cortex-a55" {
		return 0.8
	}
	return 0.9
}

// cores returns the cores on which a kernel can run.
func cores(kernel string) []string {
	switch {
	case strings.HasSuffix(kernel, "I8MM"):
		return []string{"neoverse-n2"}
	case strings.HasSuffix(kernel, "Dotprod"):
		return []string{"cortex-a55", "neoverse-n1"}
	}
	return []string{"cortex-a53", "cortex-a55", "cortex-a72", "neoverse-n1"}
}

// measure gives the rows by kernel, then core.
func measure(loops []loop) ([]row, error) {
	rows := map[string][]row{}
	for _, core := range model.Cores {
		var on []loop
		var blocks [][]uint32
		for _, l := range loops {
			for _, c := range cores(l.kernel) {
				if c == core {
					on = append(on, l)
					blocks = append(blocks, l.words)
				}
			}
		}
		costs, err := model.Analyze(core, blocks)
		if err != nil {
			return nil, err
		}
		reasons, err := model.Reasons(core, blocks, costs)
		if err != nil {
			return nil, err
		}
		for i, c := range costs {
			if c.Share() >= asked(core) {
				reasons[i] = ""
			}
			rows[on[i].kernel] = append(rows[on[i].kernel], row{
				Kernel: on[i].kernel, Core: core, Instructions: len(on[i].words),
				Cycles: c.Cycles, MACs: c.MACs, MACsPerCycle: float64(c.MACs) / c.Cycles, Peak: c.Peak,
				Limit: c.Limit, Share: c.Share(), Pipe: c.Pipe, Busy: c.Busy, Asked: asked(core), Reason: reasons[i],
			})
		}
	}
	var all []row
	for _, l := range loops {
		all = append(all, rows[l.kernel]...)
	}
	return all, nil
}

func printRows(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "kernel\tcore\tinstructions\tcycles\tMAC/cycle\tpeak\tlimit\tshare\tbusiest pipe\twhy below the asked share")
	for _, r := range rows {
		macs, peak := "-", "-"
		if r.MACs > 0 {
			macs, peak = fmt.Sprintf("%.2f", r.MACsPerCycle), fmt.Sprintf("%.1f", r.Peak)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.1f\t%s\t%s\t%.1f\t%.0f %%\t%s %.1f\t%s\n",
			r.Kernel, r.Core, r.Instructions, r.Cycles, macs, peak, r.Limit, 100*r.Share, r.Pipe, r.Busy, r.Reason)
	}
	return t.Flush()
}

func printLoop(w io.Writer, loops []loop, kernel string) error {
	for _, l := range loops {
		if l.kernel != kernel {
			continue
		}
		lines, err := model.Disassemble(l.words)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(w, strings.Join(lines, "\n"))
		return err
	}
	return errors.New("no kernel is called " + kernel)
}
