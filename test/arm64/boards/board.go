package main

// A board is what a projection knows of it. Clocks are those of the boards' published
// logs, caches those of the cores' manuals. Memory moves 2.6 times what memcpy copies
// there on one core (sbc-bench), as on the Raspberry Pi 4; that of the Raspberry Pi 5 was
// measured with four threads (11.4 GB/s), and so the Orin's is twice memcpy.
//
// The Cortex-A53 is judged by what others measured of its issue (package model). With it
// XNNPACK's four published times of the Raspberry Pi 3 come out within 5 %; none of them was
// used to fit anything.
type board struct {
	name     string
	title    string
	cpu      string // QEMU's name of its core
	core     string // package model's
	part     int    // of the core's MIDR
	features string // as /proc/cpuinfo has them
	ghz      float64
	caches   []cache // of data, from the core outwards
	dram     float64 // bytes a nanosecond that all cores together read and write
}

// A cache of data. rate is how many bytes a cycle come out of it: each core's own cache
// gives every core as many, a shared one all of them together.
type cache struct {
	bytes, ways int
	shared      bool
	rate        float64
}

const (
	neon    = "fp asimd evtstrm crc32 cpuid"
	dotprod = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
)

// The caches of the A76 give what their buses are wide. The rate of the second cache of
// the older cores, and the Raspberry Pi 4's memory within what is reported of it (5 to 7
// GB/s), are the two numbers that were fitted: to four times of XNNPACK and four of ncnn.
const (
	oldL2 = 12
	a76L2 = 64
	a76L3 = 32
)

var boards = []board{
	{name: "zero2w", title: "Raspberry Pi Zero 2 W", cpu: "cortex-a53", core: "cortex-a53", part: 0xd03, features: neon, ghz: 1.0,
		caches: []cache{{32 << 10, 4, false, 0}, {512 << 10, 16, true, oldL2}}, dram: 3.4},
	{name: "pi3", title: "Raspberry Pi 3 B+", cpu: "cortex-a53", core: "cortex-a53", part: 0xd03, features: neon, ghz: 1.4,
		caches: []cache{{32 << 10, 4, false, 0}, {512 << 10, 16, true, oldL2}}, dram: 2.9},
	{name: "nano", title: "Jetson Nano", cpu: "cortex-a57", core: "cortex-a57", part: 0xd07, features: neon, ghz: 1.48,
		caches: []cache{{32 << 10, 2, false, 0}, {2 << 20, 16, true, oldL2}}, dram: 9.7},
	{name: "pi4", title: "Raspberry Pi 4", cpu: "cortex-a72", core: "cortex-a72", part: 0xd08, features: neon, ghz: 1.8,
		caches: []cache{{32 << 10, 2, false, 0}, {1 << 20, 16, true, oldL2}}, dram: 6.5},
	{name: "pi5", title: "Raspberry Pi 5", cpu: "cortex-a76", core: "neoverse-n1", part: 0xd0b, features: dotprod, ghz: 2.4,
		caches: []cache{{64 << 10, 4, false, 0}, {512 << 10, 8, false, a76L2}, {2 << 20, 16, true, a76L3}}, dram: 11.4},
	{name: "orin", title: "Jetson Orin Nano", cpu: "cortex-a76", core: "neoverse-n1", part: 0xd42, features: dotprod, ghz: 1.51,
		caches: []cache{{64 << 10, 4, false, 0}, {256 << 10, 8, false, a76L2}, {2 << 20, 16, true, a76L3}}, dram: 13.5},
}

// A result is a time that a runtime's authors published.
type result struct {
	model   string // file
	board   string
	ghz     float64 // of the board that they had
	threads int
	ms      float64
	source  string
}

const (
	xnnpack = "XNNPACK's README"
	ncnn    = "ncnn's benchmark/README"
)

// published are the times by which the projection is judged. The models are those of
// test/bench/models.py, whose weights are random, as theirs were, and MobileNetV1 of
// 224x224 pixels made as it makes the others.
var published = []result{
	{"mobilenet_v1_f32.tflite", "pi4", 1.5, 4, 77, xnnpack},
	{"mobilenet_v2_f32.tflite", "pi4", 1.5, 4, 46, xnnpack},
	{"mobilenet_v1_int8.tflite", "pi4", 1.5, 4, 24, xnnpack},
	{"mobilenet_v2_int8.tflite", "pi4", 1.5, 4, 17, xnnpack},
	{"mobilenet_v1_f32.tflite", "pi3", 1.4, 4, 114, xnnpack},
	{"mobilenet_v2_f32.tflite", "pi3", 1.4, 4, 79, xnnpack},
	{"mobilenet_v1_int8.tflite", "pi3", 1.4, 4, 46, xnnpack},
	{"mobilenet_v2_int8.tflite", "pi3", 1.4, 4, 30, xnnpack},
	{"mobilenet_v1.param", "pi4", 1.8, 4, 61.2, ncnn},
	{"mobilenet_v1.param", "pi4", 1.8, 1, 124, ncnn},
	{"mobilenet_v2.param", "pi4", 1.8, 4, 61.9, ncnn},
	{"mobilenet_v2.param", "pi4", 1.8, 1, 93.5, ncnn},
	{"resnet50.param", "pi4", 1.8, 4, 263, ncnn},
	{"resnet50.param", "pi4", 1.8, 1, 534, ncnn},
	{"mobilenet_v1.param", "pi5", 2.4, 4, 9, ncnn},
	{"mobilenet_v1.param", "pi5", 2.4, 1, 20.3, ncnn},
	{"mobilenet_v2.param", "pi5", 2.4, 4, 10.5, ncnn},
	{"mobilenet_v2.param", "pi5", 2.4, 1, 16.4, ncnn},
	{"resnet50.param", "pi5", 2.4, 4, 46.2, ncnn},
	{"resnet50.param", "pi5", 2.4, 1, 89.4, ncnn},
}
