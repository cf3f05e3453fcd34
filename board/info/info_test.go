package info

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// board writes the files of a board below a new root.
func board(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// cpuinfo is what an arm64 kernel shows for some equal cores.
func cpuinfo(cores int, implementer, part, features string) string {
	var b strings.Builder
	for i := range cores {
		fmt.Fprintf(&b, "processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: %s\nCPU implementer\t: %s\nCPU architecture: 8\nCPU part\t: %s\n\n", i, features, implementer, part)
	}
	return b.String() + "Hardware\t: BCM2835\n"
}

const (
	armv80 = "fp asimd evtstrm crc32 cpuid"
	armv82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
	carmel = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm dcpop"
)

func TestKnownBoards(t *testing.T) {
	tests := []struct {
		kind, compatible, cpuinfo, cpu string
		cores                          int
		dotprod                        bool
	}{
		{"Raspberry Pi 3B", "raspberrypi,3-model-b\x00brcm,bcm2837\x00", cpuinfo(4, "0x41", "0xd03", armv80), "Cortex-A53", 4, false},
		{"Raspberry Pi 3B+", "raspberrypi,3-model-b-plus\x00brcm,bcm2837\x00", cpuinfo(4, "0x41", "0xd03", armv80), "Cortex-A53", 4, false},
		{"Raspberry Pi Zero 2 W", "raspberrypi,model-zero-2-w\x00brcm,bcm2837\x00", cpuinfo(4, "0x41", "0xd03", armv80), "Cortex-A53", 4, false},
		{"Raspberry Pi 4", "raspberrypi,4-model-b\x00brcm,bcm2711\x00", cpuinfo(4, "0x41", "0xd08", armv80), "Cortex-A72", 4, false},
		{"Raspberry Pi 5", "raspberrypi,5-model-b\x00brcm,bcm2712\x00", cpuinfo(4, "0x41", "0xd0b", armv82), "Cortex-A76", 4, true},
		{"Jetson Nano", "nvidia,p3450-0000\x00nvidia,tegra210\x00", cpuinfo(4, "0x41", "0xd07", armv80), "Cortex-A57", 4, false},
		{"Jetson Xavier NX", "nvidia,p3509-0000+p3668-0001\x00nvidia,tegra194\x00", cpuinfo(6, "0x4e", "0x004", carmel), "Carmel", 6, false},
		{"Jetson Orin Nano", "nvidia,p3768-0000+p3767-0005-super\x00nvidia,p3767-0005\x00nvidia,tegra234\x00", cpuinfo(6, "0x41", "0xd42", armv82), "Cortex-A78AE", 6, true},
		{"Jetson Orin NX", "nvidia,p3768-0000+p3767-0000\x00nvidia,tegra234\x00", cpuinfo(8, "0x41", "0xd42", armv82), "Cortex-A78AE", 8, true},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			b := Read(board(t, map[string]string{
				"proc/device-tree/model":      tt.kind + " Rev 1.2\x00",
				"proc/device-tree/compatible": tt.compatible,
				"proc/cpuinfo":                tt.cpuinfo,
			}))
			if b.Kind != tt.kind || b.CPU != tt.cpu || b.Cores != tt.cores || b.Model != tt.kind+" Rev 1.2" {
				t.Errorf("got %+v", b)
			}
			if got := slices.Contains(b.Features, "asimddp"); got != tt.dotprod {
				t.Errorf("asimddp: %v", b.Features)
			}
			if len(b.Warnings) != 0 {
				t.Errorf("warnings of a healthy board: %v", b.Warnings)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	b := Read(board(t, map[string]string{
		"proc/device-tree/compatible":                             "raspberrypi,3-model-b-plus\x00",
		"proc/cpuinfo":                                            cpuinfo(4, "0x41", "0xd03", armv80),
		"sys/class/hwmon/hwmon0/name":                             "cpu_thermal\n",
		"sys/class/hwmon/hwmon1/name":                             "rpi_volt\n",
		"sys/class/hwmon/hwmon1/in0_lcrit_alarm":                  "1\n",
		"sys/class/thermal/thermal_zone0/type":                    "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":                    "61224\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq":    "600000\n",
		"sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq":    "1400000\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor":    "powersave\n",
		"sys/devices/system/cpu/cpu1/thermal_throttle/unexpected": "",
		"sys/devices/platform/soc/soc:firmware/get_throttled":     "d0005\n",
		"sys/class/thermal/cooling_device0/type":                  "cpufreq-cpu0\n",
		"sys/class/thermal/cooling_device0/cur_state":             "2\n",
		"sys/class/thermal/cooling_device0/max_state":             "8\n",
		"sys/class/thermal/cooling_device1/type":                  "pwm-fan\n",
		"sys/class/thermal/cooling_device1/cur_state":             "1\n",
	}))
	if want := []string{"under-voltage now", "throttled now", "soft temperature limit since the start", "cpufreq-cpu0 at step 2 of 8"}; !slices.Equal(b.Throttle, want) {
		t.Errorf("throttle %q, want %q", b.Throttle, want)
	}
	if b.Power != "weak" || b.Hottest() != 61.224 || b.ClockHz != 600e6 || b.ClockMaxHz != 1400e6 {
		t.Errorf("got %+v", b)
	}
	for _, want := range []string{"under-voltage", "61.2 °C", "powersave"} {
		if !slices.ContainsFunc(b.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("no warning of %q: %v", want, b.Warnings)
		}
	}
}

func TestMemory(t *testing.T) {
	meminfo := "MemTotal:        1000 kB\nMemFree:          10 kB\nMemAvailable:     500 kB\n"
	tests := []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no group", nil, 0},
		{"version 2, limit above", map[string]string{
			"proc/self/cgroup":                      "0::/system.slice/whet.service\n",
			"sys/fs/cgroup/system.slice/memory.max": "409600\n",
		}, 409600},
		{"version 2, none", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"version 1", map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/a\n5:memory:/a/b\n",
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "8192\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":   "4096\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712\n",
		}, 4096},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"proc/meminfo": meminfo}
			maps.Copy(files, tt.files)
			b := Read(board(t, files))
			if b.MemTotal != 1000<<10 || b.MemAvailable != 500<<10 || b.MemLimit != tt.want {
				t.Errorf("total %d, available %d, limit %d; want limit %d", b.MemTotal, b.MemAvailable, b.MemLimit, tt.want)
			}
		})
	}
}

func TestEmptyRoot(t *testing.T) {
	b := Read(t.TempDir())
	if b.Cores < 1 || b.CPU == "" || b.Model == "" {
		t.Errorf("got %+v", b)
	}
}

func TestUsage(t *testing.T) {
	if rss := PeakRSS(); rss < 1<<20 || rss > 1<<40 {
		t.Errorf("peak RSS %d", rss)
	}
	free, total, err := Disk(t.TempDir())
	if err != nil || total <= 0 || free > total {
		t.Errorf("disk: %d of %d free, %v", free, total, err)
	}
	if _, _, err := Disk(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("the disk of a missing folder is known")
	}
}
