package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// maxWait is how long a request may wait for its turn in [TestOverload].
const maxWait = 200 * time.Millisecond

// TestOverload asks five times as much of whet serve as it can compute. What it
// accepts must be answered in twice the quiet time and the time that a request
// may wait, what it refuses must say when to come again, and it must be
// itself again within a second. The server gets core 0, this program should
// have another one:
//
//	WHET_OVERLOAD=60s WHET_MODEL=mobilenet_v2.whet taskset -c 1 go test -v -timeout 10m -run Overload ./test/serve
func TestOverload(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("WHET_OVERLOAD"))
	if err != nil {
		t.Skip("set WHET_OVERLOAD=60s to overload whet serve that long")
	}
	l := newLoad(t, serveOn(t, []string{"env", "WHET_SERVE_MAX_WAIT=" + maxWait.String(), "taskset", "-c", "0"}, os.Getenv("WHET_MODEL")))
	const clients = 4
	began, n := time.Now(), 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for time.Since(began) < d/4 {
				if _, code, _ := l.ask(); code == 200 {
					mu.Lock()
					n++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	capacity := float64(n) / time.Since(began).Seconds()
	quiet := l.at(0.3*capacity, d/2)
	over := l.at(5*capacity, d)
	back := time.Now()
	for {
		if took, code, _ := l.ask(); code == 200 && took <= 2*quiet.p(99) {
			break
		}
		if time.Since(back) > 10*time.Second {
			break
		}
	}
	recovered := time.Since(back)
	t.Logf("capacity %.0f/s; quiet p50 %v p99 %v; overloaded: %d answered, %d refused, %d else, p50 %v p99 %v; recovered in %v",
		capacity, quiet.p(50), quiet.p(99), len(over.took), over.refused, over.other, over.p(50), over.p(99), recovered)
	if over.p(99) > 2*quiet.p(99)+maxWait || over.other > 0 || over.refused == 0 || recovered > time.Second {
		t.Error("not as it should be")
	}
}

// A load is requests of one kind.
type load struct {
	t      *testing.T
	url    string
	header string
	body   []byte
	client http.Client
}

// newLoad makes a request of zeros, as binary tensors, for the model that a server has.
func newLoad(t *testing.T, url string) *load {
	t.Helper()
	resp, err := http.Get("http://" + url + "/v2/models/model")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var meta struct {
		Inputs []struct {
			Name, Datatype string
			Shape          []int
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&meta); err != nil || len(meta.Inputs) != 1 {
		t.Fatalf("a model of one input is needed: %v", err)
	}
	in := meta.Inputs[0]
	size := map[string]int{"INT8": 1, "UINT8": 1, "INT16": 2, "FP32": 4}[in.Datatype]
	for _, s := range in.Shape {
		size *= s
	}
	shape, err := json.Marshal(in.Shape)
	if err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf(`{"inputs":[{"name":%q,"shape":%s,"datatype":%q,"parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`, in.Name, shape, in.Datatype, size)
	l := &load{t: t, url: "http://" + url + "/v2/models/model/infer", header: strconv.Itoa(len(head)), body: append([]byte(head), make([]byte, size)...)}
	// More connections than the queue has places; without a bound, a load that is
	// not refused at once would run out of ports and measure only that.
	const connections = 256
	l.client.Transport = &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	return l
}

func (l *load) ask() (took time.Duration, code int, retry string) {
	r, err := http.NewRequest("POST", l.url, bytes.NewReader(l.body))
	if err != nil {
		l.t.Error(err)
		return 0, 0, ""
	}
	r.Header.Set("Inference-Header-Content-Length", l.header)
	start := time.Now()
	resp, err := l.client.Do(r)
	if err != nil {
		return time.Since(start), 0, ""
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the status says what became of it
	return time.Since(start), resp.StatusCode, resp.Header.Get("Retry-After")
}

// An outcome is what became of requests.
type outcome struct {
	took           []time.Duration // of those that were answered
	refused, other int
}

// p is a percentile of the times.
func (o *outcome) p(percent float64) time.Duration {
	if len(o.took) == 0 {
		return 0
	}
	slices.Sort(o.took)
	return o.took[min(int(float64(len(o.took))*percent/100), len(o.took)-1)]
}

// at asks so many times a second, whether or not answers have come.
func (l *load) at(rate float64, d time.Duration) *outcome {
	o := &outcome{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; ; i++ {
		due := time.Duration(float64(i) / rate * float64(time.Second))
		if due > d {
			break
		}
		time.Sleep(time.Until(start.Add(due)))
		wg.Go(func() {
			took, code, retry := l.ask()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case code == 200:
				o.took = append(o.took, took)
			case code == 503 && retry != "":
				o.refused++
			default:
				o.other++
			}
		})
	}
	wg.Wait()
	return o
}
