package kernels

import (
	"slices"
	"testing"
)

func TestSelectLevels(t *testing.T) {
	have := []Level{Generic, AVX2, AVX512}
	for _, c := range []struct {
		name string
		want []Level
		fail bool
	}{
		{"", have, false},
		{"avx512", have, false},
		{"avx2", have[:2], false},
		{"generic", have[:1], false},
		{"avx512vnni", have[:1], true}, // more than the machine has
		{"sse9", have[:1], true},       // unknown
	} {
		got := selectLevels(have, c.name)
		if !slices.Equal(got.levels, c.want) || (got.err != nil) != c.fail {
			t.Errorf("WHET_ISA=%q: %v, %v", c.name, got.levels, got.err)
		}
	}
}

func TestParseLevel(t *testing.T) {
	for l := Generic; l <= I8MM; l++ {
		if got, err := ParseLevel(l.String()); got != l || err != nil {
			t.Errorf("ParseLevel(%q) = %v, %v", l, got, err)
		}
	}
	if _, err := ParseLevel("AVX2"); err == nil {
		t.Error("level names are lower case")
	}
	if levels := Levels(); levels[0] != Generic || levels[len(levels)-1] != Best() {
		t.Errorf("Levels() = %v, Best() = %v", levels, Best())
	}
}
