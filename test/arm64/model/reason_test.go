package model

import (
	"errors"
	"strings"
	"testing"
)

func TestReasons(t *testing.T) {
	if err := Installed(); errors.Is(err, ErrNoTool) {
		t.Skip("NOT CHECKED: ", err)
	}
	const fmla, ldrQ = 0x4f911200, 0x3dc00020 // fmla v0.4s, v16.4s, v17.s[0]; ldr q0, [x1]
	blocks := [][]uint32{{fmla, fmla | 1, fmla | 2, fmla | 3, ldrQ}}
	for core, want := range map[string]string{
		"cortex-a53": "of 7 cycles vectors are loaded in 2, stored in 0",
		"cortex-a55": "operands not ready",
		"cortex-a72": "pipe A57UnitW busy",
	} {
		costs, err := Analyze(core, blocks)
		if err != nil {
			t.Fatal(err)
		}
		reasons, err := Reasons(core, blocks, costs)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f cycles, limit %.1f: %s", core, costs[0].Cycles, costs[0].Limit, reasons[0])
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
