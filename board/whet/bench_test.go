package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// What a person with a Raspberry Pi sends back says which board it is, how fast and hot
// it was, whether it was slowed down, and the multiply-adds a cycle of every layer.
func TestBenchOnBoard(t *testing.T) {
	files(t)
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/device-tree/model":                               "Raspberry Pi 4 Model B Rev 1.4\x00",
		"proc/device-tree/compatible":                          "raspberrypi,4-model-b\x00brcm,bcm2711\x00",
		"proc/cpuinfo":                                         strings.Repeat("processor\t: 0\nFeatures\t: fp asimd crc32\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n", 4),
		"sys/class/thermal/thermal_zone0/type":                 "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":                 "62500\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
		"sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
		"sys/devices/platform/soc/soc:firmware/get_throttled":  "80000\n",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := format.Open("m.whet")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p, err := runtime.Compile(m, runtime.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	b := &benchmark{Model: "m.whet"}
	if err := b.measure(context.Background(), p, 3, true, root); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.text(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Raspberry Pi 4 Model B Rev 1.4, 4 x Cortex-A72 (asimd)", "1800 MHz before, 1800 after, 1800 at most; governor ondemand",
		"62.5 °C before, 62.5 after", "soft temperature limit since the start", "a cycle and core", "MAC/cycle",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var sent struct {
		Board struct {
			Kind, Governor string
			MaxHz          int64 `json:"clock_max_hz"`
		}
		Before, After struct {
			Celsius float64
			ClockHz int64 `json:"clock_hz"`
		}
		Steps []struct {
			MACs  int64
			MinNS int64   `json:"min_ns"`
			Rate  float64 `json:"macs_per_cycle"`
		}
	}
	if err := json.Unmarshal(text, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.Board.Kind != "Raspberry Pi 4" || sent.Board.Governor != "ondemand" || sent.Board.MaxHz != 1.8e9 ||
		sent.Before.Celsius != 62.5 || sent.After.Celsius != 62.5 || sent.After.ClockHz != 1.8e9 {
		t.Errorf("sent %s", text)
	}
	for _, s := range sent.Steps {
		if want := float64(s.MACs) / (float64(s.MinNS) * 1.8 * 2); math.Abs(s.Rate-want) > 1e-9*want {
			t.Errorf("%d MACs in %d ns on 2 cores of 1.8 GHz: %v a cycle, want %v", s.MACs, s.MinNS, s.Rate, want)
		}
	}
}
