// Job resumes a training job in a folder until its delta is written, with a checkpoint
// after every step: what the tests of package crash kill.
//
//	job DIR KIND [EPOCHS]
//
// It prints "step N" before the checkpoint of step N is written, and "done" at the end.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// fileLimit is an environment variable: the largest file that may be written, in bytes.
const fileLimit = "WHET_CRASH_FILE_LIMIT"

// kinds are the jobs, with as many epochs as take about half a second.
var kinds = map[string]ondevice.Options{
	"sgd":   {Epochs: 30, Batch: 32, LR: 0.01},
	"adamw": {Epochs: 30, Batch: 32, LR: 0.001, Optimizer: ondevice.AdamW, Schedule: ondevice.Cosine, ClipNorm: 1, Mixup: 0.2, Dropout: 0.1},
	"folds": {Epochs: 8, Batch: 32, LR: 0.01, Folds: 3},
	"bias":  {Epochs: 8, Batch: 16, LR: 0.001, Tail: ondevice.Bias},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "job:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("the arguments are DIR KIND [EPOCHS]")
	}
	dir := args[0]
	opt, ok := kinds[args[1]]
	if !ok {
		return fmt.Errorf("kind %q is not known", args[1])
	}
	var err error
	if len(args) == 3 {
		if opt.Epochs, err = strconv.Atoi(args[2]); err != nil {
			return err
		}
	}
	if v := os.Getenv(fileLimit); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return err
		}
		if err := limitFiles(n); err != nil {
			return err
		}
	}
	model, err := format.FromBytes(demo.BaseFile())
	if err != nil {
		return err
	}
	sets, err := demo.Embedded()
	if err != nil {
		return err
	}
	var data ondevice.Samples
	for i, c := range sets[0].Label {
		if c >= demo.Old || len(data) == 160 {
			continue
		}
		x := bytes.Clone(sets[0].Pixels[i])
		for k := range x {
			x[k] ^= 0x80 // the input's zero point is -128
		}
		data = append(data, ondevice.Sample{Input: x, Label: demo.Classes[c]})
	}
	opt.Checkpoint = -1
	opt.Gate = ondevice.Gate{MinGain: -1, MaxClassDrop: 1} // what the weights are is all that counts
	opt.OnStep = func(s ondevice.Step) error {
		fmt.Println("step", s.Number)
		return nil
	}
	plan, err := ondevice.Plan(model, data, opt)
	if err != nil {
		return err
	}
	job, err := ondevice.Resume(context.Background(), plan, filepath.Join(dir, "job"))
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
	if err := format.WriteDeltaFile(filepath.Join(dir, "delta"), delta); err != nil {
		return err
	}
	fmt.Println("done")
	return nil
}
