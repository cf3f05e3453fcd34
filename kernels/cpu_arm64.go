//go:build arm64 && !purego

package kernels

import (
	"os"
	"strings"

	"golang.org/x/sys/cpu"
)

// inOrder reports whether the float32 product is done in the order that suits cores which
// do not change it themselves. The bits are the same. Set by detect.
var inOrder bool

// detect returns this machine's levels in ascending order.
func detect() []Level {
	inOrder = allInOrder("/proc/cpuinfo")
	return levelsOf(cpu.ARM64.HasASIMDDP, cpu.ARM64.HasI8MM)
}

// levelsOf returns the levels of a CPU with these features. NEON is part of the ARMv8-A
// baseline; float16 arithmetic, which no level needs, does not imply dotprod (Carmel).
func levelsOf(dotprod, i8mm bool) []Level {
	have := []Level{Generic, NEON}
	if dotprod {
		have = append(have, Dotprod)
	}
	if dotprod && i8mm {
		have = append(have, I8MM)
	}
	return have
}

// allInOrder reports whether every core in a file of /proc/cpuinfo's form is a Cortex-A53 or
// A55. Beside larger cores these do less of the work, and the larger ones lose by their
// order. A file that cannot be read, or names no core, says no.
func allInOrder(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	count := func(part string) int { return strings.Count(string(text), "CPU part\t: "+part) } // of MIDR_EL1
	n := count("")
	return n > 0 && count("0xd03")+count("0xd05") == n && strings.Count(string(text), "CPU implementer\t: 0x41") == n // Arm
}
