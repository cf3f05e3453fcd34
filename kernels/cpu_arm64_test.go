//go:build !purego

package kernels

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAllInOrder(t *testing.T) {
	const core = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd03\n\n"
	of := func(part string) string { return strings.Replace(core, "0xd03", part, 1) }
	for _, c := range []struct {
		what, text string
		want       bool
	}{
		{"Raspberry Pi 3", core + core + core + core + "Model\t\t: Raspberry Pi 3\n", true},
		{"four Cortex-A55", of("0xd05") + of("0xd05"), true},
		{"Raspberry Pi 4", of("0xd08"), false},
		{"Raspberry Pi 5", of("0xd0b"), false},
		{"A55 beside A76", of("0xd05") + of("0xd0b"), false},
		{"another maker's", strings.Replace(core, "0x41", "0x51", 1), false},
		{"an emulator that names no core", "processor\t: 0\n", false},
	} {
		file := filepath.Join(t.TempDir(), "cpuinfo")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := allInOrder(file); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	if allInOrder(filepath.Join(t.TempDir(), "none")) {
		t.Error("a file that is not there names cores")
	}
}

func TestLevelsOf(t *testing.T) {
	for _, c := range []struct {
		board    string
		features string // as its /proc/cpuinfo has them
		want     []Level
	}{
		{"Raspberry Pi 4", "fp asimd evtstrm crc32 cpuid", []Level{Generic, NEON}},
		{"Jetson Xavier", "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm dcpop", []Level{Generic, NEON}},
		{"Raspberry Pi 5", "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp", []Level{Generic, NEON, Dotprod}},
		{"Radxa Orion O6", "fp asimd atomics fphp asimdhp asimdrdm asimddp sve sve2 svei8mm i8mm bf16", []Level{Generic, NEON, Dotprod, I8MM}},
	} {
		has := strings.Fields(c.features)
		if got := levelsOf(slices.Contains(has, "asimddp"), slices.Contains(has, "i8mm")); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.board, got, c.want)
		}
	}
}
