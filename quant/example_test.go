package quant_test

import (
	"context"
	"fmt"
	"log"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
)

// A float model becomes int8, the worst of its layers stay float32 if that is
// what it takes for 30 dB, and the report says where the rest of the error is.
func ExampleQuantize() {
	m, err := format.Open("float.whet")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	sample := make([]float32, 96*96*3)
	samples := func(yield func(quant.Sample, error) bool) {
		for i := range 100 {
			for k := range sample { // read sample i here
				sample[k] = float32(i%10) / 10
			}
			if !yield(quant.Sample{sample}, nil) {
				return
			}
		}
	}
	r, err := quant.Quantize(context.Background(), m, samples, quant.Options{Budget: quant.Budget{SQNR: 30}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f dB, %d nodes in float32\n", r.Report.Score.SQNR, len(r.Float))
	for _, l := range r.Report.Guilty(3) {
		fmt.Printf("%s adds %.2g%% of noise\n", l.Node, 100*l.Added)
	}
	if err := format.WriteFile("int8.whet", r.Model); err != nil {
		log.Fatal(err)
	}
}
