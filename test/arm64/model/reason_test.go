package model

import (
	"errors"
	"strings"
	"testing"
)

// LLVM's model of the Cortex-A53 writes results back in the order of the instructions,
// whatever they are: an addition waits for the multiply-add before it. The core does not,
// nor does the model of the Cortex-A55.
func TestWriteBackInOrder(t *testing.T) {
	if err := Installed(); errors.Is(err, ErrNoTool) {
		t.Skip("NOT CHECKED: ", err)
	}
	const add, fmla = 0x91000400, 0x4f911200 // add x0, x0, #1; fmla v0.4s, v16.4s, v17.s[0]
	var pairs []uint32
	for i := range uint32(4) {
		pairs = append(pairs, fmla|i, add|i<<5|i)
	}
	for core, want := range map[string]string{"cortex-a53": "write-back in order", "cortex-a55": "dispatch busy"} {
		costs, err := Analyze(core, [][]uint32{pairs})
		if err != nil {
			t.Fatal(err)
		}
		reasons, err := Reasons(core, [][]uint32{pairs}, costs)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: four pairs take %.1f cycles, limit %.1f: %s", core, costs[0].Cycles, costs[0].Limit, reasons[0])
		if !strings.Contains(reasons[0], want) {
			t.Errorf("%s: %q, want %q", core, reasons[0], want)
		}
	}
}

func TestReason(t *testing.T) {
	const waits = `
Total Cycles:      1000
uOps Per Cycle:    0.50
Dispatch Width:    3
  Resource Pressure       [ 2.00% ]
  - Register Dependencies [ 40.44% ]
  - Memory Dependencies   [ 0.00% ]
[# dispatched], [# cycles]
 0,              500  (50.0%)
`
	for _, c := range []struct {
		what, view string
		cost       Cost
		want       string
	}{
		{"operands", waits, Cost{Cycles: 10, Busy: 5}, "operands not ready 40 %"},
		{"a full pipe", waits, Cost{Cycles: 10, Busy: 9.9, Pipe: "V0"}, "pipe V0 busy 99 %"},
		{"full dispatch", strings.Replace(waits, "500  (", "10  (", 1), Cost{Cycles: 10}, "dispatch busy 99 %: 0.50 of 3 uOps a cycle"},
		{"nothing", "Total Cycles: 1000\n 0,  500 \n", Cost{Cycles: 10}, ""},
	} {
		if got := reason(c.view, c.cost, false); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
