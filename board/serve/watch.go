package serve

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/whet-edge/whet/board/serve/drift"
	"github.com/whet-edge/whet/board/serve/oip"
)

// A watch looks for drift in what a model is shown and what it answers. Its
// reference is kept by the store, so that a restart does not make what has
// drifted the usual.
type watch struct {
	mu       sync.Mutex
	version  string // whose requests are watched
	watcher  *drift.Watcher
	since    time.Time // when it found the drift that lasts
	in, out  oip.Spec
	features []float64
	vector   []float64
}

const (
	// Inputs of at most so many elements are watched element by element, others
	// (pictures, sounds) by brightness and contrast.
	maxNumbers = 16

	// maxLooked is how many elements of a large input are looked at.
	maxLooked = 1024

	// maxVector is how many elements of the answer are looked at.
	maxVector = 4096
)

// begin watches an instance from now on. The caller holds mu.
func (w *watch) begin(n *instance, kept []byte) {
	w.version, w.watcher = n.version, nil
	if len(n.Inputs()) == 0 || len(n.Outputs()) == 0 {
		return
	}
	w.in, w.out = n.Inputs()[0], n.Outputs()[0]
	if !w.in.HasReals() || !w.out.HasReals() {
		return
	}
	ref := new(drift.Reference)
	if json.Unmarshal(kept, ref) != nil {
		ref = nil
	}
	w.watcher = drift.New(n.Digest()+" "+n.version, w.names(), ref)
}

// channels is how many numbers a pixel has.
func (w *watch) channels() int {
	if s := w.in.Shape; len(s) == 4 && s[3] <= 4 {
		return s[3]
	}
	return 1
}

func (w *watch) names() []string {
	var names []string
	if elems := w.in.Shape.Elems(); elems <= maxNumbers {
		for i := range elems {
			names = append(names, fmt.Sprintf("%s[%d]", w.in.Name, i))
		}
	} else {
		for c := range w.channels() {
			names = append(names, fmt.Sprintf("%s mean %d", w.in.Name, c))
		}
		names = append(names, w.in.Name+" contrast")
	}
	if w.out.Shape.Elems() > 1 {
		return append(names, "confidence", "margin", "class")
	}
	return append(names, w.out.Name)
}

// look makes the features and the vector of a request. The caller holds mu.
func (w *watch) look(in, out []byte) {
	w.features, w.vector = w.features[:0], w.vector[:0]
	if n := w.in.Shape.Elems(); n <= maxNumbers {
		for i := range n {
			w.features = append(w.features, w.in.Real(in, i))
		}
	} else {
		w.lookAtMany(in, n)
	}
	n := min(w.out.Shape.Elems(), maxVector)
	best, second, class := math.Inf(-1), math.Inf(-1), 0
	for i := range n {
		v := w.out.Real(out, i)
		w.vector = append(w.vector, v)
		if v > best {
			best, second, class = v, best, i
		} else {
			second = max(second, v)
		}
	}
	if n > 1 {
		w.features = append(w.features, best, best-second, float64(class))
	} else {
		w.features = append(w.features, best)
	}
}

func (w *watch) lookAtMany(in []byte, n int) {
	c := w.channels()
	pixels := n / c
	stride := max(1, pixels*c/maxLooked)
	sum, square, looked := [4]float64{}, 0.0, 0
	for p := 0; p < pixels; p += stride {
		for k := range c {
			v := w.in.Real(in, p*c+k)
			sum[k] += v
			square += v * v
		}
		looked++
	}
	total := 0.0
	for k := range c {
		total += sum[k]
		w.features = append(w.features, sum[k]/float64(looked))
	}
	mean := total / float64(looked*c)
	w.features = append(w.features, math.Sqrt(max(0, square/float64(looked*c)-mean*mean)))
}

// watchRequest shows a request that the stable version has answered to its watch.
func (s *Server) watchRequest(name string, n *instance, in, out [][]byte) {
	e, err := s.repo.entry(name)
	if err != nil || len(in) == 0 || len(out) == 0 {
		return
	}
	w := &e.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.version != n.version {
		e.mu.Lock()
		stable := e.live == n
		e.mu.Unlock()
		if !stable {
			return
		}
		kept, err := s.cfg.Store.Reference(name)
		if err != nil {
			s.cfg.Log.Warn("what the model was shown before cannot be read", "model", name, "error", err)
		}
		w.begin(n, kept)
	}
	if w.watcher == nil {
		return
	}
	w.look(in[0], out[0])
	if len(w.vector) > 1 {
		if best := slices.Max(w.vector); best >= 0 && best <= 1 {
			s.metrics.confidence.ObserveValue(best, name)
		}
	}
	was := w.watcher.State()
	ref, _ := w.watcher.Observe(w.features, w.vector)
	if ref != nil {
		b, err := json.Marshal(ref)
		if err == nil {
			err = s.cfg.Store.SetReference(name, b)
		}
		if err != nil {
			s.cfg.Log.Warn("what the model is shown cannot be kept", "model", name, "error", err)
		}
	}
	if is := w.watcher.State(); is != was {
		w.since = time.Now()
		s.cfg.Log.Warn("drift", "model", name, "version", n.version, "state", is)
	}
}

// DriftStatus is the reply to GET .../drift.
type DriftStatus struct {
	Model     string         `json:"model_name"`
	Version   string         `json:"version"`
	State     string         `json:"state"` // "learning", "watching", "drifted", or "unwatched" before the first request
	Samples   int            `json:"samples"`
	Reference int            `json:"reference_samples"`
	Window    int            `json:"window_samples"`
	Since     *time.Time     `json:"since,omitempty"` // when a drift that lasts was found
	Last      *drift.Finding `json:"last,omitempty"`
	Proposal  *proposal      `json:"proposal,omitempty"`
}

// A proposal is a request that the finder of a drift would send.
type proposal struct {
	Reason  string       `json:"reason"`
	Method  string       `json:"method"`
	Path    string       `json:"path"`
	Body    TrainOptions `json:"body"`
	Labeled int          `json:"labelled_samples"` // that there are to learn from
}

// driftOf says how a model's watch stands.
func (s *Server) driftOf(e *entry) *DriftStatus {
	w := &e.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	st := &DriftStatus{Model: e.name, Version: w.version, State: "unwatched", Reference: drift.ReferenceSamples, Window: drift.WindowSamples}
	if w.watcher == nil {
		return st
	}
	st.State, st.Samples, st.Last = w.watcher.State(), w.watcher.Samples(), w.watcher.Last()
	if st.State == "drifted" {
		since := w.since.UTC().Truncate(time.Second)
		st.Since = &since
		st.Proposal = &proposal{
			Reason: "what the model is shown or answers is not what it was: label some of it and train",
			Method: http.MethodPost, Path: "/v2/models/" + e.name + "/train", Body: TrainOptions{Canary: defaultShare},
			Labeled: s.cfg.Store.Counts(e.name).Samples,
		}
	}
	return st
}

func (s *Server) driftStatus(w http.ResponseWriter, r *http.Request) error {
	e, err := s.repo.entry(r.PathValue("model"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.driftOf(e))
	return nil
}

// forgetReference is DELETE .../drift: what comes from now on is the usual.
func (s *Server) forgetReference(w http.ResponseWriter, r *http.Request) error {
	e, err := s.repo.entry(r.PathValue("model"))
	if err != nil {
		return err
	}
	if err := s.cfg.Store.SetReference(e.name, nil); err != nil {
		return err
	}
	e.watch.mu.Lock()
	e.watch.version, e.watch.watcher = "", nil
	e.watch.mu.Unlock()
	return s.driftStatus(w, r)
}
