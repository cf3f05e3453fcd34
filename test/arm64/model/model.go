// Package model says how many cycles a piece of arm64 machine code takes on a core: by
// llvm-mca, where LLVM has a scheduling model of the core, and of the Cortex-A53 by what others
// measured of its issue.
//
// Both assume that every load hits the first cache and that every branch is
// predicted. LLVM's models know the pipes, the latencies and, of the cores that issue in
// order, the order. Their cycles rank pieces of code; memory has to be added by the caller.
//
// LLVM's model of the Cortex-A53 is not asked: it lets no result overtake another, whatever
// unit makes it, so that an addition waits for the multiply-add before it, and gives the
// loops that XNNPACK schedules for this core 0.6 to 1.2 multiply-adds a cycle, where the core
// was measured to reach 4.
package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// ErrNoTool says that llvm-mca or llvm-mc is not installed.
var ErrNoTool = errors.New("llvm-mca and llvm-mc of LLVM 19 are not installed (Debian: llvm-19)")

// Tool names. Other versions of LLVM have other models, so 19 is asked for by name.
const (
	mcaTool = "llvm-mca-19"
	mcTool  = "llvm-mc-19"
)

// iterations of a block in one analysis: enough for its first passage not to count.
const iterations = 300

// Cores are the cores that loops are judged by. LLVM 19 gives the Cortex-A76 the
// pipes of the A72; the Neoverse N1 is the same core as the A76 and has a model of its
// own. The Neoverse N2 stands for the cores that have i8mm.
var Cores = []string{"cortex-a53", "cortex-a55", "cortex-a72", "neoverse-n1", "neoverse-n2"}

// Cost is what the model says of a block that is repeated without end.
type Cost struct {
	Cycles float64 // of one passage
	Limit  float64 // cycles below which the pipes or the width of the core do not let it fall
	Pipe   string  // the busiest pipe
	Busy   float64 // cycles of that pipe in one passage
	MACs   int     // multiply-accumulates in one passage
	Peak   float64 // MACs a cycle of a core that does nothing else; 0 without MACs
}

// Share is how much of the limit the block reaches.
func (c Cost) Share() float64 { return c.Limit / c.Cycles }

// Installed returns ErrNoTool if a tool is missing.
func Installed() error {
	for _, tool := range []string{mcaTool, mcTool} {
		if _, err := exec.LookPath(tool); err != nil {
			return ErrNoTool
		}
	}
	return nil
}

// Disassemble returns one line of assembly for every instruction.
func Disassemble(words []uint32) ([]string, error) {
	var in bytes.Buffer
	for _, w := range words {
		fmt.Fprintf(&in, "%#x %#x %#x %#x\n", byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	out, err := run(&in, mcTool, "--disassemble", "-triple=aarch64", "-mattr=+all")
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && line != ".text" {
			lines = append(lines, line)
		}
	}
	if len(lines) != len(words) {
		return nil, fmt.Errorf("%s printed %d lines for %d instructions", mcTool, len(lines), len(words))
	}
	return lines, nil
}

// branchOver is b #4. It stands for calls and returns, to which llvm-mca gives 100 cycles.
const branchOver = 0x14000001

// leaves says whether an instruction is bl, br, blr or ret; Arm ARM (DDI 0487), C4.1.93.
func leaves(w uint32) bool { return w&0xfc000000 == 0x94000000 || w&0xff9ffc1f == 0xd61f0000 }

// Analyze returns the cost of each block on a core.
func Analyze(core string, blocks [][]uint32) ([]Cost, error) {
	if len(blocks) == 0 {
		return nil, nil
	}
	if core == byIssue {
		costs := make([]Cost, len(blocks))
		for i, b := range blocks {
			costs[i] = issue(core, b)
		}
		return costs, nil
	}
	out, err := analyze(core, blocks, "-json")
	if err != nil {
		return nil, err
	}
	var report report
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("%s: %w", mcaTool, err)
	}
	if len(report.CodeRegions) != len(blocks) {
		return nil, fmt.Errorf("%s reported %d blocks of %d", mcaTool, len(report.CodeRegions), len(blocks))
	}
	costs := make([]Cost, len(blocks))
	for i, r := range report.CodeRegions {
		costs[i] = r.cost(blocks[i], report.TargetInfo.Resources)
	}
	return costs, nil
}

// analyze gives blocks to llvm-mca, each as a region, and returns what it prints.
func analyze(core string, blocks [][]uint32, args ...string) ([]byte, error) {
	var all []uint32
	for _, b := range blocks {
		for _, w := range b {
			if leaves(w) {
				w = branchOver
			}
			all = append(all, w)
		}
	}
	lines, err := Disassemble(all)
	if err != nil {
		return nil, err
	}
	var in bytes.Buffer
	for i, b := range blocks {
		fmt.Fprintf(&in, "# LLVM-MCA-BEGIN %d\n%s\n# LLVM-MCA-END\n", i, strings.Join(lines[:len(b)], "\n"))
		lines = lines[len(b):]
	}
	return run(&in, mcaTool, append(args, "-mtriple=aarch64", "-mcpu="+core, "-mattr=+dotprod,+fullfp16,+i8mm,+bf16,+lse",
		fmt.Sprintf("-iterations=%d", iterations), "-skip-unsupported-instructions=lack-sched")...)
}

// report is what is used of llvm-mca's JSON.
type report struct {
	CodeRegions []region
	TargetInfo  struct{ Resources []string }
}

// pipeName spells the number of a pipe among its likes, which the report has as a byte.
func pipeName(s string) string {
	if unit, number, ok := strings.Cut(s, "."); ok && len(number) == 1 {
		return fmt.Sprintf("%s%d", unit, number[0])
	}
	return s
}

// vectorPipes are the two pipes of the out-of-order cores on which all vector operations run.
var vectorPipes = []string{"A57UnitW", "A57UnitX", "N1UnitV0", "N1UnitV1", "N2UnitV0", "N2UnitV1"}

type region struct {
	InstructionInfoView struct {
		InstructionList []struct{ RThroughput float64 }
	}
	ResourcePressureView struct {
		ResourcePressureInfo []struct {
			InstructionIndex, ResourceIndex int
			ResourceUsage                   float64
		}
	}
	SummaryView struct {
		BlockRThroughput, TotalCycles float64
	}
}

func (r *region) cost(block []uint32, pipes []string) Cost {
	c := Cost{Cycles: r.SummaryView.TotalCycles / iterations, Limit: r.SummaryView.BlockRThroughput}
	// The row behind the last instruction is the sum of all.
	var vector float64
	for _, p := range r.ResourcePressureView.ResourcePressureInfo {
		if p.InstructionIndex != len(block) {
			continue
		}
		name := pipeName(pipes[p.ResourceIndex])
		if p.ResourceUsage > c.Busy {
			c.Pipe, c.Busy = name, p.ResourceUsage
		}
		if slices.Contains(vectorPipes, name) {
			vector += p.ResourceUsage
		}
	}
	// BlockRThroughput looks at each pipe, and at each group of pipes that an operation
	// may choose from, alone: not at what is bound to one pipe and what may choose together.
	c.Limit = max(c.Limit, vector/2)
	var alone float64
	for i, w := range block {
		if n := MACs(w); n > 0 {
			c.MACs += n
			alone += r.InstructionInfoView.InstructionList[i].RThroughput
		}
	}
	if alone > 0 {
		c.Peak = float64(c.MACs) / alone
	}
	return c
}

// multiplies are the instructions of the vector unit that multiply and accumulate, or
// whose products are accumulated by others (SMULL, UMULL); Arm ARM (DDI 0487), C4.1.
var multiplies = []struct {
	mask, word uint32
	macs       int
}{
	{0xffe0fc00, 0x4e809400, 16}, // sdot 4s
	{0xffc0f400, 0x4f80e000, 16}, // sdot 4s by element
	{0xffe0fc00, 0x6e809400, 16}, // udot 4s
	{0xffc0f400, 0x6f80e000, 16}, // udot 4s by element
	{0xffe0fc00, 0x4e80a400, 32}, // smmla
	{0xbfe0fc00, 0x0e20c000, 8},  // smull, smull2 8h
	{0xbfe0fc00, 0x0e208000, 8},  // smlal, smlal2 8h
	{0xbfe0fc00, 0x2e20c000, 8},  // umull, umull2 8h
	{0xbfe0fc00, 0x2e208000, 8},  // umlal, umlal2 8h
	{0xbfe0fc00, 0x0e60c000, 4},  // smull, smull2 4s
	{0xbfe0fc00, 0x0e608000, 4},  // smlal, smlal2 4s
	{0xbfc0f400, 0x0f402000, 4},  // smlal, smlal2 4s by element
	{0xbfc0f400, 0x0f40a000, 4},  // smull, smull2 4s by element
	{0xffe0fc00, 0x4e20cc00, 4},  // fmla 4s
	{0xffc0f400, 0x4f801000, 4},  // fmla 4s by element
	{0xffe0fc00, 0x4e400c00, 8},  // fmla 8h
	{0xffc0f400, 0x4f001000, 8},  // fmla 8h by element
	{0xffe0fc00, 0x0e20cc00, 2},  // fmla 2s
	{0xffe08000, 0x1f000000, 1},  // fmadd s
}

// MACs returns how many multiply-accumulates an instruction does.
func MACs(word uint32) int {
	for _, m := range multiplies {
		if word&m.mask == m.word {
			return m.macs
		}
	}
	return 0
}

func run(in *bytes.Buffer, name string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stderr = in, &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, ErrNoTool
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
