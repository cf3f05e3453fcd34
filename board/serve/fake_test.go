package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
)

// fakeEngine makes models whose output is the text of their file and of their
// delta's, so that a reply tells which version computed it. A file of "torn"
// does not open.
type fakeEngine struct {
	run  func(ctx context.Context, in [][]byte) error // called by every run
	open atomic.Int64                                 // models not closed
}

type fakeModel struct {
	e      *fakeEngine
	text   string
	delta  string
	closed *fakeEngine // that counts; nil: e
}

func (e *fakeEngine) Open(path string, delta []byte) (Model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if string(b) == "torn" || string(delta) == "torn" {
		return nil, fmt.Errorf("%s: torn", path)
	}
	e.open.Add(1)
	return &fakeModel{e: e, text: string(b), delta: string(delta)}, nil
}

func (m *fakeModel) Digest() string { return "digest of " + m.text }
func (m *fakeModel) Inputs() []oip.Spec {
	return []oip.Spec{{Name: "x", Type: format.Uint8, Shape: format.Shape{1}}}
}
func (m *fakeModel) Outputs() []oip.Spec {
	return []oip.Spec{{Name: "y", Type: format.Uint8, Shape: format.Shape{len(m.answer())}}}
}
func (m *fakeModel) answer() string               { return m.text + "+" + m.delta }
func (m *fakeModel) Labels() []string             { return []string{"a", "b"} }
func (m *fakeModel) Memory() int64                { return 7 }
func (m *fakeModel) Sense() Sense                 { return Sense{Kind: "numbers", Elements: 1} }
func (m *fakeModel) NewSession() (Session, error) { return &fakeSession{m: m}, nil }
func (m *fakeModel) Close() error {
	cmp.Or(m.closed, m.e).open.Add(-1)
	return nil
}
func (m *fakeModel) Decode(media string, body []byte) ([][]byte, error) {
	if len(body) != 1 {
		return nil, errors.New("one byte is a picture")
	}
	return [][]byte{body}, nil
}

type fakeSession struct {
	m    *fakeModel
	busy atomic.Bool
}

func (s *fakeSession) Run(ctx context.Context, in [][]byte) ([][]byte, error) {
	if s.busy.Swap(true) {
		panic("a session runs twice at a time")
	}
	defer s.busy.Store(false)
	if s.m.e.run != nil {
		if err := s.m.e.run(ctx, in); err != nil {
			return nil, err
		}
	}
	return [][]byte{[]byte(s.m.answer())}, nil
}

func (s *fakeSession) Close() {}

// fakeTrainer runs what the test gives it.
type fakeTrainer func(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error)

func (f fakeTrainer) Train(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
	return f(ctx, task, progress)
}

func (f fakeTrainer) Plan(_ context.Context, task Task) (*Estimate, error) {
	return &Estimate{Tail: "head", Samples: len(task.Samples), Classes: task.Labels}, nil
}

// fakeServer serves the given files by the fake engine.
func fakeServer(t testing.TB, e *fakeEngine, files map[string]string, change func(*Config)) *Server {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name+modelSuffix), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Config{Models: dir, Store: testStore(t, vfs.NewMem()), Engine: e}
	if change != nil {
		change(&cfg)
	}
	return startServer(t, cfg)
}

func startServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		if e, ok := cfg.Engine.(interface{ left() int64 }); ok && e.left() != 0 {
			t.Errorf("%d models were not closed", e.left())
		}
	})
	return s
}

// ask sends a request to the handler.
func ask(s *Server, method, target, body string) *httptest.ResponseRecorder {
	return askWith(s, method, target, strings.NewReader(body), nil)
}

func askWith(s *Server, method, target string, body io.Reader, h http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	r.Host = "localhost"
	maps.Copy(r.Header, h)
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, r)
	return rec
}

const fakeInfer = `{"inputs":[{"name":"x","shape":[1],"datatype":"UINT8","data":[0]}]}`

func want(t *testing.T, rec *httptest.ResponseRecorder, code int, text string) {
	t.Helper()
	if rec.Code != code || !strings.Contains(rec.Body.String(), text) {
		t.Errorf("got %d %s\nwant %d ... %s", rec.Code, rec.Body, code, text)
	}
}

// answer returns the version and output of an inference reply.
func answer(t *testing.T, rec *httptest.ResponseRecorder) (version, output string) {
	t.Helper()
	var r struct {
		Version string `json:"model_version"`
		Outputs []struct{ Data []int }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil || rec.Code != 200 || len(r.Outputs) != 1 {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	for _, c := range r.Outputs[0].Data {
		output += string(rune(c))
	}
	return r.Version, output
}

func TestFullQueueIsRefused(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var warm atomic.Bool
	e := &fakeEngine{run: func(ctx context.Context, in [][]byte) error {
		if warm.Load() {
			entered <- struct{}{}
			<-release
		}
		return nil
	}}
	s := fakeServer(t, e, map[string]string{"m": "base"}, func(c *Config) { c.MaxQueue = 2 })
	warm.Store(true)
	replies := make(chan *httptest.ResponseRecorder, 3)
	go func() { replies <- ask(s, "POST", "/v2/models/m/infer", fakeInfer) }()
	<-entered // one computes
	n, err := s.repo.hold("m", "")
	if err != nil {
		t.Fatal(err)
	}
	defer n.release()
	for range 2 { // two wait
		go func() { replies <- ask(s, "POST", "/v2/models/m/infer", fakeInfer) }()
	}
	for n.queue.depth() < 2 {
		goschedule()
	}
	rec := ask(s, "POST", "/v2/models/m/infer", fakeInfer)
	want(t, rec, 503, "2 requests wait")
	if rec.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", rec.Header().Get("Retry-After"))
	}
	rec = ask(s, "POST", "/v2/models/m/infer", strings.Replace(fakeInfer, "{", `{"parameters":{"timeout":1},`, 1))
	want(t, rec, 503, "2 requests wait")
	go func() {
		for range 2 {
			<-entered
		}
	}()
	close(release)
	for range 3 {
		want(t, <-replies, 200, `"model_version":"1"`)
	}
}

func TestDeadlineWhileWaiting(t *testing.T) {
	var block atomic.Bool
	entered, release := make(chan struct{}), make(chan struct{})
	e := &fakeEngine{run: func(ctx context.Context, in [][]byte) error {
		if block.Load() {
			close(entered)
			<-release
		}
		return nil
	}}
	s := fakeServer(t, e, map[string]string{"m": "base"}, nil)
	block.Store(true)
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- ask(s, "POST", "/v2/models/m/infer", fakeInfer) }()
	<-entered
	rec := ask(s, "POST", "/v2/models/m/infer", strings.Replace(fakeInfer, "{", `{"parameters":{"timeout":1000},`, 1))
	want(t, rec, 504, "deadline")
	close(release)
	want(t, <-first, 200, "")
}

func TestPanickingModelDoesNotStay(t *testing.T) {
	var bad atomic.Bool
	e := &fakeEngine{run: func(ctx context.Context, in [][]byte) error {
		if bad.Swap(false) {
			panic("index out of range")
		}
		return nil
	}}
	s := fakeServer(t, e, map[string]string{"m": "base"}, nil)
	for range 3 {
		bad.Store(true)
		want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 500, "panicked")
		want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, "")
	}
	bad.Store(true) // now at the warm-up of a reload: the old one must go on serving
	want(t, ask(s, "POST", "/v2/repository/models/m/load", ""), 400, "warm-up")
	want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, "")
	want(t, ask(s, "POST", "/v2/repository/index", ""), 200, "warm-up")
}

// TestSwapsLoseNoRequest promotes and rolls back while requests come in: none
// may fail, and each must be answered by the version that it names.
func TestSwapsLoseNoRequest(t *testing.T) {
	e := &fakeEngine{}
	s := fakeServer(t, e, map[string]string{"m": "base"}, func(c *Config) { c.Sessions = 2 })
	for _, d := range []string{"two", "three"} {
		if _, err := s.cfg.Store.Publish("m", store.Version{Base: "digest of base", Parent: "1"}, []byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	outputs := map[string]string{"1": "base+", "2": "base+two", "3": "base+three"}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var count atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				rec := ask(s, "POST", "/v2/models/m/infer", fakeInfer)
				if rec.Code != 200 {
					t.Errorf("%d %s", rec.Code, rec.Body)
					return
				}
				if v, out := answer(t, rec); outputs[v] != out {
					t.Errorf("version %s answers %q", v, out)
				}
				count.Add(1)
			}
		})
	}
	for i := range 100 {
		for had := count.Load(); count.Load() < had+100; { // let some requests meet each version
			goschedule()
		}
		switch i % 3 {
		case 0:
			want(t, ask(s, "POST", "/v2/models/m/promote", `{"version":"2"}`), 200, "")
		case 1:
			want(t, ask(s, "POST", "/v2/models/m/promote", `{"version":"3"}`), 200, "")
		case 2:
			want(t, ask(s, "POST", "/v2/models/m/rollback", ""), 200, "")
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests during 100 swaps", count.Load())
}

func TestFallsBackToTheLastGoodVersion(t *testing.T) {
	e := &fakeEngine{}
	s := fakeServer(t, e, map[string]string{"m": "base"}, nil)
	st := s.cfg.Store
	for _, d := range []string{"two", "torn"} {
		v, err := st.Publish("m", store.Version{Base: "digest of base"}, []byte(d))
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Promote("m", v.Version); err != nil {
			t.Fatal(err)
		}
	}
	want(t, ask(s, "POST", "/v2/repository/models/m/load", ""), 200, "")
	if v, out := answer(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer)); v != "2" || out != "base+two" {
		t.Errorf("version %s answers %q", v, out)
	}
	want(t, ask(s, "POST", "/v2/repository/index", ""), 200, "version 3 does not load")
	want(t, ask(s, "POST", "/v2/models/m/promote", `{"version":"3"}`), 409, "torn")

	// The model file is replaced: its versions belong to another.
	if err := os.WriteFile(filepath.Join(s.cfg.Models, "m.whet"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, ask(s, "POST", "/v2/repository/models/m/load", ""), 200, "")
	if v, out := answer(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer)); v != "1" || out != "other+" {
		t.Errorf("version %s answers %q", v, out)
	}
	want(t, ask(s, "POST", "/v2/models/m/promote", `{"version":"2"}`), 409, "was tuned from another m.whet")
	// A torn file keeps what serves.
	if err := os.WriteFile(filepath.Join(s.cfg.Models, "m.whet"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, ask(s, "POST", "/v2/repository/models/m/load", ""), 400, "torn")
	if _, out := answer(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer)); out != "other+" {
		t.Errorf("after a torn load: %q", out)
	}
}

func TestAddDelta(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"a": "one", "b": "two"}, nil)
	for range 2 { // a second time it is the same version
		m, v, err := s.AddDelta(context.Background(), "digest of two", []byte("tuned"), nil)
		if m != "b" || v != "2" || err != nil {
			t.Fatalf("%s %s %v", m, v, err)
		}
	}
	if _, out := answer(t, ask(s, "POST", "/v2/models/b/infer", fakeInfer)); out != "two+tuned" {
		t.Errorf("b answers %q", out)
	}
	if _, _, err := s.AddDelta(context.Background(), "digest of three", []byte("tuned"), nil); err == nil {
		t.Error("a delta of no model was added")
	}
}

// left is how many models were not closed.
func (e *fakeEngine) left() int64 { return e.open.Load() }
