package ondevice_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// Tune a model's head on a few recordings, in at most 64 MiB, and keep the
// result only if it is no worse than what was there.
func Example() {
	ctx := context.Background()
	m, err := format.Open("kws.whet")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	var data ondevice.Samples
	for i, b := range recordings("yes") {
		data = append(data, ondevice.Sample{Input: b, Label: "yes", Source: fmt.Sprint("yes ", i)})
	}
	for i, b := range recordings("no") {
		data = append(data, ondevice.Sample{Input: b, Label: "no", Source: fmt.Sprint("no ", i)})
	}

	plan, err := ondevice.Plan(m, data, ondevice.Options{Tail: ondevice.Head, Memory: 64 << 20})
	if tight := new(ondevice.BudgetError); errors.As(err, &tight) {
		log.Fatalf("%d MiB would be enough", tight.Need>>20+1)
	} else if err != nil {
		log.Fatal(err)
	}
	job, err := ondevice.Resume(ctx, plan, "kws.job") // goes on where a power cut stopped it
	if err != nil {
		log.Fatal(err)
	}
	delta, report, err := job.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if delta == nil {
		log.Fatal("refused: ", report.Verdict)
	}
	if err := format.WriteDeltaFile("kws.whetd", delta); err != nil {
		log.Fatal(err)
	}
	if err := job.Remove(); err != nil { // only now is the job no longer needed
		log.Fatal(err)
	}
	fmt.Printf("accuracy %.3f, before %.3f\n", report.Tuned.Accuracy, report.Base.Accuracy)
}

// Teach a model two classes that it does not know. Up to 20 examples of each
// known class, kept as features of a few hundred bytes, protect those.
func ExampleReservoir() {
	ctx := context.Background()
	m, err := format.Open("parts.whet")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	old, err := ondevice.Extract(ctx, m, samples("bolt", "nut", "washer"))
	if err != nil {
		log.Fatal(err)
	}
	keep := ondevice.NewReservoir(old, 20, 1)
	for i := range old.Len() {
		if err := keep.Add(old, i); err != nil {
			log.Fatal(err)
		}
	}
	plan, err := ondevice.Plan(m, samples("rivet", "split pin"), ondevice.Options{Replay: keep.Features()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("new:", plan.New, "of", plan.Classes)
}

func recordings(string) [][]byte { return nil }

func samples(...string) ondevice.Samples { return nil }
