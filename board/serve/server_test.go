package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/runtime/pre"
)

func goschedule() { runtime.Gosched() }

// endless is a body that never ends; how much of it was read is counted.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestBodyLimits(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, func(c *Config) { c.MaxBodies = 100 << 10 })
	e := &endless{}
	want(t, askWith(s, "POST", "/v2/models/m/infer", e, nil), 413, "limit")
	if e.read > 200<<10 {
		t.Errorf("%d bytes of an endless body were read", e.read)
	}
	big := strings.Repeat(" ", 100<<10)
	want(t, ask(s, "POST", "/v2/models/m/infer", big), 413, "102400")
	want(t, ask(s, "POST", "/v2/repository/index", big), 413, "limit")
	s.bodies.Add(90 << 10) // others are being read
	rec := ask(s, "POST", "/v2/models/m/infer", strings.Repeat(" ", 20<<10))
	want(t, rec, 503, "too many")
	if rec.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.bodies.Add(-90 << 10)
	want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, "")
	if n := s.bodies.Load(); n != 0 {
		t.Errorf("%d bytes stay reserved", n)
	}
	short := askWith(s, "POST", "/v2/models/m/infer", io.LimitReader(e, 10), http.Header{"Inference-Header-Content-Length": {"11"}})
	want(t, short, 400, "says 11 bytes of JSON")
	want(t, askWith(s, "POST", "/v2/models/m/infer", strings.NewReader(""), http.Header{"Inference-Header-Content-Length": {"-1"}}), 400, "no length")
}

func TestQuotaIsAnswered507(t *testing.T) {
	st, err := store.Open(vfs.NewMem(), "/state", store.Options{Quota: 200})
	if err != nil {
		t.Fatal(err)
	}
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, func(c *Config) { c.Store = st })
	body := strings.TrimSuffix(fakeInfer, "}") + `,"label":"a"}`
	want(t, ask(s, "POST", "/v2/models/m/samples", body), 201, "")
	for range 5 {
		if rec := ask(s, "POST", "/v2/models/m/samples", body); rec.Code != 201 {
			want(t, rec, 507, "quota")
			want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, "")
			want(t, ask(s, "DELETE", "/v2/models/m/samples", ""), 200, "deleted")
			want(t, ask(s, "POST", "/v2/models/m/samples", body), 201, "")
			return
		}
	}
	t.Error("the quota was never reached")
}

func TestRequestID(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, nil, nil)
	for given, kept := range map[string]bool{"abc-1_2.3": true, "": false, "a b": false, "a\nb": false, strings.Repeat("x", 65): false} {
		rec := askWith(s, "GET", "/v2", nil, http.Header{requestIDHeader: {given}})
		got := rec.Header().Get(requestIDHeader)
		if kept && got != given || !kept && !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(got) {
			t.Errorf("request id %q became %q", given, got)
		}
	}
}

// TestLogLines asks for one JSON line a change or failure, with the request's id.
func TestLogLines(t *testing.T) {
	var log bytes.Buffer
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, func(c *Config) {
		c.Log = slog.New(slog.NewJSONHandler(&log, nil))
	})
	for _, c := range []struct {
		method, path, body string
		level              string // "": no line
	}{
		{"GET", "/v2/health/live", "", ""},
		{"POST", "/v2/models/m/infer", fakeInfer, ""},
		{"POST", "/v2/models/m/infer", "{}", "WARN"},
		{"POST", "/v2/repository/models/m/load", "", "INFO"},
		{"POST", "/v2/models/m/train", "", "WARN"},
	} {
		log.Reset()
		askWith(s, c.method, c.path, strings.NewReader(c.body), http.Header{requestIDHeader: {"id-7"}})
		line := ""
		for l := range strings.Lines(log.String()) {
			if strings.Contains(l, `"msg":"request"`) {
				line += l
			}
		}
		var v struct{ Level, Request, Path string }
		if c.level == "" {
			if line != "" {
				t.Errorf("%s %s is logged: %s", c.method, c.path, line)
			}
		} else if err := json.Unmarshal([]byte(line), &v); err != nil || v.Level != c.level || v.Request != "id-7" || v.Path != c.path {
			t.Errorf("%s %s is logged as %q (%v), want level %s", c.method, c.path, line, err, c.level)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := testServer(t, nil)
	teach(t, s, 4)
	for _, r := range [][3]string{
		{"POST", "/v2/models/kws/infer", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"INT8","data":[1,2,3,4]}]}`},
		{"POST", "/v2/models/kws/infer", `{}`},
		{"POST", "/v2/models/nosuch/infer", `{}`},
		{"POST", "/v2/models/kws/samples", `{"label":"yes","inputs":[{"name":"x","shape":[1,4],"datatype":"INT8","data":[1,2,3,4]}]}`},
		{"POST", "/v2/models/kws/samples", `{"label":"never seen","inputs":[{"name":"x","shape":[1,4],"datatype":"INT8","data":[1,2,3,4]}]}`},
		{"POST", "/v2/models/kws/train", `{"epochs":1,"promote":true,"classes":["no","yes","up","down","never seen"]}`},
	} {
		ask(s, r[0], r[1], r[2])
	}
	s.wait()
	text := ask(s, "GET", "/metrics", "").Body.String()
	for _, w := range []string{
		`whet_requests_total{model="kws",version="1",code="200"} 1`,
		`whet_requests_total{model="kws",version="1",code="400"} 1`,
		`whet_requests_total{model="kws",version="1",code="201"} 2`,
		`whet_samples_total{model="kws",label="yes"} 1`,
		`whet_samples_total{model="kws",label="other"} 1`,
		`whet_samples{model="kws"} 18`,
		`whet_model_state{model="torn",version="",label="stable",state="UNAVAILABLE"} 1`,
		`whet_model_state{model="relu",version="1",label="stable",state="READY"} 1`,
		`whet_infer_duration_seconds_count{model="kws"} 1`,
		`whet_queue_depth{model="kws"} 0`,
		`whet_train_running 0`,
		`whet_build_info{`,
		`whet_store_fsync_duration_seconds_count`,
		`process_resident_memory_bytes`,
	} {
		if !strings.Contains(text, w) && (runtime.GOOS == "linux" || !strings.HasPrefix(w, "process_")) {
			t.Errorf("the metrics lack %s", w)
		}
	}
	if strings.Contains(text, "nosuch") || strings.Contains(text, "never seen") {
		t.Error("what clients sent became a label")
	}
	if !strings.Contains(text, `whet_train_runs_total{result="promoted"} 1`) && !strings.Contains(text, `whet_train_runs_total{result="rejected"} 1`) {
		t.Errorf("no training was counted\n%s", text)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestListenOnlyWhereNobodyElseComes(t *testing.T) {
	for _, bad := range []string{"0.0.0.0:0", ":0", ":8000", "[::]:0", "192.168.1.5:80", "example.com:80", "8000", "", "127.0.0.1", "unix:", "unix:" + strings.Repeat("x", 200)} {
		l, err := Listen(bad, nil)
		if err == nil {
			l.Close()
			t.Errorf("%q is listened on", bad)
		} else if !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := Listen(":8000", nil); !strings.Contains(err.Error(), "127.0.0.1:8000") {
		t.Errorf("the error does not say what to use: %v", err)
	}
	for _, good := range []string{"127.0.0.1:0", "localhost:0", "127.0.0.2:0"} {
		l, err := Listen(good, nil)
		if err != nil {
			t.Errorf("%q: %v", good, err)
			continue
		}
		l.Close()
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v, %v", st.Mode(), err)
	}
	if _, err := Listen(path, nil); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a socket in use: %v", err)
	}
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false) // as a killed process leaves it
	l.Close()
	if l, err = Listen(path, nil); err != nil {
		t.Fatalf("a dead socket is not replaced: %v", err)
	}
	l.Close()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file, nil); !errors.Is(err, ErrAddress) {
		t.Errorf("a file that is no socket: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Error("the file was touched")
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	f, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); err == nil {
		t.Error("two processes share a state directory")
	}
	f.Close()
	if f, err = Lock(dir); err != nil {
		t.Errorf("after it was let go: %v", err)
	}
	f.Close()
}

// TestExport reads the exported samples with the reader that whet tune has.
func TestExport(t *testing.T) {
	s := testServer(t, nil)
	teach(t, s, 2)
	if _, err := s.cfg.Store.Add(store.Sample{Model: "kws", Label: "no", Form: "INT8[1,9]", Data: make([]byte, 9)}); err != nil {
		t.Fatal(err) // of another form: it stays behind
	}
	rec := ask(s, "GET", "/v2/models/kws/samples/export", "")
	name := filepath.Join(t.TempDir(), "kws.npz")
	if err := os.WriteFile(name, rec.Body.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	arrays, err := pre.ReadNPZ(name, "x", "y")
	if err != nil {
		t.Fatal(err)
	}
	x, y := arrays["x"], arrays["y"]
	if x.Type != format.Int8 || !slices.Equal(x.Shape, format.Shape{8, 4}) {
		t.Errorf("x is %v %v", x.Type, x.Shape)
	}
	classes, err := y.Ints()
	if err != nil || !slices.Equal(classes, []int{0, 1, 2, 3, 0, 1, 2, 3}) {
		t.Errorf("y is %v, %v", classes, err)
	}
	if want := []byte{60, 0, 0, 0, 0, 60, 0, 0}; !bytes.Equal(x.Data[:8], want) {
		t.Errorf("x begins with %v", x.Data[:8])
	}
	if !bytes.Contains(rec.Body.Bytes(), []byte("no\nyes\nup\ndown\n")) {
		t.Error("the labels are missing")
	}
}

// TestBrokenExportIsNoReply loses a sample's bytes on the disk: the export must
// not look complete.
func TestBrokenExportIsNoReply(t *testing.T) {
	fsys := vfs.NewMem()
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, func(c *Config) { c.Store = testStore(t, fsys) })
	for range 3 {
		fakeSample(t, s, "a")
	}
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	export := func() error {
		resp, err := http.Get(srv.URL + "/v2/models/m/samples/export")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	if err := export(); err != nil {
		t.Fatal(err)
	}
	reads := 0
	fsys.Inject = func(c vfs.Call) error {
		if c.Op == "read" {
			if reads++; reads%3 == 0 { // the client may ask again
				return errors.New("I/O error")
			}
		}
		return nil
	}
	if err := export(); err == nil {
		t.Error("an export that lacks a sample ends like a whole one")
	}
}

// TestPictureThroughPreprocessing posts a picture of another size than the
// model's input.
func TestPictureThroughPreprocessing(t *testing.T) {
	dir := t.TempDir()
	if err := format.WriteFile(filepath.Join(dir, "pic.whet"), pictureModel()); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Config{Models: dir, Store: testStore(t, vfs.NewMem()), Engine: Runtime{}})
	picture := bmp(5, 4, 10, 20, 30)
	h := http.Header{"Content-Type": {"image/bmp"}}
	want(t, askWith(s, "POST", "/v2/models/pic/samples?label=green", bytes.NewReader(picture), h), 201, `"label":"green"`)
	want(t, askWith(s, "POST", "/v2/models/pic/samples?label=green", bytes.NewReader(picture[:70]), h), 400, "cannot be used")
	sample, err := s.cfg.Store.Get(1)
	if err != nil || !bytes.Equal(sample.Data, picture) {
		t.Fatalf("the sample is %v, %v", sample, err)
	}
	rec := askWith(s, "POST", "/v2/models/pic/infer?classification=1", bytes.NewReader(picture), h)
	want(t, rec, 200, `{"name":"y","datatype":"BYTES","shape":[1,1,1,1],"data":["-0.765625:0:red"]}`)
	n, err := s.repo.hold("pic", "")
	if err != nil {
		t.Fatal(err)
	}
	defer n.release()
	in, err := s.inputsOf(n, sample)
	if err != nil || !bytes.Equal(in[0], bytes.Repeat([]byte{30, 20, 10}, 4)) {
		t.Errorf("the model's input is %v, %v", in, err)
	}
}

// TestPictures posts pictures as samples.
func TestPictures(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, nil)
	h := http.Header{"Content-Type": {"image/png"}}
	want(t, askWith(s, "POST", "/v2/models/m/samples", strings.NewReader("p"), h), 400, "label")
	want(t, askWith(s, "POST", "/v2/models/m/samples?label=a", strings.NewReader("too long"), h), 400, "one byte is a picture")
	want(t, askWith(s, "POST", "/v2/models/m/samples?label=a", strings.NewReader("p"), h), 201, `"id":"1"`)
	rec := ask(s, "GET", "/v2/models/m/samples/1", "")
	if rec.Header().Get("Content-Type") != "image/png" || rec.Body.String() != "p" {
		t.Errorf("the picture came back as %q %q", rec.Header().Get("Content-Type"), rec.Body)
	}
	want(t, askWith(s, "POST", "/v2/models/m/samples?label=a", strings.NewReader("p"), http.Header{"Content-Type": {";;"}}), 415, "not understood")
}

func TestModelNamesThatAreNone(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"good": "x", "b d": "x", "torn": "torn"}, nil)
	rec := ask(s, "POST", "/v2/repository/index", "")
	want(t, rec, 200, `{"name":"b d","state":"UNAVAILABLE","reason":"store: a model's name`)
	want(t, rec, 200, `{"name":"good","version":"1","state":"READY","reason":""}`)
	want(t, rec, 200, `{"name":"torn","state":"UNAVAILABLE","reason":"version 1 does not load:`)
	if ready, not := s.Models(); ready != 1 || not != 2 {
		t.Errorf("%d ready, %d not", ready, not)
	}
	// A file that appears is listed, and served when asked for.
	if err := os.WriteFile(filepath.Join(s.cfg.Models, "new.whet"), []byte("n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, ask(s, "POST", "/v2/repository/index", ""), 200, `{"name":"new","state":"UNAVAILABLE","reason":"not loaded"}`)
	want(t, ask(s, "POST", "/v2/repository/models/new/load", ""), 200, "")
	want(t, ask(s, "GET", "/v2/models/new/ready", ""), 200, "true")
}

// BenchmarkInfer is what the daemon adds to an inference, over a unix socket.
func BenchmarkInfer(b *testing.B) {
	s := testServer(b, nil)
	sock := b.TempDir() + "/s"
	l, err := Listen(sock, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", sock)
	}}}
	head := `{"inputs":[{"name":"x","shape":[1,4],"datatype":"INT8","parameters":{"binary_data_size":4}}],"parameters":{"binary_data_output":true}}`
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest("POST", "http://whet/v2/models/kws/infer", strings.NewReader(head+"abcd"))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set(oip.HeaderLength, strconv.Itoa(len(head)))
		resp, err := client.Do(r)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(resp, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
	client.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// FuzzHandler sends arbitrary bodies to every door: no panic, no failure of the
// server's own, and each answer is JSON unless it is a file.
func FuzzHandler(f *testing.F) {
	s := fakeServer(f, &fakeEngine{}, map[string]string{"m": "base"}, nil)
	for i := range routeTable {
		f.Add(i, "1", []byte(fakeInfer))
		f.Add(i, "..", []byte(`{"version":"2","parameters":{"x":[[[[]]]]},"ready":1}`))
	}
	f.Fuzz(func(t *testing.T, n int, id string, body []byte) {
		method, path, _ := strings.Cut(routeTable[uint(n)%uint(len(routeTable))].pattern, " ")
		path = strings.NewReplacer("{model}", "m", "{version}", url.PathEscape(id), "{id}", url.PathEscape(id)).Replace(path)
		if strings.Contains(path, "//") || strings.Contains(path, "/.") {
			return // the router cleans such paths by a redirect
		}
		rec := askWith(s, method, path, bytes.NewReader(body), nil)
		if rec.Code >= 500 && rec.Code != 501 && rec.Code != 503 {
			t.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
		}
		if rec.Header().Get("Content-Type") == "application/json" && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s %s: %s", method, path, rec.Body)
		}
	})
}
