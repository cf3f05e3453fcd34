// Fit is a small program that fine-tunes, to be measured: it holds no more than a device
// would.
//
//	fit MODEL.whet TAIL BATCH SAMPLES [BUDGET]
//
// It prints the planned peak in bytes, and with a budget it trains within it and prints
// the measured peak too (Linux's VmHWM).
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fit:", err)
		os.Exit(1)
	}
}

// noise is samples that are made when they are asked for.
type noise struct {
	n, classes int
	in         *format.Tensor
}

func (d noise) Len() int { return d.n }

func (d noise) Sample(i int) ondevice.Sample {
	return ondevice.Sample{Label: strconv.Itoa(i % d.classes)}
}

func (d noise) Input(i int, dst []byte) error {
	x := uint64(i)*0x9e3779b97f4a7c15 + 1
	next := func() uint64 { // xorshift (Marsaglia, 2003)
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		return x
	}
	if d.in.Type != format.Float32 {
		for k := range dst {
			dst[k] = byte(next())
		}
		return nil
	}
	for k := 0; k < len(dst); k += 4 {
		binary.LittleEndian.PutUint32(dst[k:], math.Float32bits(float32(next()>>40)/(1<<24)))
	}
	return nil
}

func run(args []string) error {
	if len(args) < 4 || len(args) > 5 {
		return errors.New("the arguments are MODEL.whet TAIL BATCH SAMPLES [BUDGET]")
	}
	m, err := format.Open(args[0])
	if err != nil {
		return err
	}
	defer m.Close()
	tail := map[string]ondevice.Tail{"head": ondevice.Head, "bias": ondevice.Bias, "all": ondevice.All}[args[1]]
	if n, ok := strings.CutPrefix(args[1], "last:"); ok {
		k, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		tail = ondevice.Last(k)
	}
	batch, err1 := strconv.Atoi(args[2])
	samples, err2 := strconv.Atoi(args[3])
	budget, err3 := int64(0), error(nil)
	if len(args) == 5 {
		budget, err3 = strconv.ParseInt(args[4], 10, 64)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	var classes []string
	for i := range m.Tensor(m.Main().Outputs[0]).Shape.Elems() {
		classes = append(classes, strconv.Itoa(i))
	}
	data := noise{samples, len(classes), m.Tensor(m.Main().Inputs[0].Tensor)}
	plan, err := ondevice.Plan(m, data, ondevice.Options{
		Tail: tail, Batch: batch, Epochs: 2, LR: 1e-4, Val: 0.2, Classes: classes, Memory: budget, Gate: ondevice.Gate{MinGain: -1, MaxClassDrop: 1},
	})
	if err != nil {
		return err
	}
	fmt.Println("planned", plan.PeakBytes)
	if budget == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "fit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	job, err := ondevice.Start(context.Background(), plan, dir+"/job")
	if err != nil {
		return err
	}
	delta, report, err := job.Wait(context.Background())
	if err != nil {
		return err
	}
	if delta == nil {
		return errors.New(report.Verdict)
	}
	peak, err := highWater()
	fmt.Println("measured", peak)
	return err
}

// highWater is the most memory that this process has had resident, in bytes.
func highWater() (int64, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if kib, ok := strings.CutPrefix(in.Text(), "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(kib, "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}
