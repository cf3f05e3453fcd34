package prom

import (
	"bytes"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func written(t *testing.T, r *Registry) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(bytes.NewReader(b.Bytes())).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("the linter: %v, %v\n%s", problems, err, &b)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	var r Registry
	c := r.Counter("x_requests_total", "Requests\\answered.\nAll.", "model", "code")
	h := r.Histogram("x_duration_seconds", "Time.", []float64{.5, 1}, "model")
	r.Counter("x_none_total", "Without labels.")
	r.Gauge("x_unused", "With labels, none yet.", "a")
	c.Inc("b", "200")
	c.Add(2, "a\"\\\n\xff", "200")
	for _, ms := range []int{500, 501, 2000} {
		h.Observe(time.Duration(ms)*time.Millisecond, "a")
	}
	r.OnWrite(func() { c.Inc("b", "200") })
	const want = `# HELP x_duration_seconds Time.
# TYPE x_duration_seconds histogram
x_duration_seconds_bucket{model="a",le="0.5"} 1
x_duration_seconds_bucket{model="a",le="1"} 2
x_duration_seconds_bucket{model="a",le="+Inf"} 3
x_duration_seconds_sum{model="a"} 3.001
x_duration_seconds_count{model="a"} 3
# HELP x_none_total Without labels.
# TYPE x_none_total counter
x_none_total 0
# HELP x_requests_total Requests\\answered.\nAll.
# TYPE x_requests_total counter
x_requests_total{model="a\"\\\n` + "\uFFFD" + `",code="200"} 2
x_requests_total{model="b",code="200"} 2
`
	if got := written(t, &r); got != want {
		t.Errorf("it writes\n%s\nwant\n%s", got, want)
	}
}

// TestParse reads the text back with Prometheus' own parser.
func TestParse(t *testing.T) {
	var r Registry
	g := r.Gauge("x_bytes", "Bytes.", "name")
	values := map[string]float64{"big": 1e300, "small": 5e-324, "third": 1.0 / 3, "inf": math.Inf(1), "-inf": math.Inf(-1), "ü\\n\"{}": -1}
	for k, v := range values {
		g.Set(v, k)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader([]byte(written(t, &r))))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range families["x_bytes"].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	for k, v := range values {
		if got[k] != v {
			t.Errorf("%q is read back as %v, want %v", k, got[k], v)
		}
	}
	g.Reset()
	if s := written(t, &r); s != "" {
		t.Errorf("after Reset: %s", s)
	}
}

func TestWrongLabels(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("one value for two labels went through")
		}
	}()
	new(Registry).Counter("x_total", "X.", "a", "b").Inc("a")
}

func TestConcurrent(t *testing.T) {
	var r Registry
	c := r.Counter("x_total", "X.", "a")
	h := r.Histogram("x_seconds", "X.", []float64{1}, "a")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 250 {
				c.Inc("a")
				h.Observe(time.Second, "a")
			}
		})
	}
	written(t, &r)
	wg.Wait()
	if s := written(t, &r); !bytes.Contains([]byte(s), []byte("x_total{a=\"a\"} 1000\n")) || !bytes.Contains([]byte(s), []byte("x_seconds_count{a=\"a\"} 1000\n")) {
		t.Error(s)
	}
}

func TestProcess(t *testing.T) {
	var r Registry
	r.Process()
	text := written(t, &r)
	want := []string{"\ngo_goroutines ", "\nprocess_start_time_seconds "}
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		want = append(want, "\nprocess_resident_memory_bytes ", "\nprocess_cpu_seconds_total ", "\nprocess_open_fds ")
	}
	for _, w := range want {
		if !bytes.Contains([]byte(text), []byte(w)) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

func TestParseStat(t *testing.T) {
	const stat = "42 (a) b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22"
	if ticks, pages, ok := parseStat([]byte(stat)); !ok || ticks != 11+12 || pages != 21 {
		t.Errorf("%v %v %v", ticks, pages, ok)
	}
	for _, bad := range []string{"", "42 a R 1", "42 (a) R 1 2", stat[:20]} {
		if _, _, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q was read", bad)
		}
	}
}
