package main

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/whet-edge/whet/test/arm64/model"
)

func TestBranch(t *testing.T) {
	for _, c := range []struct {
		text  string
		word  uint32
		jumps int
	}{
		{"b.ne #-64", 0x54fffe01, -16},
		{"b.ge #16", 0x5400008a, 4},
		{"cbnz x11, #-8", 0xb5ffffcb, -2},
		{"tbz w12, #2, #12", 0x3610006c, 3},
		{"tbnz w23, #3, #-4", 0x371ffff7, -1},
		{"b #-8", 0x17fffffe, -2},
		{"bl #-8", 0x97fffffe, 0},
		{"add x3, x3, #128", 0x91020063, 0},
	} {
		if got := branch(c.word); got != c.jumps {
			t.Errorf("%s: jumps %d instructions, want %d", c.text, got, c.jumps)
		}
	}
}

func TestInnerLoop(t *testing.T) {
	const fmla, add, back1, back2, back3, back7 = 0x4e30ce00, 0x91020063, 0x54ffffe1, 0x54ffffc1, 0x54ffffa1, 0x54ffff21
	if model.MACs(fmla) != 4 || model.MACs(add) != 0 {
		t.Fatal("fmla and add are not told apart")
	}
	// An outer loop, in it one of two additions and a shorter one that multiplies.
	code := []uint32{add, add, add, back2, fmla, back1, add, back7}
	if got := innerLoop(code); !slices.Equal(got, code[4:6]) {
		t.Errorf("loop %#x, want the one that multiplies", got)
	}
	// Without products the longer one.
	code = []uint32{add, back1, add, add, add, back3}
	if got := innerLoop(code); !slices.Equal(got, code[2:6]) {
		t.Errorf("loop %#x, want the longer one", got)
	}
	if got := innerLoop([]uint32{add, fmla}); got != nil {
		t.Errorf("loop %#x in code without a branch", got)
	}
}

func TestCheck(t *testing.T) {
	fine := row{Kernel: "Gemm", Core: "cortex-a72", Cycles: 64, Share: 0.95, Asked: 0.9}
	below, named, slow, other := fine, fine, fine, fine
	below.Share = 0.5
	named.Share, named.Reason = 0.5, "operands not ready 40 %"
	slow.Cycles = 66
	other.Core = "cortex-a53"
	for _, c := range []struct {
		what string
		row  row
		bad  bool
	}{
		{"a loop at its record", fine, false},
		{"a loop below the asked share without a reason", below, true},
		{"a loop below the asked share with a reason", named, false},
		{"a loop slower than recorded", slow, true},
		{"a loop without a record", other, true},
	} {
		if err := check([]row{c.row}, "Gemm cortex-a72 64.10\n"); (err != nil) != c.bad {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if check(nil, "Gemm 64\n") == nil {
		t.Error("a record without a core is read")
	}
}

// TestLoops holds the matrix kernels to what their core's pipes allow, and all loops to
// their record.
func TestLoops(t *testing.T) {
	if os.Getenv("WHET_ARM64") == "" {
		t.Skip("skipped: WHET_ARM64=1 lets llvm-mca look at every loop (half a minute)")
	}
	if err := model.Installed(); errors.Is(err, model.ErrNoTool) {
		t.Skip("NOT CHECKED: ", err)
	}
	program, err := build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	loops, err := readLoops(program)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := measure(loops)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(rows, recorded); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		kernel, core string
		macs         float64 // a cycle, at least
	}{
		{"QGemm2x8c8NEON", "cortex-a72", 7.2},
		{"QGemm2x8c8PairsNEON", "cortex-a72", 7.2},
		{"QGemm2x8c8PairsNEON", "cortex-a55", 3.8},
		{"QGemm4x16c4Dotprod", "neoverse-n1", 28.8},
		{"QGemm4x16c8I8MM", "neoverse-n2", 54},
		{"Gemm8x8InOrderNEON", "cortex-a53", 3.1},
		{"Gemm8x8NEON", "cortex-a72", 3.6},
		{"Gemm8x8NEON", "neoverse-n1", 7.2},
		{"Gemv32NEON", "cortex-a72", 3.6},
		{"Gemv32NEON", "neoverse-n1", 7.2},
	} {
		i := slices.IndexFunc(rows, func(r row) bool { return r.Kernel == c.kernel && r.Core == c.core })
		if i < 0 {
			t.Errorf("%s: no row for %s", c.kernel, c.core)
			continue
		}
		if got := rows[i].MACsPerCycle; got < c.macs {
			t.Errorf("%s on %s: %.2f multiply-accumulates a cycle, want %.1f", c.kernel, c.core, got, c.macs)
		}
	}
}
