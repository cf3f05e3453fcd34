package info

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixture reads a board's files from testdata: a comment, which names the public
// dump that they were made from and what was guessed, and then each file behind
// a line "-- NAME --". \0 stands for a NUL.
func fixture(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\n-- ")
	if !strings.Contains(head, "\nMade from: ") || !strings.Contains(head, "https://") || !strings.Contains(head, "\nGuessed: ") {
		t.Errorf("%s does not say what it was made from and what was guessed", name)
	}
	files := map[string]string{}
	for part := range strings.SplitSeq(rest, "\n-- ") {
		path, body, ok := strings.Cut(part, " --\n")
		if !ok {
			t.Fatalf("%s: no file's name in %q", name, part)
		}
		files[path] = strings.ReplaceAll(strings.TrimSuffix(body, "\n")+"\n", `\0`, "\x00")
	}
	return files
}

// TestFixtures recognises each board from files that such a board has.
func TestFixtures(t *testing.T) {
	dot := []string{"asimd", "fphp", "asimdhp", "asimddp"}
	plain := []string{"asimd"}
	tests := []struct {
		name string
		want Board
	}{
		{"pi3b+", Board{Kind: "Raspberry Pi 3B+", SoC: "BCM2837B0", CPU: "Cortex-A53", Cores: 4, Features: plain, ClockMaxHz: 1400e6, MemTotal: 966 << 20, Power: "good"}},
		{"pi4", Board{Kind: "Raspberry Pi 4", SoC: "BCM2711", CPU: "Cortex-A72", Cores: 4, Features: plain, ClockMaxHz: 1500e6, MemTotal: 921 << 20, Power: "good"}},
		{"pi5", Board{Kind: "Raspberry Pi 5", SoC: "BCM2712", CPU: "Cortex-A76", Cores: 4, Features: dot, ClockMaxHz: 2400e6, MemTotal: 8089 << 20, Power: "good"}},
		{"zero2w", Board{Kind: "Raspberry Pi Zero 2 W", SoC: "BCM2710A1", CPU: "Cortex-A53", Cores: 4, Features: plain, ClockMaxHz: 1000e6, MemTotal: 427 << 20, Power: "good"}},
		{"nano", Board{Kind: "Jetson Nano", SoC: "Tegra X1", CPU: "Cortex-A57", Cores: 4, Features: plain, ClockMaxHz: 1479e6, MemTotal: 3994 << 20}},
		{"xaviernx", Board{Kind: "Jetson Xavier NX", SoC: "Tegra194", CPU: "Carmel", Cores: 6, Features: []string{"asimd", "fphp", "asimdhp"}, ClockMaxHz: 1907e6, MemTotal: 7782 << 20}},
		{"orinnano", Board{Kind: "Jetson Orin Nano", SoC: "Tegra234", CPU: "Cortex-A78AE", Cores: 6, Features: dot, ClockMaxHz: 1510e6, MemTotal: 6451 << 20}},
		{"agxorin", Board{Kind: "Jetson AGX Orin", SoC: "Tegra234", CPU: "Cortex-A78AE", Cores: 12, Features: dot, ClockMaxHz: 2202e6, MemTotal: 29696 << 20}},
	}
	listed, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(listed) != len(tests) {
		t.Errorf("%d fixtures are tested, there are %d (%v)", len(tests), len(listed), err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fixture(t, tt.name)
			got := Read(board(t, files))
			shown := Board{Kind: got.Kind, SoC: got.SoC, CPU: got.CPU, Cores: got.Cores, Features: got.Features, ClockMaxHz: got.ClockMaxHz, MemTotal: got.MemTotal, Power: got.Power}
			if d := cmp.Diff(tt.want, shown); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if model := strings.TrimRight(files["proc/device-tree/model"], "\x00\n"); got.Model != model || len(got.Warnings) != 0 || got.Hottest() < 30 {
				t.Errorf("model %q, %.1f °C, warnings %q", got.Model, got.Hottest(), got.Warnings)
			}
			if got.Power == "" {
				return
			}
			// The same board with a weak supply and hot.
			files["sys/class/hwmon/hwmon1/in0_lcrit_alarm"] = "1\n"
			files["sys/class/thermal/thermal_zone0/temp"] = "84500\n"
			if bad := Read(board(t, files)); bad.Power != "weak" || len(bad.Warnings) != 2 {
				t.Errorf("power %q, warnings %q", bad.Power, bad.Warnings)
			}
		})
	}
}
