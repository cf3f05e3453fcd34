package prom

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc: USER_HZ is 100 on every architecture
// that Go and Linux share.
const clockTick = 100

// Process adds the usual metrics of the process, by the names that dashboards
// know: memory, CPU time and open files from /proc, where there is one, and
// goroutines and heap from Go.
func (r *Registry) Process() {
	start := time.Now()
	r.Gauge("process_start_time_seconds", "Start of the process since the Unix epoch.").Set(float64(start.UnixNano()) / 1e9)
	var (
		cpu        = r.Counter("process_cpu_seconds_total", "CPU time of the process, user and system.")
		resident   = r.Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.")
		files      = r.Gauge("process_open_fds", "Open file descriptors.")
		goroutines = r.Gauge("go_goroutines", "Goroutines that exist.")
		heap       = r.Gauge("go_memstats_heap_alloc_bytes", "Heap in use, by what lives and what is not yet collected.")
		cycles     = r.Counter("go_gc_cycles_total", "Garbage collections.")
	)
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
	}
	r.OnWrite(func() {
		metrics.Read(samples)
		for i, f := range []*Family{goroutines, heap, cycles} {
			if samples[i].Value.Kind() == metrics.KindUint64 {
				f.Set(float64(samples[i].Value.Uint64()))
			}
		}
		for _, f := range []*Family{cpu, resident, files} {
			f.Reset() // what cannot be read is left out, not 0
		}
		if stat, err := os.ReadFile("/proc/self/stat"); err == nil {
			if ticks, pages, ok := parseStat(stat); ok {
				cpu.Set(ticks / clockTick)
				resident.Set(pages * float64(os.Getpagesize()))
			}
		}
		if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
			files.Set(float64(len(fds)))
		}
	})
}

// parseStat returns utime + stime and rss of /proc/PID/stat (proc_pid_stat(5):
// fields 14, 15 and 24). The program's name, field 2, may hold spaces and
// parentheses; the fields are counted behind its last one.
func parseStat(stat []byte) (ticks, pages float64, ok bool) {
	end := bytes.LastIndexByte(stat, ')')
	f := bytes.Fields(stat[end+1:])
	if end < 0 || len(f) < 22 {
		return 0, 0, false
	}
	var n [3]float64
	for i, field := range []int{14, 15, 24} {
		v, err := strconv.ParseUint(string(f[field-3]), 10, 64)
		if err != nil {
			return 0, 0, false
		}
		n[i] = float64(v)
	}
	return n[0] + n[1], n[2], true
}
