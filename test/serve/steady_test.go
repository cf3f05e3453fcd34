package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// steadyRate is requests a second, as a camera sends them.
const steadyRate = 30

// TestSteady asks 30 times a second: of 1,000 answers 999 must take at most
// twice as long as one half of them. The server gets core 0, this program should
// have another one:
//
//	WHET_STEADY=10m WHET_MODEL=mobilenet_v2.whet taskset -c 1 go test -v -timeout 20m -run Steady ./test/serve
func TestSteady(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("WHET_STEADY"))
	if err != nil {
		t.Skip("set WHET_STEADY=10m to ask whet serve 30 times a second for that long")
	}
	l := newLoad(t, serveOn(t, []string{"taskset", "-c", "0"}, os.Getenv("WHET_MODEL")))
	l.at(steadyRate, time.Second) // warm
	o := l.at(steadyRate, d)
	t.Logf("%d answered, %d not; p50 %v p99 %v p99.9 %v: %.2f times the median", len(o.took), o.refused+o.other,
		o.p(50), o.p(99), o.p(99.9), float64(o.p(99.9))/float64(o.p(50)))
	if o.refused+o.other > 0 || o.p(99.9) > 2*o.p(50) {
		t.Error("not as it should be")
	}
}

// TestBeside asks 30 times a second while the same model is trained and while it
// is not, in turns: training may make the 99th percentile longer by a tenth. What the
// ends of jobs add (the gate's runs, a new version that is loaded and warmed up) is told
// beside it, with jobs so short that one ends every few seconds.
//
//	WHET_BESIDE=4m WHET_MODEL=mobilenet_v2.whet taskset -c 1 go test -v -timeout 20m -run Beside ./test/serve
func TestBeside(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("WHET_BESIDE"))
	if err != nil {
		t.Skip("set WHET_BESIDE=4m to measure for that long what training does to requests")
	}
	l := newLoad(t, serveOn(t, []string{"taskset", "-c", "0"}, os.Getenv("WHET_MODEL")))
	l.teach(40)
	l.at(steadyRate, time.Second) // warm
	var quiet, beside, ends outcome
	steps := 0
	const turns = 4
	for range turns {
		quiet.add(l.at(steadyRate, d/(3*turns)))
		stop := l.train(1_000_000) // longer than it is watched
		beside.add(l.at(steadyRate, d/(3*turns)))
		steps += stop()
		stop = l.train(1000)
		ends.add(l.at(steadyRate, d/(3*turns)))
		stop()
	}
	t.Logf("alone p50 %v p99 %v; beside training (%d steps) p50 %v p99 %v: %+.1f %%; with jobs that end p50 %v p99 %v", quiet.p(50), quiet.p(99), steps, beside.p(50), beside.p(99),
		100*(float64(beside.p(99))/float64(quiet.p(99))-1), ends.p(50), ends.p(99))
	if lost := quiet.refused + quiet.other + beside.refused + beside.other + ends.refused + ends.other; lost > 0 || steps == 0 || float64(beside.p(99)) > 1.1*float64(quiet.p(99)) {
		t.Errorf("not as it should be: %d requests were not answered", lost)
	}
}

func (o *outcome) add(more *outcome) {
	o.took = append(o.took, more.took...)
	o.refused += more.refused
	o.other += more.other
}

// teach gives the model samples of two classes, n of each: noise, for what they
// teach does not matter here.
func (l *load) teach(n int) {
	l.t.Helper()
	jsonLen, err := strconv.Atoi(l.header)
	if err != nil {
		l.t.Fatal(err)
	}
	for i := range 2 * n {
		head := fmt.Sprintf(`{"label":"kind %d",`, i%2) + string(l.body[1:jsonLen])
		data := make([]byte, len(l.body)-jsonLen)
		for k := range data {
			data[k] = byte(k*(i+1)>>3) & 0x3f // of any type a small number, none of them a NaN
		}
		r, err := http.NewRequest("POST", strings.TrimSuffix(l.url, "infer")+"samples", strings.NewReader(head+string(data)))
		if err != nil {
			l.t.Fatal(err)
		}
		r.Header.Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
		if code, body := l.send(r); code != http.StatusCreated {
			l.t.Fatalf("a sample is answered %d %s", code, body)
		}
	}
}

// train keeps the model being trained, one job of so many epochs after another, until
// stop is called, which returns how many steps were seen.
func (l *load) train(epochs int) (stop func() int) {
	url := strings.TrimSuffix(l.url, "infer") + "train"
	done := make(chan struct{})
	steps, last := 0, 0
	var wg sync.WaitGroup
	ask := func(method, body string) (int, []byte) {
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			l.t.Error(err)
			return 0, nil
		}
		return l.send(r)
	}
	wg.Go(func() {
		for seed := 1; ; {
			var job struct {
				State    string
				Progress struct{ Step int }
			}
			code, body := ask("GET", "")
			if code == http.StatusOK {
				if err := json.Unmarshal(body, &job); err != nil {
					l.t.Error(err)
				}
			}
			if job.State != "running" {
				seed, last = seed+1, 0
				if code, body := ask("POST", fmt.Sprintf(`{"epochs":%d,"seed":%d,"classes":["kind 0","kind 1"],"allow_forgetting":true}`, epochs, seed)); code != http.StatusAccepted {
					l.t.Errorf("training is answered %d %s", code, body)
					return
				}
			}
			steps += max(0, job.Progress.Step-last)
			last = job.Progress.Step
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() int {
		close(done)
		wg.Wait()
		ask("DELETE", "") // it may have ended by itself
		return steps
	}
}

func (l *load) send(r *http.Request) (int, []byte) {
	resp, err := l.client.Do(r)
	if err != nil {
		l.t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Error(err)
	}
	return resp.StatusCode, body
}
