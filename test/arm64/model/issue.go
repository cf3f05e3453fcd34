package model

import "fmt"

// issueRules tell apart the cores that issue at most two instructions a cycle, in order,
// and of those that work on 128 bits one. They are what others measured on boards: ncnn,
// docs/developer-guide/arm-a53-a55-dual-issue.md, for both; daniestevez/qsdr,
// instruction_benchmark/aarch64/neon, for the A53.
type issueRules struct {
	halfAlone bool // a load of 64 bits or an insertion does not go with an operation on 128 bits
	loadLast  bool // a load of a general register goes only with what is before it
	afterFMLA uint // no vector is loaded so many cycles behind an FMLA; 0 for no such rule
}

var inOrderCores = map[string]issueRules{
	"cortex-a53": {halfAlone: true, loadLast: true, afterFMLA: 4},
	"cortex-a55": {},
}

// byIssue is the core whose blocks are judged by issue alone.
const byIssue = "cortex-a53"

// issue returns the cost of a block on the Cortex-A53 or A55 if no operand is late and every
// load hits the first cache: the cycles that it takes to issue. The limit are those of the
// operations on vectors alone.
func issue(core string, block []uint32) Cost {
	rules := inOrderCores[core]
	c := Cost{Cycles: rules.cycles(block), Pipe: "vectors"}
	multiplies := 0
	for _, w := range block {
		if k, _ := kindOf(w); k == vector128 || k == vector64 {
			c.Busy++
		}
		if n := MACs(w); n > 0 {
			c.MACs += n
			multiplies++
		}
	}
	c.Limit = max(c.Busy, float64(len(block))/2)
	if multiplies > 0 {
		c.Peak = float64(c.MACs) / float64(multiplies)
	}
	return c
}

// cycles counts those of a passage of a block that is repeated without end.
func (r issueRules) cycles(block []uint32) float64 {
	const passages = 8
	var cycles, first uint
	var fmla uint64 // bit i: one was issued i cycles ago
	for p := range passages {
		if p == 1 {
			first = cycles
		}
		for i := 0; i < len(block); {
			k, n := kindOf(block[i])
			step := 1
			if i+1 < len(block) {
				if next, _ := kindOf(block[i+1]); r.together(k, next) {
					step = 2
				}
			}
			loads := false
			for _, w := range block[i : i+step] {
				k, _ := kindOf(w)
				loads = loads || k == loadsHalf || k == loads128
			}
			if loads && r.afterFMLA > 0 && fmla>>r.afterFMLA&1 != 0 {
				n++
			}
			cycles += n
			fmla <<= n
			for _, w := range block[i : i+step] {
				if w&0xffe0fc00 == 0x4e20cc00 || w&0xffc0f400 == 0x4f801000 { // fmla 4s, also by element
					fmla |= 1 << n // issued in the first of these cycles
				}
			}
			i += step
		}
	}
	return float64(cycles-first) / (passages - 1)
}

// issueReason says what a block issues beside its operations on vectors.
func issueReason(block []uint32, c Cost) string {
	var loads, stored uint
	for _, w := range block {
		switch k, n := kindOf(w); k {
		case loads128, loadsHalf:
			loads += n
		case stores:
			stored += n
		}
	}
	return fmt.Sprintf("of %.0f cycles vectors are loaded in %d, stored in %d", c.Cycles, loads, stored)
}

// A kind is what decides with which others an instruction issues.
type kind uint8

const (
	general     kind = iota // works on general registers: all that is none of the others
	loadGeneral             // loads them
	vector128               // works on 128 bits
	vector64                // works on 64 bits or on numbers
	inserts                 // moves a general register into a vector
	loadsHalf               // loads one vector of at most 64 bits
	loads128                // loads more
	stores                  // stores vectors
)

// together reports whether b issues in the cycle of a, which is before it.
func (r issueRules) together(a, b kind) bool {
	switch {
	case a >= loads128 || b >= loads128:
		return false
	case a == general || b == general:
		return true
	case a == loadGeneral:
		return !r.loadLast && b != loadGeneral && b != loadsHalf
	case b == loadGeneral:
		return a != loadsHalf
	case a == vector128 || b == vector128:
		return !r.halfAlone && min(a, b) != max(a, b) && max(a, b) >= inserts
	}
	return a != b || a == inserts
}

// kindOf returns the kind of an instruction and for how many cycles it issues; Arm ARM
// (DDI 0487), C4.1.
func kindOf(w uint32) (kind, uint) {
	vector := w>>26&1 != 0
	switch {
	case w>>25&0b101 == 0b100 && !vector: // loads and stores
		if pair := w>>27&0b111 == 0b101; w>>22&1 != 0 || !pair && w>>23&1 != 0 {
			return loadGeneral, 1
		}
		return general, 1
	case w>>25&0b101 == 0b100:
		return kindOfTransfer(w)
	case w>>25&0b111 != 0b111: // not SIMD and floating point
		return general, 1
	case w&0xffe0fc00 == 0x4e001c00, w&0xfffffc00 == 0x9e670000: // ins d[], x; fmov d, x
		return inserts, 1
	case w>>28&1 != 0: // numbers
		return vector64, 1
	case w>>30&1 != 0, // Q
		w&0xbf200c00 == 0x0e200000, // longer results: three different,
		w&0x9f00f400 == 0x0f00a400, // sshll, ushll,
		w&0x9f003400 == 0x0f002000: // by element
		return vector128, 1
	}
	return vector64, 1
}

// kindOfTransfer is kindOf for loads and stores of vectors.
func kindOfTransfer(w uint32) (kind, uint) {
	load := w>>22&1 != 0
	var bytes uint // of all registers
	switch {
	case w&0x3f000000 == 0x0d000000: // one lane, or one number to all lanes
		bytes = 8
	case w&0x3f000000 == 0x0c000000: // ld1 and its like
		bytes = 8 << (w >> 30 & 1) * [16]uint{0b0111: 1, 0b1010: 2, 0b0110: 3, 0b0010: 4, 0b1000: 2, 0b0100: 3, 0b0000: 4}[w>>12&15]
	case w>>27&0b111 == 0b101: // a pair
		bytes = 8 << (w >> 30)
	case w>>30 == 0 && w>>23&1 != 0: // q
		bytes = 16
	default:
		bytes = 8
	}
	switch {
	case !load:
		return stores, max(1, bytes/16)
	case bytes > 8:
		return loads128, bytes / 8
	}
	return loadsHalf, 1
}
