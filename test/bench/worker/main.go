// Worker is whet's side of peers.py: it opens a model, runs it once, and then
// measures on command, so that several runtimes that are loaded at once can take
// turns. It speaks worker.py's protocol, one line of JSON an answer:
//
//	(start)            {"open_first_ns", "isa", "macs", "quantized", "conv"}
//	time RUNS SECONDS  {"min_ns", "p50_ns", "runs"}
//	profile RUNS       {"steps": [...]}
//	end                {"peak_rss"}
//
//	worker MODEL.whet THREADS
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more" // any model runs
)

func main() {
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// A worker is one open model with one session.
type worker struct {
	program *runtime.Program
	session *runtime.Session
	out     *json.Encoder
}

func work() error {
	if len(os.Args) != 3 {
		return errors.New("usage: worker MODEL.whet THREADS")
	}
	threads, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	start := time.Now()
	m, err := format.Open(os.Args[1], format.Options{Map: true})
	if err != nil {
		return err
	}
	defer m.Close()
	w := worker{out: json.NewEncoder(os.Stdout)}
	if w.program, err = runtime.Compile(m, runtime.WithThreads(threads)); err != nil {
		return err
	}
	w.session = w.program.NewSession()
	defer w.session.Close()
	for i := range w.program.Inputs() {
		fill(w.session.Input(i))
	}
	if _, err := w.run(); err != nil {
		return err
	}
	if err := w.greet(time.Since(start)); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := w.command(in.Text()); err != nil {
			return err
		}
	}
	return w.out.Encode(map[string]int64{"peak_rss": peakRSS()})
}

// peakRSS is the most memory that this program has held. The figure of getrusage
// outlives exec: it would tell that of the Python that started the worker.
func peakRSS() int64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		_, line, _ := strings.Cut(string(status), "VmHWM:")
		var kib int64
		if n, _ := fmt.Sscan(line, &kib); n == 1 {
			return kib << 10
		}
	}
	return info.PeakRSS()
}

func (w *worker) greet(openFirst time.Duration) error {
	var macs int64
	conv := false
	for _, st := range w.program.Steps() {
		macs += st.MACs
		conv = conv || strings.HasPrefix(st.Op, "Conv")
	}
	return w.out.Encode(map[string]any{
		"open_first_ns": openFirst.Nanoseconds(),
		"isa":           w.program.Level().String(),
		"macs":          macs,
		"quantized":     w.program.Inputs()[0].Quant != nil,
		"conv":          conv,
	})
}

func (w *worker) command(line string) error {
	var n int
	var seconds float64
	switch {
	case scan(line, "time %d %g", &n, &seconds):
		return w.time(n, time.Duration(seconds*float64(time.Second)))
	case scan(line, "profile %d", &n):
		return w.profile(n)
	}
	return fmt.Errorf("%q is no command", line)
}

func scan(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return err == nil && n == len(to)
}

func (w *worker) run() (time.Duration, error) {
	start := time.Now()
	err := w.session.Run(context.Background())
	return time.Since(start), err
}

// time measures up to n runs within the budget, but at least three, after a
// tenth of the budget has warmed the caches that the others have filled.
func (w *worker) time(n int, budget time.Duration) error {
	for start := time.Now(); ; {
		if _, err := w.run(); err != nil {
			return err
		}
		if time.Since(start) > budget/10 {
			break
		}
	}
	times := make([]int64, 0, n)
	for start := time.Now(); len(times) < 3 || len(times) < n && time.Since(start) < budget; {
		t, err := w.run()
		if err != nil {
			return err
		}
		times = append(times, t.Nanoseconds())
	}
	slices.Sort(times)
	return w.out.Encode(map[string]int64{"min_ns": times[0], "p50_ns": times[len(times)/2], "runs": int64(len(times))})
}

// A step is one row of the profile; its time is the least of all runs.
type step struct {
	Node   string `json:"node"`
	Op     string `json:"op"`
	Kernel string `json:"kernel"`
	MACs   int64  `json:"macs"`
	Bytes  int64  `json:"bytes"`
	MinNS  int64  `json:"min_ns"`
}

func (w *worker) profile(n int) error {
	w.session.Profile(true)
	defer w.session.Profile(false)
	for range n {
		if _, err := w.run(); err != nil {
			return err
		}
	}
	var steps []step
	for _, t := range w.session.Times() {
		steps = append(steps, step{t.Node, t.Op, t.Kernel, t.MACs, t.Bytes, t.Min.Nanoseconds()})
	}
	return w.out.Encode(map[string]any{"steps": steps})
}

// fill gives floats from a standard normal and quantized values from all their
// codes. Integers of other kinds are indices or lengths: they stay 0.
func fill(t *runtime.Tensor) {
	rng := rand.New(rand.NewPCG(1, 1))
	b := t.Bytes()
	switch {
	case t.Type == format.Float32:
		for i := 0; i+4 <= len(b); i += 4 {
			binary.LittleEndian.PutUint32(b[i:], math.Float32bits(float32(rng.NormFloat64())))
		}
	case t.Quant != nil:
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
	}
}
