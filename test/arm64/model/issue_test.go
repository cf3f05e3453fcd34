package model

import "testing"

// The cycles of single instructions and of pairs are those that the sources of issueRules
// measured.
func TestIssue(t *testing.T) {
	const (
		fmla   = 0x4f821020 // fmla v0.4s, v1.4s, v2.s[0]
		fadd4s = 0x4e22d420 // fadd v0.4s, v1.4s, v2.4s
		fadd2s = 0x0e22d420 // fadd v0.2s, v1.2s, v2.2s
		ldrX   = 0xf9400020 // ldr x0, [x1]
		ldrD   = 0xfd400020 // ldr d0, [x1]
		ldrQ   = 0x3dc00020 // ldr q0, [x1]
		ldpD   = 0x6d400440 // ldp d0, d1, [x2]
		ldpQ   = 0xad400440 // ldp q0, q1, [x2]
		ld1    = 0x4cdf2820 // ld1 {v0.4s-v3.4s}, [x1], #64
		ins    = 0x4e181c20 // mov v0.d[1], x1
		strQ   = 0x3d800020 // str q0, [x1]
		stpQ   = 0xad000440 // stp q0, q1, [x2]
		strX   = 0xf9000020 // str x0, [x1]
		add    = 0x91000420 // add x0, x1, #1
		smull  = 0x0e22c020 // smull v0.8h, v1.8b, v2.8b
	)
	for _, c := range []struct {
		what     string
		block    []uint32
		a53, a55 float64
	}{
		{"ldr q", []uint32{ldrQ}, 2, 2},
		{"ldp q", []uint32{ldpQ}, 4, 4},
		{"ldp d", []uint32{ldpD}, 2, 2},
		{"ld1 of four", []uint32{ld1}, 8, 8},
		{"fadd, ldr q", []uint32{fadd4s, ldrQ}, 3, 3},
		{"fadd, ldr d", []uint32{fadd4s, ldrD}, 2, 1},
		{"ldr d, fadd", []uint32{ldrD, fadd4s}, 2, 1},
		{"ldr d, fadd of 64 bits", []uint32{ldrD, fadd2s}, 1, 1},
		{"ldr d, ldr d", []uint32{ldrD, ldrD}, 2, 2},
		{"ldr d, ins", []uint32{ldrD, ins}, 1, 1},
		{"ins, ldr d", []uint32{ins, ldrD}, 1, 1},
		{"ins, fadd", []uint32{ins, fadd4s}, 2, 1},
		{"fadd, ldr x", []uint32{fadd4s, ldrX}, 1, 1},
		{"ldr x, fadd", []uint32{ldrX, fadd4s, strQ}, 3, 2},
		{"fadd, add", []uint32{fadd4s, add}, 1, 1},
		{"fadd, fadd", []uint32{fadd4s, fadd4s}, 2, 2},
		{"smull, fadd", []uint32{smull, fadd4s}, 2, 2},
		{"fadd, str q", []uint32{fadd4s, strQ}, 2, 2},
		{"fadd, stp q", []uint32{fadd4s, stpQ}, 3, 3},
		{"fadd, str x", []uint32{fadd4s, strX}, 1, 1},
		// ncnn: three FMLA between two loads, or a load meets one four cycles old.
		{"a load among three", []uint32{ldrD, fmla, fmla, fmla}, 4, 3},
		{"a load among four", []uint32{ldrD, fmla, fmla, fmla, fmla}, 6, 4},
	} {
		if got := issue("cortex-a53", c.block).Cycles; got != c.a53 {
			t.Errorf("%s: %v cycles on the A53, want %v", c.what, got, c.a53)
		}
		if got := issue("cortex-a55", c.block).Cycles; got != c.a55 {
			t.Errorf("%s: %v cycles on the A55, want %v", c.what, got, c.a55)
		}
	}
	got := issue("cortex-a53", []uint32{fmla, ldrQ, fmla, add})
	if want := (Cost{Cycles: 4, Limit: 2, Pipe: "vectors", Busy: 2, MACs: 8, Peak: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
