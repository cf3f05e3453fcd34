package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/kernels"
)

// doctorReport is what whet doctor found.
type doctorReport struct {
	Version  string      `json:"version"`
	Go       string      `json:"go"`
	Board    *info.Board `json:"board"`
	ISA      string      `json:"isa"` // the level that programs get
	Levels   []string    `json:"levels"`
	WhetISA  string      `json:"whet_isa,omitempty"` // the environment variable
	Threads  int         `json:"threads"`
	Time     time.Time   `json:"time"`
	Disk     string      `json:"disk"`
	DiskFree int64       `json:"disk_free_bytes"`
	DiskSize int64       `json:"disk_size_bytes"`
	FlushNS  int64       `json:"disk_flush_ns"` // how long it took to make 4 KiB durable; 0: they could not be written
	Warnings []string    `json:"warnings"`
}

// lowDisk is where tuning jobs and their checkpoints begin to be at risk.
const lowDisk = 64 << 20

func newDoctorCmd() *cobra.Command {
	var sysroot, disk string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this board is, which kernels it gets and what is wrong with it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &doctorReport{
				Version: buildVersion(), Go: goruntime.Version(), Board: info.Read(sysroot), ISA: kernels.Best().String(),
				WhetISA: os.Getenv("WHET_ISA"), Threads: goruntime.GOMAXPROCS(0), Time: time.Now().UTC().Truncate(time.Second),
				Disk: disk, Warnings: []string{},
			}
			for _, l := range kernels.Levels() {
				r.Levels = append(r.Levels, l.String())
			}
			r.Warnings = append(r.Warnings, r.Board.Warnings...)
			r.check()
			return emit(cmd, r, r.text)
		},
	}
	cmd.Flags().StringVar(&sysroot, "sysroot", "/", "read /proc and /sys below this folder")
	cmd.Flags().StringVar(&disk, "disk", ".", "the folder whose free space is shown")
	return cmd
}

// check fills in what needs judgement.
func (r *doctorReport) check() {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			// A board without a battery-backed clock comes up in the past; then
			// records are out of order and certificates are not yet valid.
			if built, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && r.Time.Before(built) {
				warn("the clock is wrong: it shows a time before this program was built (%s); start time synchronisation", s.Value)
			}
		}
	}
	if err := kernels.Err(); err != nil {
		warn("%v", err)
	} else if r.ISA == kernels.Generic.String() {
		warn("no assembly kernels are used: the CPU has none that whet knows, WHET_ISA=generic is set, or the program was built with -tags purego")
	}
	var err error
	if r.DiskFree, r.DiskSize, err = info.Disk(r.Disk); err != nil {
		warn("disk: %v", err)
	} else if r.DiskFree < lowDisk {
		warn("the disk of %s has only %s free", r.Disk, byteCount(r.DiskFree))
	}
	took, err := flush(r.Disk)
	r.FlushNS = took.Nanoseconds()
	switch {
	case err != nil:
		warn("nothing can be kept in %s: %v (give the folder to this user, or choose another with --state)", r.Disk, err)
	case took > slowFlush:
		warn("the disk of %s took %v to make 4 KiB durable; each sample costs that: a better card or a USB drive helps", r.Disk, took.Round(time.Millisecond))
	}
}

// slowFlush is more than a worn or busy SD card should take.
const slowFlush = 500 * time.Millisecond

// flush writes 4 KiB into the folder as the daemon does and returns how long
// that took to be durable: the median of three.
func flush(dir string) (time.Duration, error) {
	var took []time.Duration
	for range 3 {
		start := time.Now()
		name := filepath.Join(dir, ".whet-doctor")
		err := vfs.WriteFile(vfs.OS, name, func(w io.Writer) error {
			_, err := w.Write(make([]byte, 4096))
			return err
		})
		took = append(took, time.Since(start))
		if err == nil {
			err = os.Remove(name)
		}
		if err != nil {
			return 0, err
		}
	}
	slices.Sort(took)
	return took[1], nil
}

func (r *doctorReport) text(w io.Writer) error {
	b := r.Board
	name := b.Model
	if b.Kind != "" {
		name += " (" + b.Kind + ", " + b.SoC + ")"
	}
	tw := table(w)
	row := func(key, format string, args ...any) { fmt.Fprintf(tw, "%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	row("board", "%s", name)
	row("cpu", "%s, %d cores, %s/%s", b.CPU, b.Cores, b.OS, b.Arch)
	row("features", "%s", strings.Join(b.Features, " "))
	row("kernels", "%s (of %s)", r.ISA, strings.Join(r.Levels, ", "))
	row("threads", "%d", r.Threads)
	memory := "not known"
	if b.MemTotal > 0 {
		memory = fmt.Sprintf("%s, %s available", byteCount(b.MemTotal), byteCount(b.MemAvailable))
	}
	if b.MemLimit > 0 {
		memory += ", limited to " + byteCount(b.MemLimit)
	}
	row("memory", "%s", memory)
	clock := "not known"
	if b.ClockHz > 0 {
		clock = fmt.Sprintf("%d MHz of %d, governor %s", b.ClockHz/1e6, b.ClockMaxHz/1e6, b.Governor)
	}
	row("clock", "%s", clock)
	heat := "no sensor"
	if len(b.Zones) > 0 {
		heat = fmt.Sprintf("%.1f °C", b.Hottest())
	}
	row("heat", "%s", heat)
	row("power", "%s", cmp.Or(b.Power, "no sensor"))
	row("disk", "%s of %s free at %s", byteCount(r.DiskFree), byteCount(r.DiskSize), r.Disk)
	if r.FlushNS > 0 {
		row("flush", "%v to make 4 KiB durable", time.Duration(r.FlushNS).Round(10*time.Microsecond))
	}
	row("time", "%s", r.Time.Format(time.RFC3339))
	row("whet", "%s, %s", r.Version, r.Go)
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(r.Warnings) == 0 {
		fmt.Fprintln(w, "\nNothing wrong was found.")
		return nil
	}
	fmt.Fprintln(w, "\nWarnings:")
	for _, s := range r.Warnings {
		fmt.Fprintf(w, "  ! %s\n", s)
	}
	return nil
}
