// Package info says what board this is and how it feels: cores, features,
// clock, heat, power, memory, disk.
//
// Everything is read from files below a root, so that tests can show it any
// board. A file that is missing or makes no sense leaves its field zero: a
// kernel or a container need not have any of them.
package info

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A Board is what could be found out.
type Board struct {
	Model    string   `json:"model"`          // as the board or the CPU names itself
	Kind     string   `json:"kind,omitempty"` // of the boards that are known by name: "Raspberry Pi 4"
	SoC      string   `json:"soc,omitempty"`
	OS       string   `json:"os"`
	Arch     string   `json:"arch"`
	Kernel   string   `json:"kernel,omitempty"`
	Cores    int      `json:"cores"`
	CPU      string   `json:"cpu"`
	Features []string `json:"features"` // of the CPU, as the kernel names them: those that matter to arithmetic

	MemTotal     int64 `json:"mem_total_bytes"`
	MemAvailable int64 `json:"mem_available_bytes"`
	MemLimit     int64 `json:"mem_limit_bytes,omitempty"` // of the control group; 0: none

	RSS  int64   `json:"rss_bytes,omitempty"` // of this process
	Load float64 `json:"load,omitempty"`      // of the last minute: tasks that run or wait for a core

	ClockHz    int64  `json:"clock_hz,omitempty"` // of the first core, as the kernel believes
	ClockMaxHz int64  `json:"clock_max_hz,omitempty"`
	Governor   string `json:"governor,omitempty"`

	Zones    []Zone   `json:"zones,omitempty"`
	Hot      float64  `json:"hot_celsius,omitempty"` // from which the board slows itself down
	Power    string   `json:"power,omitempty"`       // "good" or "weak", where the firmware watches the supply
	Throttle []string `json:"throttle,omitempty"`    // what slows the clock down now or has since the start, as the firmware and the kernel say
	Warnings []string `json:"warnings,omitempty"`    // what makes the board slow or unreliable now
}

// A Zone is one temperature sensor.
type Zone struct {
	Name    string  `json:"name"`
	Celsius float64 `json:"celsius"`
}

// Hottest returns the highest temperature, or 0 without sensors.
func (b *Board) Hottest() float64 {
	hot := 0.0
	for _, z := range b.Zones {
		hot = max(hot, z.Celsius)
	}
	return hot
}

// A kind of board, found by a string in /proc/device-tree/compatible. The
// revision code and cpuinfo's Hardware line are no help: the latter says
// BCM2835 on every Raspberry Pi.
type kind struct {
	compatible, name, soc string
	hot                   float64 // °C at which the firmware slows the board down
}

// kinds is ordered: the first match names the board, so more exact strings
// come first.
var kinds = []kind{
	{"raspberrypi,3-model-b-plus", "Raspberry Pi 3B+", "BCM2837B0", 60},
	{"raspberrypi,3-model-a-plus", "Raspberry Pi 3A+", "BCM2837B0", 60},
	{"raspberrypi,3-model-b", "Raspberry Pi 3B", "BCM2837", 80},
	{"raspberrypi,model-zero-2-w", "Raspberry Pi Zero 2 W", "BCM2710A1", 80},
	{"raspberrypi,400", "Raspberry Pi 400", "BCM2711", 80},
	{"raspberrypi,4-compute-module", "Raspberry Pi CM4", "BCM2711", 80},
	{"raspberrypi,4-model-b", "Raspberry Pi 4", "BCM2711", 80},
	{"raspberrypi,500", "Raspberry Pi 500", "BCM2712", 80},
	{"raspberrypi,5-compute-module", "Raspberry Pi CM5", "BCM2712", 80},
	{"raspberrypi,5-model-b", "Raspberry Pi 5", "BCM2712", 80},
	{"nvidia,p3450-0000", "Jetson Nano", "Tegra X1", 97},
	{"nvidia,jetson-nano", "Jetson Nano", "Tegra X1", 97},
	{"nvidia,p3509-0000+p3668", "Jetson Xavier NX", "Tegra194", 97},
	{"nvidia,p2972-0000", "Jetson AGX Xavier", "Tegra194", 97},
	{"nvidia,p3768-0000+p3767-0003", "Jetson Orin Nano", "Tegra234", 97},
	{"nvidia,p3768-0000+p3767-0004", "Jetson Orin Nano", "Tegra234", 97},
	{"nvidia,p3768-0000+p3767-0005", "Jetson Orin Nano", "Tegra234", 97},
	{"nvidia,p3768-0000+p3767", "Jetson Orin NX", "Tegra234", 97},
	{"nvidia,p3737-0000+p3701", "Jetson AGX Orin", "Tegra234", 97},
	{"nvidia,tegra264", "Jetson Thor", "Tegra264", 97},
}

// arithmetic are the CPU features that decide between kernels.
var arithmetic = []string{
	"asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
	"sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_int8",
}

// parts names the ARM cores of the boards above (implementer/part).
var parts = map[string]string{
	"0x41/0xd03": "Cortex-A53", "0x41/0xd07": "Cortex-A57", "0x41/0xd08": "Cortex-A72", "0x41/0xd0b": "Cortex-A76",
	"0x41/0xd42": "Cortex-A78AE", "0x41/0xd0c": "Neoverse N1", "0x41/0xd40": "Neoverse V1", "0x4e/0x004": "Carmel",
}

// Read looks at the board below root, "/" for the real one.
func Read(root string) *Board {
	b := &Board{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	r := reader(root)
	b.Kernel = r.line("proc/sys/kernel/osrelease")
	var hot float64 = 90
	b.Model = r.line("proc/device-tree/model")
	compatible := strings.Split(r.line("proc/device-tree/compatible"), "\x00")
	for _, k := range kinds {
		if slices.ContainsFunc(compatible, func(s string) bool { return strings.HasPrefix(s, k.compatible) }) {
			b.Kind, b.SoC, hot = k.name, k.soc, k.hot
			break
		}
	}
	b.readUse(r)
	b.readCPU(r)
	if b.Model == "" {
		b.Model = strings.TrimSpace(r.line("sys/class/dmi/id/sys_vendor") + " " + r.line("sys/class/dmi/id/product_name"))
	}
	if b.Model == "" {
		b.Model = b.CPU
	}
	b.readMemory(r)
	const freq = "sys/devices/system/cpu/cpu0/cpufreq/"
	b.ClockHz, b.ClockMaxHz = 1000*r.number(freq+"scaling_cur_freq"), 1000*r.number(freq+"cpuinfo_max_freq")
	b.Governor = r.line(freq + "scaling_governor")
	for _, dir := range r.glob("sys/class/thermal/thermal_zone*") {
		if milli := r.number(dir + "/temp"); milli > 0 && milli < 200_000 {
			b.Zones = append(b.Zones, Zone{r.line(dir + "/type"), float64(milli) / 1000})
		}
	}
	if len(b.Zones) > 0 {
		b.Hot = hot
	}
	b.readThrottle(r)
	b.warn(r, hot)
	return b
}

func (b *Board) readCPU(r reader) {
	cores := 0
	var implementer, flags string
	for key, value := range r.pairs("proc/cpuinfo") {
		switch key {
		case "processor":
			cores++
		case "model name":
			b.CPU = value
		case "CPU implementer":
			implementer = value
		case "CPU part":
			if name := parts[implementer+"/"+value]; name != "" && !strings.Contains(b.CPU, name) {
				b.CPU = strings.TrimPrefix(b.CPU+", "+name, ", ")
			}
		case "flags", "Features":
			flags = value
		}
	}
	if cores > 0 {
		b.Cores = cores
	}
	have := strings.Fields(flags)
	for _, f := range arithmetic {
		if slices.Contains(have, f) {
			b.Features = append(b.Features, f)
		}
	}
	if b.CPU == "" {
		b.CPU = runtime.GOARCH
	}
}

func (b *Board) readMemory(r reader) {
	for key, value := range r.pairs("proc/meminfo") {
		kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch key {
		case "MemTotal":
			b.MemTotal = kib << 10
		case "MemAvailable":
			b.MemAvailable = kib << 10
		}
	}
	b.MemLimit = memLimit(r)
}

// memLimit returns the least memory limit from the process's control group up
// to the root, of version 2 or 1; 0 when there is none.
func memLimit(r reader) int64 {
	limit := int64(0)
	lower := func(file string) {
		// Version 1 writes a number near 2**63 for "none".
		if n := r.number(file); n > 0 && n < 1<<60 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	for line := range strings.SplitSeq(r.text("proc/self/cgroup"), "\n") {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		base, file := "", ""
		switch {
		case f[0] == "0" && f[1] == "":
			base, file = "sys/fs/cgroup", "memory.max"
		case slices.Contains(strings.Split(f[1], ","), "memory"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := filepath.ToSlash(filepath.Clean("/" + f[2])); ; dir = dir[:strings.LastIndexByte(dir, '/')] {
			lower(base + strings.TrimSuffix(dir, "/") + "/" + file)
			if dir == "" || dir == "/" {
				break
			}
		}
	}
	return limit
}

// throttled are the bits of the Raspberry Pi's firmware word (the documentation of
// vcgencmd, get_throttled): now, and sixteen bits further since the start.
var throttled = []string{"under-voltage", "frequency capped", "throttled", "soft temperature limit"}

// readThrottle reads what slows the clock down.
func (b *Board) readThrottle(r reader) {
	for _, name := range r.glob("sys/devices/platform/soc*/soc*firmware/get_throttled") {
		word, err := strconv.ParseUint(strings.TrimPrefix(r.line(name), "0x"), 16, 32)
		if err != nil {
			continue
		}
		for i, flag := range throttled {
			if word>>i&1 == 1 {
				b.Throttle = append(b.Throttle, flag+" now")
			} else if word>>(16+i)&1 == 1 {
				b.Throttle = append(b.Throttle, flag+" since the start")
			}
		}
	}
	for _, dir := range r.glob("sys/class/thermal/cooling_device*") {
		if kind := r.line(dir + "/type"); strings.Contains(kind, "cpufreq") && r.number(dir+"/cur_state") > 0 {
			b.Throttle = append(b.Throttle, kind+" at step "+r.line(dir+"/cur_state")+" of "+r.line(dir+"/max_state"))
		}
	}
}

// warn collects what a user should mend before trusting a measurement.
func (b *Board) warn(r reader, hot float64) {
	for _, dir := range r.glob("sys/class/hwmon/hwmon*") {
		// The driver raspberrypi-hwmon polls the firmware every two seconds.
		if r.line(dir+"/name") != "rpi_volt" {
			continue
		}
		b.Power = "good"
		if r.number(dir+"/in0_lcrit_alarm") == 1 {
			b.Power = "weak"
			b.Warnings = append(b.Warnings, "the power supply is too weak: the firmware has seen under-voltage and lowers the clock")
		}
	}
	if t := b.Hottest(); t >= hot {
		b.Warnings = append(b.Warnings, "hot: "+strconv.FormatFloat(t, 'f', 1, 64)+" °C; the clock goes down from "+strconv.FormatFloat(hot, 'f', 0, 64)+" °C on")
	}
	if b.Governor == "powersave" && b.ClockHz > 0 && b.ClockHz < b.ClockMaxHz*3/4 {
		b.Warnings = append(b.Warnings, "the clock governor is powersave; measure with `performance`")
	}
	for core := range b.Cores {
		n := r.number("sys/devices/system/cpu/cpu" + strconv.Itoa(core) + "/thermal_throttle/core_throttle_count")
		if n > 0 {
			b.Warnings = append(b.Warnings, "the CPU has slowed itself down "+strconv.FormatInt(n, 10)+" times because of heat since it was switched on")
			break
		}
	}
}

// readUse reads what is in use now (proc(5): loadavg, statm).
func (b *Board) readUse(r reader) {
	if f := strings.Fields(r.line("proc/loadavg")); len(f) > 0 {
		b.Load, _ = strconv.ParseFloat(f[0], 64) // 0 where it makes no sense
	}
	if f := strings.Fields(r.line("proc/self/statm")); len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64)
		b.RSS = pages * int64(os.Getpagesize())
	}
}

// A reader reads small files below a root; what cannot be read is empty.
type reader string

// text returns a file's first 64 KiB.
func (r reader) text(name string) string {
	f, err := os.Open(filepath.Join(string(r), filepath.FromSlash(name)))
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	n := 0
	for n < len(buf) { // files of /proc come in pieces
		k, err := f.Read(buf[n:])
		n += k
		if err != nil || k == 0 {
			break
		}
	}
	return string(buf[:n])
}

// line returns a file's text without the end of line or NUL.
func (r reader) line(name string) string { return strings.TrimRight(r.text(name), "\x00\n ") }

func (r reader) number(name string) int64 {
	n, err := strconv.ParseInt(r.line(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// glob returns the matching names relative to the root, in order.
func (r reader) glob(pattern string) []string {
	names, err := filepath.Glob(filepath.Join(string(r), filepath.FromSlash(pattern)))
	if err != nil {
		return nil
	}
	for i, n := range names {
		rel, err := filepath.Rel(string(r), n)
		if err != nil {
			return nil
		}
		names[i] = filepath.ToSlash(rel)
	}
	return names
}

// pairs yields the lines "key : value" of a file.
func (r reader) pairs(name string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		sc := bufio.NewScanner(bytes.NewReader([]byte(r.text(name))))
		for sc.Scan() {
			key, value, ok := strings.Cut(sc.Text(), ":")
			if ok && !yield(strings.TrimSpace(key), strings.TrimSpace(value)) {
				return
			}
		}
	}
}
