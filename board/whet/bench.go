package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// A benchmark is what whet bench prints. Times are in nanoseconds; percentiles
// are over the measured runs.
type benchmark struct {
	Model   string      `json:"model"`
	LoadNS  int64       `json:"load_ns"`  // open, check, compile, pack
	FirstNS int64       `json:"first_ns"` // the first run of a new session
	MinNS   int64       `json:"min_ns"`
	P50NS   int64       `json:"p50_ns"`
	P90NS   int64       `json:"p90_ns"`
	P99NS   int64       `json:"p99_ns"`
	Runs    int         `json:"runs"`
	Threads int         `json:"threads"`
	ISA     string      `json:"isa"`
	PeakRSS int64       `json:"peak_rss_bytes"`
	Arena   int         `json:"arena_bytes"`
	Weights int         `json:"packed_bytes"`
	MACs    int64       `json:"macs"`
	AsmMACs float64     `json:"asm_mac_share"` // the share of them in assembly
	Allocs  float64     `json:"allocs_per_run"`
	File    int64       `json:"file_bytes"`
	Board   *info.Board `json:"board"` // as it is at the end of the measured runs
	Before  conditions  `json:"before"`
	After   conditions  `json:"after"`
	Warn    []string    `json:"warnings,omitempty"` // heat, power: why not to trust the times
	Steps   []benchStep `json:"steps,omitempty"`
}

// Conditions are what may change while a board works.
type conditions struct {
	Celsius  float64  `json:"celsius,omitempty"` // of the hottest sensor
	ClockHz  int64    `json:"clock_hz,omitempty"`
	Throttle []string `json:"throttle,omitempty"`
}

func conditionsOf(b *info.Board) conditions {
	return conditions{b.Hottest(), b.ClockHz, b.Throttle}
}

// A benchStep is one row of the profile.
type benchStep struct {
	Node   string  `json:"node"`
	Op     string  `json:"op"`
	Kernel string  `json:"kernel"`
	Asm    bool    `json:"asm"`
	MACs   int64   `json:"macs"`
	Bytes  int64   `json:"bytes"`
	MinNS  int64   `json:"min_ns"`
	MeanNS int64   `json:"mean_ns"`
	Share  float64 `json:"share"`                    // of the sum of the mean times
	Rate   float64 `json:"macs_per_cycle,omitempty"` // of a core, where the clock is known
}

// Without --runs, runs go on for benchTime, but not below minRuns nor above
// maxRuns.
const (
	benchTime = 2 * time.Second
	warmTime  = 300 * time.Millisecond
	minRuns   = 10
	maxRuns   = 100_000
)

func newBenchCmd() *cobra.Command {
	var mf modelFlags
	var runs int
	var profile bool
	cmd := &cobra.Command{
		Use:   "bench MODEL.whet",
		Short: "Measure a model's time and memory on this board",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if runs < 0 || runs > maxRuns {
				return usagef("--runs %d: 1 to %d are possible", runs, maxRuns)
			}
			start := time.Now()
			m, p, err := mf.compile(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			b := &benchmark{Model: args[0], LoadNS: time.Since(start).Nanoseconds()}
			bar := newProgress(cmd, -1, "measuring")
			if mf.threads == 0 && cmd.Flags().Changed("threads") {
				if p, err = p.Probe(cmd.Context(), 0); err != nil {
					return fileError(args[0], err)
				}
			}
			err = b.measure(cmd.Context(), p, runs, profile, "/")
			bar.done()
			if err != nil {
				return fileError(args[0], err)
			}
			if fi, err := os.Stat(args[0]); err == nil {
				b.File = fi.Size()
			}
			return emit(cmd, b, b.text)
		},
	}
	mf.add(cmd)
	cmd.Flags().Lookup("threads").Usage = "threads that share one run; 0 tries which number suits the model (default: all cores)"
	cmd.Flags().IntVar(&runs, "runs", 0, "how many runs to measure (default: for two seconds)")
	cmd.Flags().BoolVar(&profile, "profile", false, "show the time of each step")
	return cmd
}

// measure fills in what running p gives. Root is where the board's files are read: before
// the runs, and at once behind them, while it is as hot and as fast as it was.
func (b *benchmark) measure(ctx context.Context, p *runtime.Program, runs int, profile bool, root string) error {
	b.Before = conditionsOf(info.Read(root))
	s := p.NewSession()
	defer s.Close()
	for i := range p.Inputs() {
		fillInput(s.Input(i))
	}
	once := func() (int64, error) {
		start := time.Now()
		err := s.Run(ctx)
		return time.Since(start).Nanoseconds(), err
	}
	var err error
	if b.FirstNS, err = once(); err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < warmTime; {
		if _, err := once(); err != nil {
			return err
		}
	}
	n := runs
	if n == 0 {
		n = maxRuns
	}
	times := make([]int64, 0, n)
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	for start := time.Now(); len(times) < n; {
		if runs == 0 && len(times) >= minRuns && time.Since(start) > benchTime {
			break
		}
		t, err := once()
		if err != nil {
			return err
		}
		times = append(times, t)
	}
	goruntime.ReadMemStats(&after)
	b.Board = info.Read(root)
	b.After, b.Warn = conditionsOf(b.Board), b.Board.Warnings
	b.Runs = len(times)
	b.Allocs = float64(after.Mallocs-before.Mallocs) / float64(b.Runs)
	slices.Sort(times)
	b.MinNS, b.P50NS, b.P90NS, b.P99NS = times[0], quantile(times, 50), quantile(times, 90), quantile(times, 99)
	b.Threads, b.ISA, b.Arena, b.Weights = p.Threads(), p.Level().String(), p.ArenaBytes(), p.WeightBytes()
	asm := int64(0)
	for _, st := range p.Steps() {
		b.MACs += st.MACs
		if st.Asm {
			asm += st.MACs
		}
	}
	if b.MACs > 0 {
		b.AsmMACs = float64(asm) / float64(b.MACs)
	}
	if profile {
		// A second round: reading the clock at every step costs time.
		s.Profile(true)
		for range max(minRuns, min(b.Runs, 1000)) {
			if _, err := once(); err != nil {
				return err
			}
		}
		b.profile(p, s)
	}
	b.PeakRSS = info.PeakRSS()
	return nil
}

// quantile returns the nearest-rank percentile of sorted values.
func quantile(sorted []int64, percent int) int64 {
	return sorted[(len(sorted)*percent+99)/100-1]
}

// fillInput writes a fixed pattern: zeros would let data-dependent code look
// faster than it is, and denormals slower.
func fillInput(t *runtime.Tensor) {
	x := uint32(0x9e3779b9)
	next := func() uint32 { // xorshift (Marsaglia, 2003)
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		return x
	}
	b := t.Bytes()
	switch {
	case t.Type == format.Float32:
		for i := 0; i+4 <= len(b); i += 4 {
			binary.LittleEndian.PutUint32(b[i:], math.Float32bits(float32(int32(next()))/(1<<31)))
		}
	case t.Type.Bits() <= 16 && t.Type != format.Bool && !t.Type.Float():
		for i := range b {
			b[i] = byte(next())
		}
	}
	// Wider integers are indices or lengths: they stay 0.
}

func (b *benchmark) profile(p *runtime.Program, s *runtime.Session) {
	steps, times := p.Steps(), s.Times()
	total := int64(0)
	for i, st := range steps {
		t := times[i]
		row := benchStep{Node: st.Node, Op: st.Op, Kernel: st.Kernel, Asm: st.Asm, MACs: st.MACs, Bytes: st.Bytes, MinNS: t.Min.Nanoseconds()}
		if t.Runs > 0 {
			row.MeanNS = t.Total.Nanoseconds() / int64(t.Runs)
		}
		total += row.MeanNS
		b.Steps = append(b.Steps, row)
	}
	for i := range b.Steps {
		st := &b.Steps[i]
		st.Share = float64(st.MeanNS) / float64(max(total, 1))
		if cycles := b.cycles(st.MinNS); cycles > 0 {
			st.Rate = float64(st.MACs) / cycles
		}
	}
}

// cycles returns how many all cores that work had in a time, 0 where the clock is not
// known.
func (b *benchmark) cycles(ns int64) float64 {
	return float64(ns) * float64(b.After.ClockHz) / 1e9 * float64(b.Threads)
}

// conditions puts the board, and how it was during the runs, into the table.
func (b *benchmark) conditions(row func(key, format string, args ...any)) {
	row("board", "%s, %d x %s (%s), %s", b.Board.Model, b.Board.Cores, b.Board.CPU, strings.Join(b.Board.Features, " "), byteCount(b.Board.MemTotal))
	if b.After.ClockHz > 0 {
		row("clock", "%.0f MHz before, %.0f after, %.0f at most; governor %s", float64(b.Before.ClockHz)/1e6, float64(b.After.ClockHz)/1e6,
			float64(b.Board.ClockMaxHz)/1e6, b.Board.Governor)
	}
	if b.After.Celsius > 0 {
		row("heat", "%.1f °C before, %.1f after", b.Before.Celsius, b.After.Celsius)
	}
	if b.Board.Power != "" {
		row("power", "%s", b.Board.Power)
	}
	if t := b.After.Throttle; len(t) > 0 {
		row("slowed down", "%s", strings.Join(t, ", "))
	}
}

func (b *benchmark) text(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s kernels, %d threads, %d runs\n\n", b.Model, b.ISA, b.Threads, b.Runs)
	tw := table(w)
	row := func(key, format string, args ...any) { fmt.Fprintf(tw, "%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	b.conditions(row)
	row("load", "%s (%s)", nanos(b.LoadNS), byteCount(b.File))
	row("first run", "%s", nanos(b.FirstNS))
	row("min", "%s", nanos(b.MinNS))
	row("p50", "%s", nanos(b.P50NS))
	row("p90", "%s", nanos(b.P90NS))
	row("p99", "%s", nanos(b.P99NS))
	if b.MACs > 0 {
		row("work", "%s multiply-adds, %.2f G/s at p50, %.1f %% in assembly", countOf(b.MACs), float64(b.MACs)/float64(b.P50NS), 100*b.AsmMACs)
		if cycles := b.cycles(b.P50NS); cycles > 0 {
			row("", "%.2f a cycle and core", float64(b.MACs)/cycles)
		}
	}
	row("memory", "%s at the peak; %s of activations, %s of weights", byteCount(b.PeakRSS), byteCount(b.Arena), byteCount(b.Weights))
	row("allocations", "%.2g a run", b.Allocs)
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, s := range b.Warn {
		fmt.Fprintf(w, "  ! %s\n", s)
	}
	if len(b.Steps) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	tw = table(w)
	fmt.Fprintln(tw, "time\tshare\tG MAC/s\tMAC/cycle\tMACs\top\tkernel\tasm\tnode")
	steps := slices.Clone(b.Steps)
	slices.SortStableFunc(steps, func(x, y benchStep) int { return cmp.Compare(y.MeanNS, x.MeanNS) })
	for _, s := range steps {
		rate, perCycle, asm := "", "", ""
		if s.MACs > 0 {
			rate = fmt.Sprintf("%.2f", float64(s.MACs)/float64(max(s.MeanNS, 1)))
		}
		if s.Rate > 0 {
			perCycle = fmt.Sprintf("%.2f", s.Rate)
		}
		if s.Asm {
			asm = "yes"
		}
		fmt.Fprintf(tw, "%s\t%.1f %%\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", nanos(s.MeanNS), 100*s.Share, rate, perCycle, countOf(s.MACs), s.Op, s.Kernel, asm, shortName(s.Node))
	}
	return tw.Flush()
}
