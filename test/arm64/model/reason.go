package model

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// saturated is the share of the cycles from which on a pipe, or the front end of the
// core, counts as full.
const saturated = 0.95

// counts is the least share of the cycles that makes a stall worth naming.
const counts = 0.05

// Reasons returns, for each block, what llvm-mca's report says keeps it above its limit,
// or "" where the report names nothing. The costs are those that Analyze gave.
//
// A pipe that is busy all the time comes first: the limit takes every micro-operation to
// go to the best pipe, the model's scheduler and the core's do not. Then the width of the
// dispatch, which cannot split an instruction of several micro-operations. Then the share
// of the cycles in which operations wait: for operands, for pipes, and, on cores that issue
// in order, for the instruction before them to be written back. Of the Cortex-A53 it names
// what issues alone.
func Reasons(core string, blocks [][]uint32, costs []Cost) ([]string, error) {
	if len(blocks) == 0 {
		return nil, nil
	}
	if core == byIssue {
		reasons := make([]string, len(blocks))
		for i, b := range blocks {
			reasons[i] = issueReason(b, costs[i])
		}
		return reasons, nil
	}
	args := []string{"-dispatch-stats", "-resource-pressure=false", "-instruction-info=false"}
	if !inOrder(core) {
		args = append(args, "-bottleneck-analysis")
	}
	out, err := analyze(core, blocks, args...)
	if err != nil {
		return nil, err
	}
	views := strings.Split(string(out), "] Code Region - ")[1:]
	if len(views) != len(blocks) {
		return nil, fmt.Errorf("%s reported %d blocks of %d", mcaTool, len(views), len(blocks))
	}
	reasons := make([]string, len(blocks))
	for i, view := range views {
		reasons[i] = reason(view, costs[i], inOrder(core))
	}
	return reasons, nil
}

// inOrder says whether a core issues in order.
func inOrder(core string) bool {
	_, yes := inOrderCores[core]
	return yes
}

func reason(view string, c Cost, inOrder bool) string {
	if busy := c.Busy / c.Cycles; busy >= saturated {
		return fmt.Sprintf("pipe %s busy %.0f %%", c.Pipe, 100*busy)
	}
	cycles := number(view, `Total Cycles: +`)
	idle := number(view, `\n 0, +`) / cycles
	if width := number(view, `uOps Per Cycle: +`); idle <= 1-saturated {
		return fmt.Sprintf("dispatch busy %.0f %%: %.2f of %.0f uOps a cycle", 100*(1-idle), width, number(view, `Dispatch Width: +`))
	}
	type stall struct {
		share float64
		name  string
	}
	var stalls []stall
	if inOrder {
		operands, group := number(view, `RAT .*: +`)/cycles, number(view, `GROUP .*: +`)/cycles
		// The report has no counter for results that wait to be written in order; they are
		// the cycles without dispatch that the others do not explain.
		stalls = []stall{
			{operands, "operands not ready"}, {group, "pipes taken"},
			{idle - operands - group, "write-back in order"},
		}
	} else {
		stalls = []stall{
			{number(view, `Register Dependencies +\[ `) / 100, "operands not ready"},
			{number(view, `Memory Dependencies +\[ `) / 100, "a load behind a store"},
			{number(view, `Resource Pressure +\[ `) / 100, "pipes taken"},
		}
	}
	var named []string
	for _, s := range stalls {
		if s.share >= counts {
			named = append(named, fmt.Sprintf("%s %.0f %%", s.name, 100*s.share))
		}
	}
	return strings.Join(named, ", ")
}

// number returns the number behind a pattern in a report, 0 if the report has none.
func number(view, pattern string) float64 {
	m := regexp.MustCompile(pattern + `([0-9.]+)`).FindStringSubmatch(view)
	if m == nil {
		return 0
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0
	}
	return f
}
