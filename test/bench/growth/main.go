// Growth measures how the time of a network grows with its width, its batch and
// the number of its clients, fits a straight line to each, and draws them:
//
//	go run ./test/bench/growth --out DIR
//
// The network is MobileNetV1 (Howard et al., arXiv:1704.04861) on 224x224 pixels
// in int8 with random weights: its time does not depend on their values. Widths go
// from 0.25 to 1.4, batches from 1 to 32, and from 1 to 16 clients ask one after
// the other's turn on a single core. DIR gets width.svg, batch.svg, clients.svg and
// growth.json. The program fails where a fit explains less than --r2 of the
// variance.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/whet-edge/whet/runtime"
)

// A sweep is the times of one quantity.
type sweep struct {
	Name  string    `json:"name"`
	What  string    `json:"x"` // what X counts
	X     []float64 `json:"values"`
	Ms    []float64 `json:"ms"`
	Slope float64   `json:"ms_per_x"`
	At0   float64   `json:"ms_at_0"`
	R2    float64   `json:"r2"`
}

func main() {
	out := flag.String("out", ".", "folder for the pictures and growth.json")
	size := flag.Int("size", 224, "height and width of the input")
	budget := flag.Duration("time", time.Second, "time to measure a point")
	least := flag.Float64("r2", 0.98, "the least share of the variance that a line must explain")
	flag.Parse()
	if err := run(*out, *size, *budget, *least); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func run(out string, size int, budget time.Duration, least float64) error {
	goruntime.GOMAXPROCS(1) // clients share one core, and nobody else's threads take part
	width := &sweep{Name: "width", What: "million multiply-adds"}
	for _, w := range []float64{0.25, 0.35, 0.5, 0.6, 0.75, 0.85, 1, 1.1, 1.25, 1.4} {
		if err := width.point(mobileNet(1, size, w), 1, budget, nil); err != nil {
			return err
		}
	}
	batch := &sweep{Name: "batch", What: "pictures a run"}
	for _, n := range []float64{1, 2, 4, 8, 12, 16, 24, 32} {
		if err := batch.point(mobileNet(int(n), size, 0.5), 1, budget, &n); err != nil {
			return err
		}
	}
	clients := &sweep{Name: "clients", What: "clients"}
	for _, n := range []float64{1, 2, 4, 6, 8, 10, 12, 14, 16} {
		if err := clients.point(mobileNet(1, size, 0.5), int(n), budget, &n); err != nil {
			return err
		}
	}
	all := []*sweep{width, batch, clients}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	bent := 0
	for _, s := range all {
		s.fit()
		fmt.Printf("%-8s %.4g ms each of %s, %.3g ms at 0, R2 %.5f\n", s.Name, s.Slope, s.What, s.At0, s.R2)
		if err := os.WriteFile(filepath.Join(out, s.Name+".svg"), s.draw(), 0o644); err != nil {
			return err
		}
		if s.R2 < least {
			bent++
		}
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "growth.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	if bent > 0 {
		return fmt.Errorf("%d of %d sweeps are no straight lines: R2 below %g", bent, len(all), least)
	}
	return nil
}

// point measures a network for some clients and adds the least time in which all
// of them get an answer. Without x it stands at the network's multiply-adds.
func (s *sweep) point(n *net, clients int, budget time.Duration, x *float64) error {
	p, err := runtime.Compile(n.model(), runtime.WithThreads(1))
	if err != nil {
		return err
	}
	var macs int64
	for _, st := range p.Steps() {
		macs += st.MACs
	}
	at := float64(macs) / 1e6
	if x != nil {
		at = *x
	}
	sessions := make([]*runtime.Session, clients)
	for i := range sessions {
		sessions[i] = p.NewSession()
		defer sessions[i].Close()
	}
	best := time.Duration(1<<63 - 1)
	for begin, runs := time.Now(), 0; runs < 4 || time.Since(begin) < budget; runs++ {
		start := time.Now()
		if err := ask(sessions); err != nil {
			return err
		}
		best = min(best, time.Since(start))
	}
	s.X, s.Ms = append(s.X, at), append(s.Ms, float64(best.Nanoseconds())/1e6)
	return nil
}

// ask lets all clients ask once, at the same time.
func ask(sessions []*runtime.Session) error {
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() { errs[i] = s.Run(context.Background()) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// fit lays the least-squares line through the points.
func (s *sweep) fit() {
	n := float64(len(s.X))
	var mx, my, xx, xy, yy float64
	for i, x := range s.X {
		mx += x / n
		my += s.Ms[i] / n
	}
	for i, x := range s.X {
		dx, dy := x-mx, s.Ms[i]-my
		xx += dx * dx
		xy += dx * dy
		yy += dy * dy
	}
	s.Slope = xy / xx
	s.At0 = my - s.Slope*mx
	s.R2 = xy * xy / (xx * yy)
}
