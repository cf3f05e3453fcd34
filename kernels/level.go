package kernels

import (
	"fmt"
	"os"
	"slices"
	"sync"
)

// Level is an instruction-set level for which kernels exist. Within one
// architecture a higher value is a better level.
type Level uint8

// The levels. Generic is portable Go and exists everywhere.
const (
	Generic Level = iota

	AVX2       // amd64: AVX2 and FMA
	AVXVNNI    // amd64: AVX2 and VNNI on 256 bits
	AVX512     // amd64: AVX-512 F, BW, DQ, VL
	AVX512VNNI // amd64: AVX-512 and VNNI

	NEON    // arm64: the ARMv8-A baseline
	Dotprod // arm64: SDOT
	I8MM    // arm64: SMMLA
)

var levelNames = [...]string{
	Generic: "generic", AVX2: "avx2", AVXVNNI: "avxvnni", AVX512: "avx512", AVX512VNNI: "avx512vnni",
	NEON: "neon", Dotprod: "dotprod", I8MM: "i8mm",
}

// String returns the level's name as WHET_ISA spells it.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// ParseLevel returns the level of that name. It does not say whether this
// machine has it: see [Levels].
func ParseLevel(name string) (Level, error) {
	for i, n := range levelNames {
		if n == name {
			return Level(i), nil
		}
	}
	return Generic, fmt.Errorf("kernels: no instruction-set level is called %q (known: %v)", name, levelNames)
}

// Has reports whether this process may use the level.
func Has(l Level) bool {
	return slices.Contains(Levels(), l)
}

// Levels returns the levels that this machine has and the environment allows,
// Generic first and the best last. WHET_ISA=<name> removes all above <name>.
func Levels() []Level {
	s := selection()
	return append([]Level(nil), s.levels...)
}

// Best returns the best of [Levels].
func Best() Level {
	s := selection()
	return s.levels[len(s.levels)-1]
}

// Err returns what is wrong with WHET_ISA: a name that is unknown or a level
// that this machine has not. [Levels] is then Generic alone.
func Err() error { return selection().err }

type levelSet struct {
	levels []Level
	err    error
}

var selection = sync.OnceValue(func() levelSet { return selectLevels(detect(), os.Getenv("WHET_ISA")) })

// selectLevels cuts the machine's levels (ascending, Generic first) at the one named.
func selectLevels(have []Level, name string) levelSet {
	if name == "" {
		return levelSet{levels: have}
	}
	want, err := ParseLevel(name)
	if err != nil {
		return levelSet{[]Level{Generic}, fmt.Errorf("WHET_ISA: %w", err)}
	}
	for i, l := range have {
		if l == want {
			return levelSet{levels: have[:i+1]}
		}
	}
	return levelSet{[]Level{Generic}, fmt.Errorf("WHET_ISA=%s: this machine or build has only %v", name, have)}
}
