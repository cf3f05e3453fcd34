// Growth measures class growth by the demo's protocol: a network that knows
// eight of the ten classes of Fashion-MNIST learns the other two on the device
// from 20 examples each, with 20 kept int8 features of each old class. It runs
// the demo itself, judged by all 10,000 test images instead of the embedded
// 1,000, for the seeds 0 to 4 (which choose the examples), and prints old, new
// and all accuracy for each and on average.
//
//	go run ./test/growth [-seeds 5] [-data /usr/share/datasets/fashion-mnist] [-json]
//
// The data is that of the Debian package dataset-fashion-mnist. The exit code
// is 1 if the mean misses a target.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/test/fashion"
)

// The targets for the mean over the seeds.
var targets = demo.Accuracy{Old: 0.85, New: 0.90, All: 0.86}

// result is what -json prints.
type result struct {
	Images int             `json:"images"`
	Seeds  []demo.Accuracy `json:"seeds"`
	Before demo.Accuracy   `json:"before"`
	Mean   demo.Accuracy   `json:"mean"`
	Dev    demo.Accuracy   `json:"deviation"` // over the seeds
	Target demo.Accuracy   `json:"target"`
	Passed bool            `json:"passed"`
}

func main() {
	seeds := flag.Int("seeds", 5, "how many seeds, from 0 on")
	dir := flag.String("data", "/usr/share/datasets/fashion-mnist", "folder with the t10k files of Fashion-MNIST")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	r, err := measure(*dir, *seeds, *asJSON)
	if err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
	if !r.Passed {
		os.Exit(1)
	}
}

func measure(dir string, seeds int, asJSON bool) (*result, error) {
	if seeds < 1 {
		return nil, fmt.Errorf("-seeds %d: at least 1 is needed", seeds)
	}
	test, err := fashion.Load(dir, "t10k")
	if err != nil {
		return nil, fmt.Errorf("%w (apt-get install dataset-fashion-mnist, or -data)", err)
	}
	r := &result{Images: test.Len(), Target: targets}
	line := func(name string, a demo.Accuracy, more string) {
		if !asJSON {
			fmt.Printf("%-8s %7.2f %7.2f %7.2f %s\n", name, 100*a.Old, 100*a.New, 100*a.All, more)
		}
	}
	if !asJSON {
		fmt.Printf("%-8s %7s %7s %7s   percent of %d test images\n", "", "old", "new", "all", test.Len())
	}
	for seed := range seeds {
		rep, err := demo.Run(context.Background(), demo.Options{Seed: uint64(seed), Test: test})
		if err != nil {
			return nil, err
		}
		if seed == 0 {
			r.Before = rep.Before
			line("before", rep.Before, "")
		}
		r.Seeds = append(r.Seeds, rep.After)
		line(fmt.Sprint("seed ", seed), rep.After, fmt.Sprintf("  learned in %v, delta of %d bytes", time.Duration(rep.LearnNS).Round(time.Millisecond), rep.DeltaBytes))
	}
	r.Mean, r.Dev = spread(r.Seeds)
	r.Passed = r.Mean.Old >= targets.Old && r.Mean.New >= targets.New && r.Mean.All >= targets.All
	line("mean", r.Mean, "")
	line("+-", r.Dev, "  deviation over the seeds")
	line("target", targets, map[bool]string{true: "  reached", false: "  MISSED"}[r.Passed])
	if asJSON {
		return r, json.NewEncoder(os.Stdout).Encode(r)
	}
	return r, nil
}

// spread returns the mean and the (population) standard deviation.
func spread(list []demo.Accuracy) (mean, dev demo.Accuracy) {
	each := func(f func(a *demo.Accuracy) *float64) {
		var sum, squares float64
		for i := range list {
			v := *f(&list[i])
			sum += v
			squares += v * v
		}
		n := float64(len(list))
		*f(&mean) = sum / n
		*f(&dev) = math.Sqrt(max(0, squares/n-sum/n*sum/n))
	}
	each(func(a *demo.Accuracy) *float64 { return &a.Old })
	each(func(a *demo.Accuracy) *float64 { return &a.New })
	each(func(a *demo.Accuracy) *float64 { return &a.All })
	return mean, dev
}
