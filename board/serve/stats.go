package serve

import (
	"net/http"
	"sync"
	"time"
)

// modelStats are a model's figures since the server started, in the form that
// Triton's statistics extension gives them (perf_analyzer and the clients'
// get_inference_statistics read it). Prometheus has its own in [metrics].
type modelStats struct {
	mu    sync.Mutex
	last  time.Time
	stats inferenceStats
}

type inferenceStats struct {
	Success       statDuration `json:"success"`
	Fail          statDuration `json:"fail"`
	Queue         statDuration `json:"queue"`
	ComputeInput  statDuration `json:"compute_input"`
	ComputeInfer  statDuration `json:"compute_infer"`
	ComputeOutput statDuration `json:"compute_output"`
}

type statDuration struct {
	Count int64 `json:"count"`
	NS    int64 `json:"ns"`
}

func (d *statDuration) add(t time.Duration) {
	d.Count++
	d.NS += t.Nanoseconds()
}

// stages are the moments of one inference request.
type stages struct {
	begin, parsed, answered time.Time // the reply is ready at answered
	timing
}

func (m *modelStats) succeeded(s stages) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = s.answered
	m.stats.Success.add(s.answered.Sub(s.begin))
	m.stats.Queue.add(s.queue)
	m.stats.ComputeInput.add(s.parsed.Sub(s.begin))
	m.stats.ComputeInfer.add(s.run)
	m.stats.ComputeOutput.add(s.answered.Sub(s.parsed) - s.queue - s.run)
}

func (m *modelStats) failed(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Fail.add(took)
}

// statsRow is one model in the reply. Batches do not occur: every execution is
// one inference.
type statsRow struct {
	Name       string         `json:"name"`
	Version    string         `json:"version"`
	Last       int64          `json:"last_inference"` // Unix milliseconds
	Inferences int64          `json:"inference_count"`
	Executions int64          `json:"execution_count"`
	Stats      inferenceStats `json:"inference_stats"`
	Batches    []batchStats   `json:"batch_stats"`
	Memory     []memoryUsage  `json:"memory_usage"`
}

type batchStats struct {
	Size          int          `json:"batch_size"`
	ComputeInput  statDuration `json:"compute_input"`
	ComputeInfer  statDuration `json:"compute_infer"`
	ComputeOutput statDuration `json:"compute_output"`
}

type memoryUsage struct {
	Type  string `json:"type"`
	ID    int    `json:"id"`
	Bytes int64  `json:"byte_size"`
}

func (m *modelStats) row(name, version string, memory int64) statsRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := statsRow{
		Name: name, Version: version, Stats: m.stats,
		Inferences: m.stats.ComputeInfer.Count, Executions: m.stats.ComputeInfer.Count,
		Batches: []batchStats{},
		Memory:  []memoryUsage{{Type: "CPU", Bytes: memory}},
	}
	if r.Inferences > 0 {
		r.Last = m.last.UnixMilli()
		r.Batches = append(r.Batches, batchStats{1, m.stats.ComputeInput, m.stats.ComputeInfer, m.stats.ComputeOutput})
	}
	return r
}

func (s *Server) statistics(w http.ResponseWriter, r *http.Request) error {
	rows := []statsRow{}
	if name := r.PathValue("model"); name != "" {
		n, err := s.repo.hold(name, r.PathValue("version"))
		if err != nil {
			return err
		}
		defer n.release()
		rows = append(rows, n.stats.row(name, n.version, n.Memory()))
	} else {
		for _, e := range s.repo.entries() {
			if n, err := s.repo.hold(e.name, ""); err == nil {
				rows = append(rows, n.stats.row(e.name, n.version, n.Memory()))
				n.release()
			}
		}
	}
	writeJSON(w, http.StatusOK, map[string][]statsRow{"model_stats": rows})
	return nil
}
