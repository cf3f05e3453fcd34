//go:build arm64 && !purego

package kernels

import (
	"bytes"
	"os"
	"sync"

	"golang.org/x/sys/cpu"
)

// detect returns this machine's levels in ascending order. NEON is part of
// the ARMv8-A baseline.
func detect() []Level {
	have := []Level{Generic, NEON}
	if !cpu.ARM64.HasASIMDDP {
		return have
	}
	have = append(have, Dotprod)
	if cpu.ARM64.HasI8MM {
		have = append(have, I8MM)
	}
	return have
}

// inOrder reports whether the float32 product is done in the order that suits cores which
// do not change it themselves. The bits are the same.
var inOrder = sync.OnceValue(func() bool { return allInOrder("/proc/cpuinfo") })

// allInOrder reports whether every core in a file of /proc/cpuinfo's form is a Cortex-A53 or
// A55. Beside larger cores these do less of the work, and the larger ones lose by their
// order. A file that cannot be read, or names no core, says no.
func allInOrder(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	cores := 0
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(bytes.TrimSpace(key)) {
		case "CPU implementer": // of MIDR_EL1, as is the part
			if string(value) != "0x41" { // Arm
				return false
			}
		case "CPU part":
			if string(value) != "0xd03" && string(value) != "0xd05" {
				return false
			}
			cores++
		}
	}
	return cores > 0
}
