package ondevice

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// garbage is how far Go's heap may grow over what is live before it is collected, in
// percent, while something runs within a budget (GOGC; Go's own default is 100).
const garbage = 10

// The settings of Go's collector belong to the whole process: the first one that holds
// the heap saves them and the last one to let go restores them.
var holding struct {
	sync.Mutex
	count   int
	percent int
	limit   int64
}

// holdHeap keeps the process near what is live, and below limit bytes as far as the
// collector can, until release is called. With limit 0 it does nothing.
func holdHeap(limit int64) (release func()) {
	if limit == 0 {
		return func() {}
	}
	h := &holding
	h.Lock()
	defer h.Unlock()
	percent := debug.SetGCPercent(garbage)
	total := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(total, limit))
	if h.count++; h.count == 1 {
		h.percent, h.limit = percent, total
	}
	return func() {
		h.Lock()
		defer h.Unlock()
		if h.count--; h.count == 0 {
			debug.SetGCPercent(h.percent)
			debug.SetMemoryLimit(h.limit)
		}
	}
}

// collect frees what one part of a job has left before the next one needs as much: what
// the collector would find later counts at the peak.
func (p *TunePlan) collect() {
	if p.opt.Memory > 0 {
		runtime.GC()
	}
}

const (
	// leastProcess is what a small Go program needs before it holds any model or sample:
	// code, runtime, stacks.
	leastProcess = 6650 << 10

	// processGrowth is how much of that is not in its files' pages when a plan is made.
	processGrowth = 2700 << 10

	// processStep is what two runs of a program may differ by.
	processStep = 1 << 18
)

// processBytes is what this program needs beside its heap: how much of its file is
// resident when it is first asked for, and what every Go program needs.
var processBytes = sync.OnceValue(func() int64 {
	b, err := os.ReadFile("/proc/self/statm") // proc_pid_statm(5); not there: not Linux
	f := strings.Fields(string(b))
	if err != nil || len(f) < 3 {
		return leastProcess
	}
	pages, err := strconv.ParseInt(f[2], 10, 64) // of files
	if err != nil {
		return leastProcess
	}
	size := pages*int64(os.Getpagesize()) + processGrowth
	return max(leastProcess, (size+processStep-1)/processStep*processStep)
})
