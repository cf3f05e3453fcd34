// Peak prints the multiply-accumulate rates that one core of this machine
// reaches on registers alone, as JSON: the roof against which the benchmarks
// put a layer's rate. For each kernel level it runs the instruction that the
// level's own kernels use, in independent chains so that its throughput and not
// its latency counts, and gives the best of many short runs in GMAC/s.
//
//	go run ./test/bench/peak
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"
)

// A probe is one instruction's loop.
type probe struct {
	level string
	name  string          // "f32" or "int8"
	macs  int             // per iteration of loop
	loop  func(n uintptr) // n iterations
}

type rate struct {
	Level string  `json:"level"`
	Type  string  `json:"type"`
	GMACs float64 `json:"gmac_per_s"`
}

func main() {
	ps := probes()
	if len(ps) == 0 {
		fmt.Fprintf(os.Stderr, "peak: no probes for %s\n", runtime.GOARCH)
		os.Exit(1)
	}
	runtime.LockOSThread()
	out := make([]rate, 0, len(ps))
	for _, p := range ps {
		out = append(out, rate{p.level, p.name, p.best()})
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", " ")
	if err := enc.Encode(out); err != nil {
		fmt.Fprintln(os.Stderr, "peak:", err)
		os.Exit(1)
	}
}

// best returns the highest rate in 1e9 multiply-accumulates a second. A run is
// some 20 µs, short enough for many of them to escape the other programs of a
// busy machine and for the goroutine to stay preemptible.
func (p *probe) best() float64 {
	const n, probing = 2000, 300 * time.Millisecond
	shortest := time.Duration(1<<63 - 1)
	for start := time.Now(); time.Since(start) < probing; {
		t := time.Now()
		p.loop(n)
		shortest = min(shortest, time.Since(t))
	}
	return float64(n*p.macs) / float64(shortest.Nanoseconds())
}
