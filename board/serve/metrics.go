package serve

import (
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/whet-edge/whet/board/serve/prom"
)

// metrics are the server's figures for Prometheus. Names have the prefix whet_,
// base units and _total for counters; no label takes its values from clients.
type metrics struct {
	server   *Server
	registry prom.Registry

	requests, duration, queue, infer *prom.Family
	rejected, samples, fsync         *prom.Family
	evicted, confidence              *prom.Family
	trainRuns, gate, canaries        *prom.Family

	// Read off the server when Prometheus asks.
	state, memory, depth, stored, bytes, running, loss *prom.Family
	psi, distance, drifted, rate, paused               *prom.Family
}

// latencies are the bounds of the histograms of time, in seconds: from a small
// model on a fast board to a large one on a slow board.
var latencies = []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

// shares are the bounds of a histogram of probabilities: those of sure answers
// are close to 1.
var shares = []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .99, 1}

func newMetrics(s *Server) *metrics {
	m := &metrics{server: s}
	r := &m.registry
	m.requests = r.Counter("whet_requests_total", "Requests that a model answered or refused.", "model", "version", "code")
	m.duration = r.Histogram("whet_request_duration_seconds", "Time from a request's header to its answer.", latencies, "model")
	m.queue = r.Histogram("whet_queue_duration_seconds", "Time that inference requests waited for a session.", latencies, "model")
	m.infer = r.Histogram("whet_infer_duration_seconds", "Time that inference took.", latencies, "model")
	m.rejected = r.Counter("whet_rejected_total", "Requests refused for want of room.", "reason")
	m.samples = r.Counter("whet_samples_total", "Samples acknowledged, by label; \"other\" is every label that the model does not know.", "model", "label")
	m.evicted = r.Counter("whet_samples_evicted_total", "Samples deleted to make room for new ones.")
	m.confidence = r.Histogram("whet_confidence", "The highest score of the answers of the version that serves, where it is a probability.", shares, "model")
	m.fsync = r.Histogram("whet_store_fsync_duration_seconds", "Time that the sample log's fsync took.", latencies)
	m.trainRuns = r.Counter("whet_train_runs_total", "Training jobs by result, and rollbacks.", "result")
	m.gate = r.Gauge("whet_gate_accuracy_ratio", "Accuracy on held-back samples of the latest training job, before and after.", "set")
	m.canaries = r.Counter("whet_canary_total", "Trials of versions by how they ended.", "result")
	m.state = r.Gauge("whet_model_state", "1 for the state that a version is in; its label is stable or canary.", "model", "version", "label", "state")
	m.memory = r.Gauge("whet_model_memory_bytes", "Weights and one session of the version that serves.", "model")
	m.depth = r.Gauge("whet_queue_depth", "Requests that wait for a model.", "model")
	m.stored = r.Gauge("whet_samples", "Samples kept.", "model")
	m.bytes = r.Gauge("whet_samples_bytes", "Size of the sample log on disk.")
	m.running = r.Gauge("whet_train_running", "1 while a training job runs.")
	m.loss = r.Gauge("whet_train_loss", "Loss of the latest training job.", "model")
	m.psi = r.Gauge("whet_drift_psi", "Population stability index of a feature of what a model is shown or answers, against its first samples.", "model", "feature")
	m.distance = r.Gauge("whet_drift_embedding_distance_ratio", "Distance of the mean answer from that of the first samples, in standard deviations.", "model")
	m.drifted = r.Gauge("whet_drift_found", "1 while there is a finding.", "model")
	m.rate = r.Gauge("whet_governor_rate_ratio", "Share of the time in which the governor lets requests be computed.")
	m.paused = r.Gauge("whet_governor_training_paused", "1 while the governor lets training rest.", "reason")
	r.Gauge("whet_build_info", "1; the labels say what is running.", "version", "go", "arch").Set(1, s.cfg.Version, runtime.Version(), runtime.GOARCH)
	recovered := r.Counter("whet_store_recovered_records_total", "Samples found in the log at the start.")
	recovered.Add(float64(s.cfg.Store.Recovered().Samples))
	s.cfg.Store.OnEvict(func(n int) { m.evicted.Add(float64(n)) })
	s.cfg.Store.OnSync(func(d time.Duration) { m.fsync.Observe(d) })
	r.OnWrite(m.collect)
	r.Process()
	return m
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", prom.ContentType)
	return s.metrics.registry.Write(w)
}

// request counts an answered request.
func (m *metrics) request(model, version string, code int, took time.Duration, err error) {
	if b, ok := errors.AsType[*busy](err); ok {
		m.rejected.Inc(b.reason)
	}
	if model == "" {
		return // about no model, or about one that there is not
	}
	m.requests.Inc(model, version, strconv.Itoa(code))
	m.duration.Observe(took, model)
}

func (m *metrics) sampleAdded(model, label string, known []string) {
	if !slices.Contains(known, label) {
		label = "other"
	}
	m.samples.Inc(model, label)
}

func (m *metrics) trainEnded(result string, o *Outcome) {
	m.trainRuns.Inc(result)
	if o != nil {
		m.gate.Set(o.Base, "before")
		m.gate.Set(o.Tuned, "after")
	}
}

func (m *metrics) collect() {
	for _, f := range []*prom.Family{m.state, m.memory, m.depth, m.stored, m.loss, m.psi, m.distance, m.drifted, m.paused} {
		f.Reset()
	}
	s := m.server
	for _, e := range s.repo.entries() {
		e.mu.Lock()
		n, c, state := e.live, e.canary, e.state
		e.mu.Unlock()
		version := ""
		if n != nil {
			version = n.version
			m.memory.Set(float64(n.Memory()), e.name)
			m.depth.Set(float64(n.queue.depth()), e.name)
		}
		m.state.Set(1, e.name, version, labelStable, state)
		if c != nil {
			m.state.Set(1, e.name, c.version, labelCanary, stateReady)
		}
		m.stored.Set(float64(s.cfg.Store.Counts(e.name).Samples), e.name)
		if st := s.driftOf(e); st.Last != nil {
			for _, f := range st.Last.Features {
				m.psi.Set(f.PSI, e.name, f.Name)
			}
			m.distance.Set(st.Last.Distance.Distance, e.name)
			found := 0.0
			if st.Proposal != nil {
				found = 1
			}
			m.drifted.Set(found, e.name)
		}
		if st := s.jobs.latest(e.name); st != nil {
			m.loss.Set(st.Progress.Loss, e.name)
		}
	}
	m.bytes.Set(float64(s.cfg.Store.Bytes()))
	g := s.governor.status()
	m.rate.Set(g.Rate)
	if g.Training == "paused" {
		m.paused.Set(1, g.Reason)
	}
	running := 0.0
	if s.jobs.busy() {
		running = 1
	}
	m.running.Set(running)
}
