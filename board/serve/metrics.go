package serve

import (
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the server's figures for Prometheus. Names have the prefix whet_,
// base units and _total for counters; no label takes its values from clients.
type metrics struct {
	server   *Server
	registry *prometheus.Registry
	http     http.Handler

	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	queue     *prometheus.HistogramVec
	infer     *prometheus.HistogramVec
	rejected  *prometheus.CounterVec
	samples   *prometheus.CounterVec
	fsync     prometheus.Histogram
	recovered prometheus.Counter
	trainRuns *prometheus.CounterVec
	gate      *prometheus.GaugeVec
}

// latencies are the bounds of the histograms of time, in seconds: from a small
// model on a fast board to a large one on a slow board.
var latencies = []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

func newMetrics(s *Server) *metrics {
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencies}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		server:   s,
		registry: prometheus.NewRegistry(),
		requests: counter("whet_requests_total", "Requests that a model answered or refused.", "model", "version", "code"),
		duration: histogram("whet_request_duration_seconds", "Time from a request's header to its answer.", "model"),
		queue:    histogram("whet_queue_duration_seconds", "Time that inference requests waited for a session.", "model"),
		infer:    histogram("whet_infer_duration_seconds", "Time that inference took.", "model"),
		rejected: counter("whet_rejected_total", "Requests refused for want of room.", "reason"),
		samples:  counter("whet_samples_total", "Samples acknowledged, by label; \"other\" is every label that the model does not know.", "model", "label"),
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "whet_store_fsync_duration_seconds", Help: "Time that the sample log's fsync took.", Buckets: latencies,
		}),
		recovered: prometheus.NewCounter(prometheus.CounterOpts{Name: "whet_store_recovered_records_total", Help: "Samples found in the log at the start."}),
		trainRuns: counter("whet_train_runs_total", "Training jobs by result, and rollbacks.", "result"),
		gate: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "whet_gate_accuracy_ratio", Help: "Accuracy on held-back samples of the latest training job, before and after.",
		}, []string{"set"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "whet_build_info", Help: "1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": s.cfg.Version, "go": runtime.Version(), "arch": runtime.GOARCH},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.requests, m.duration, m.queue, m.infer, m.rejected, m.samples, m.fsync, m.recovered, m.trainRuns, m.gate, build, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.recovered.Add(float64(s.cfg.Store.Recovered().Samples))
	s.cfg.Store.OnSync(func(d time.Duration) { m.fsync.Observe(d.Seconds()) })
	m.http = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: nil})
	return m
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.http.ServeHTTP(w, r)
	return nil
}

// request counts an answered request.
func (m *metrics) request(model, version string, code int, took time.Duration, err error) {
	var b *busy
	if errors.As(err, &b) {
		m.rejected.WithLabelValues(b.reason).Inc()
	}
	if model == "" {
		return // about no model, or about one that there is not
	}
	m.requests.WithLabelValues(model, version, strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(model).Observe(took.Seconds())
}

func (m *metrics) sampleAdded(model, label string, known []string) {
	if !slices.Contains(known, label) {
		label = "other"
	}
	m.samples.WithLabelValues(model, label).Inc()
}

func (m *metrics) trainEnded(result string, o *Outcome) {
	m.trainRuns.WithLabelValues(result).Inc()
	if o != nil {
		m.gate.WithLabelValues("before").Set(o.Base)
		m.gate.WithLabelValues("after").Set(o.Tuned)
	}
}

// What is read off the server when Prometheus asks.
var (
	descState   = prometheus.NewDesc("whet_model_state", "1 for the state that a model is in.", []string{"model", "version", "state"}, nil)
	descMemory  = prometheus.NewDesc("whet_model_memory_bytes", "Weights and one session of the version that serves.", []string{"model"}, nil)
	descQueue   = prometheus.NewDesc("whet_queue_depth", "Requests that wait for a model.", []string{"model"}, nil)
	descStored  = prometheus.NewDesc("whet_samples", "Samples kept.", []string{"model"}, nil)
	descBytes   = prometheus.NewDesc("whet_samples_bytes", "Size of the sample log on disk.", nil, nil)
	descRunning = prometheus.NewDesc("whet_train_running", "1 while a training job runs.", nil, nil)
	descLoss    = prometheus.NewDesc("whet_train_loss", "Loss of the latest training job.", []string{"model"}, nil)
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descState, descMemory, descQueue, descStored, descBytes, descRunning, descLoss} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := m.server
	for _, e := range s.repo.entries() {
		e.mu.Lock()
		n, state := e.live, e.state
		e.mu.Unlock()
		version := ""
		if n != nil {
			version = n.version
			gauge(descMemory, float64(n.Memory()), e.name)
			gauge(descQueue, float64(n.waiting.Load()), e.name)
		}
		gauge(descState, 1, e.name, version, state)
		gauge(descStored, float64(s.cfg.Store.Counts(e.name).Samples), e.name)
		if st := s.jobs.latest(e.name); st != nil {
			gauge(descLoss, st.Progress.Loss, e.name)
		}
	}
	gauge(descBytes, float64(s.cfg.Store.Bytes()))
	running := 0.0
	if s.jobs.busy() {
		running = 1
	}
	gauge(descRunning, running)
}
