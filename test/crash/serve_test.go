package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

const (
	teachers  = 6                      // clients that add and delete samples
	quickest  = 30 * time.Millisecond  // a daemon is killed that long after it is ready, at least
	slowest   = 700 * time.Millisecond // and at most
	readyTime = time.Second            // in which it must be ready
)

// TestServeKilled kills `whet serve` at random moments while clients add and
// delete samples, a job trains, and versions are promoted and rolled back. After
// each restart everything that was acknowledged must be there, and every model
// must be served.
//
//	WHET_CRASH_KILLS=50 go test ./test/crash -run ServeKilled -v
func TestServeKilled(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv(killsEnv))
	if err != nil || kills < 1 {
		t.Skipf("set %s=50 to kill whet serve 50 times (two minutes)", killsEnv)
	}
	dir, err := os.MkdirTemp("", "whet") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	whet := filepath.Join(dir, "whet")
	if out, err := exec.Command("go", "build", "-o", whet, "../../board/whet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "models"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "models", "fashion.whet"), demo.BaseFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(kills), 2))
	b := &book{samples: map[uint64]uint64{}, deleted: map[uint64]bool{}, deleting: map[uint64]bool{}, strays: map[uint64]bool{}, current: "1", wanted: "1"}
	for k := range kills {
		d := startDaemon(t, whet, dir)
		b.check(t, d, rng)
		if k == 0 {
			b.tune(t, d, rng)
		}
		if t.Failed() {
			t.Fatalf("after %d kills", k)
		}
		after := quickest + time.Duration(rng.Int64N(int64(slowest-quickest)))
		b.load(t, d, rng.Uint64(), after)
	}
	d := startDaemon(t, whet, dir)
	b.check(t, d, rng)
	d.kill(t)
	b.checkAll(t, filepath.Join(dir, "state"))
	t.Logf("%d kills: %d samples added, %d deleted, %d changes of version; version %s serves", kills, b.added, len(b.deleted), b.changes, b.current)
	if b.added < 20*kills || b.changes < kills/5 {
		t.Error("too little was going on for the kills to mean much")
	}
}

// daemon is a whet serve that runs.
type daemon struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	client http.Client
}

func startDaemon(t *testing.T, whet, dir string) *daemon {
	t.Helper()
	sock := filepath.Join(dir, "s")
	d := &daemon{cmd: exec.Command(whet, "serve", "--models", filepath.Join(dir, "models"), "--state", filepath.Join(dir, "state"), "--listen", "unix:"+sock, "--stable-after", "1ms")}
	d.cmd.Stderr = &d.stderr
	d.client.Transport = &http.Transport{MaxIdleConnsPerHost: teachers + 2, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", sock)
	}}
	start := time.Now()
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		if code, _, err := d.ask("GET", "/v2/health/ready", nil); err == nil && code == 200 {
			break
		}
		if time.Since(start) > 10*time.Second {
			d.kill(t)
			t.Fatalf("it does not become ready\n%s", &d.stderr)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if took := time.Since(start); took > readyTime {
		t.Logf("it took %v to be ready", took)
	}
	return d
}

func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := d.cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("it ended by itself: %v\n%s", err, &d.stderr)
	}
	d.client.CloseIdleConnections()
}

func (d *daemon) ask(method, path string, body []byte) (int, []byte, error) {
	r, err := http.NewRequest(method, "http://whet"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	return d.send(r)
}

func (d *daemon) send(r *http.Request) (int, []byte, error) {
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// get asks for JSON that must come.
func (d *daemon) get(t *testing.T, path string, v any) {
	t.Helper()
	code, body, err := d.ask("GET", path, nil)
	if err == nil && code == 200 {
		err = json.Unmarshal(body, v)
	}
	if err != nil || code != 200 {
		t.Fatalf("%s: %d %s %v\n%s", path, code, body, err, &d.stderr)
	}
}

const fashion = "/v2/models/fashion"

// book is what the daemon has acknowledged.
type book struct {
	mu       sync.Mutex
	samples  map[uint64]uint64 // id: the seed of its pixels
	deleted  map[uint64]bool
	deleting map[uint64]bool // asked for, not acknowledged
	strays   map[uint64]bool // on disk though nobody was told
	input    struct{ Name, Datatype string }
	current  string // version
	wanted   string // version asked for, not acknowledged
	added    int
	changes  int
}

// pixels is the picture of a seed; the label tells the seed's remainder.
func pixels(seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 3))
	b := make([]byte, 28*28)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func label(seed uint64) string { return fmt.Sprint("kind ", seed%4) }

// load lets clients work for a while and kills the daemon under them.
func (b *book) load(t *testing.T, d *daemon, seed uint64, after time.Duration) {
	t.Helper()
	var clients sync.WaitGroup
	stop := make(chan struct{})
	client := func(work func(rng *rand.Rand) error) {
		clients.Add(1)
		seed++
		rng := rand.New(rand.NewPCG(seed, 4))
		go func() {
			defer clients.Done()
			for {
				select {
				case <-stop:
					return
				default:
					if work(rng) != nil {
						return // the daemon is gone
					}
				}
			}
		}()
	}
	for range teachers {
		client(func(rng *rand.Rand) error { return b.teach(t, d, rng) })
	}
	client(func(rng *rand.Rand) error { return b.change(t, d, rng) })
	// The answer may be that a job runs already, or never come.
	_, _, _ = d.ask("POST", fashion+"/train", []byte(`{"epochs":200,"allow_forgetting":true}`))
	time.Sleep(after)
	d.kill(t)
	close(stop)
	clients.Wait()
}

// tune makes two versions that clients can switch between.
func (b *book) tune(t *testing.T, d *daemon, rng *rand.Rand) {
	t.Helper()
	for range 30 {
		if err := b.teach(t, d, rng); err != nil {
			t.Fatal(err)
		}
	}
	for epochs := range 2 {
		code, body, err := d.ask("POST", fashion+"/train", fmt.Appendf(nil, `{"epochs":%d,"allow_forgetting":true}`, epochs+1))
		if err != nil || code != http.StatusAccepted {
			t.Fatalf("training is answered %d %s %v", code, body, err)
		}
		var job struct{ State, Reason string }
		for job.State = "running"; job.State == "running"; {
			d.get(t, fashion+"/train", &job)
		}
		if job.State != "passed" {
			t.Fatalf("training has %s: %s", job.State, job.Reason)
		}
	}
}

// teach adds a sample, or sometimes deletes one.
func (b *book) teach(t *testing.T, d *daemon, rng *rand.Rand) error {
	if rng.IntN(8) == 0 {
		return b.delete(t, d)
	}
	seed := rng.Uint64()
	code, body, err := b.send(d, "/samples", fmt.Sprintf(`{"label":%q,"inputs":[%s]}`, label(seed), b.tensor()), pixels(seed))
	if err != nil {
		return err
	}
	if code != http.StatusCreated {
		t.Errorf("a sample is answered %d %s", code, body)
		return errors.New("refused")
	}
	id, err := sampleID(body)
	if err != nil {
		t.Error(err)
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.added++
	if _, twice := b.samples[id]; twice || b.deleted[id] {
		t.Errorf("id %d was given twice", id)
	}
	b.samples[id] = seed
	return nil
}

// tensor describes the input, whose bytes follow.
func (b *book) tensor() string {
	return fmt.Sprintf(`{"name":%q,"shape":[1,28,28,1],"datatype":%q,"parameters":{"binary_data_size":784}}`, b.input.Name, b.input.Datatype)
}

// send posts JSON with a tensor behind it.
func (b *book) send(d *daemon, path, head string, data []byte) (int, []byte, error) {
	r, err := http.NewRequest("POST", "http://whet"+fashion+path, bytes.NewReader(append([]byte(head), data...)))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Inference-Header-Content-Length", fmt.Sprint(len(head)))
	return d.send(r)
}

// sampleID is the id in the answer to a sample that was added.
func sampleID(body []byte) (uint64, error) {
	var reply struct{ ID string }
	if err := json.Unmarshal(body, &reply); err != nil {
		return 0, err
	}
	return strconv.ParseUint(reply.ID, 10, 64)
}

func (b *book) delete(t *testing.T, d *daemon) error {
	b.mu.Lock()
	var id uint64
	for id = range b.samples {
		if !b.deleting[id] {
			break
		}
	}
	if id == 0 || b.deleting[id] {
		b.mu.Unlock()
		return nil
	}
	b.deleting[id] = true
	b.mu.Unlock()
	code, body, err := d.ask("DELETE", fmt.Sprint(fashion, "/samples/", id), nil)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if code != 200 {
		t.Errorf("deleting sample %d is answered %d %s", id, code, body)
	}
	delete(b.deleting, id)
	delete(b.samples, id)
	b.deleted[id] = true
	return nil
}

// change lets another version serve.
func (b *book) change(t *testing.T, d *daemon, rng *rand.Rand) error {
	time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
	code, body, err := d.ask("GET", fashion+"/versions", nil)
	if err != nil {
		return err
	}
	var v versions
	if err := json.Unmarshal(body, &v); err != nil || code != 200 {
		t.Errorf("versions are answered %d %s", code, body)
		return errors.New("refused")
	}
	b.mu.Lock()
	b.wanted = v.Versions[rng.IntN(len(v.Versions))].Version
	wanted := b.wanted
	b.mu.Unlock()
	code, body, err = d.ask("POST", fashion+"/promote", fmt.Appendf(nil, `{"version":%q}`, wanted))
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if code == http.StatusNotFound {
		b.wanted = b.current // pruned in between, for newer ones
		return nil
	}
	if code != 200 {
		t.Errorf("promoting version %s is answered %d %s", wanted, code, body)
		return errors.New("refused")
	}
	if b.current != wanted {
		b.changes++
	}
	b.current = wanted
	return nil
}

type versions struct {
	Current  string
	Versions []struct{ Version string }
}

// check compares a daemon that has just come up with the book.
func (b *book) check(t *testing.T, d *daemon, rng *rand.Rand) {
	t.Helper()
	var v versions
	d.get(t, fashion+"/versions", &v)
	if v.Current != b.current && v.Current != b.wanted {
		t.Errorf("version %s is current: neither %s nor %s", v.Current, b.current, b.wanted)
	}
	b.current, b.wanted = v.Current, v.Current
	var m struct {
		Versions []string
		Inputs   []struct{ Name, Datatype string }
	}
	d.get(t, fashion, &m)
	b.input = m.Inputs[0]
	if len(m.Versions) != 1 || m.Versions[0] != v.Current {
		t.Errorf("versions %v are served, %s is current\n%s", m.Versions, v.Current, &d.stderr)
	}
	listed := map[uint64]string{}
	for after := uint64(0); ; {
		var page struct {
			Samples []struct{ ID, Label string }
		}
		d.get(t, fmt.Sprint(fashion, "/samples?limit=10000&after=", after), &page)
		for _, s := range page.Samples {
			id, err := strconv.ParseUint(s.ID, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			listed[id], after = s.Label, id
		}
		if len(page.Samples) == 0 {
			break
		}
	}
	b.compare(t, listed)
	look := 0
	for id, seed := range b.samples { // in random order
		var s struct {
			Inputs []struct{ Data []int }
		}
		d.get(t, fmt.Sprint(fashion, "/samples/", id), &s)
		got := make([]byte, len(s.Inputs[0].Data))
		for i, p := range s.Inputs[0].Data {
			got[i] = byte(p)
		}
		if !bytes.Equal(got, pixels(seed)) {
			t.Errorf("sample %d has other pixels", id)
		}
		if look++; look == 10 {
			break
		}
	}
	code, body, err := d.ask("GET", fashion+"/train", nil)
	if err != nil || code == 200 && bytes.Contains(body, []byte(`"failed"`)) {
		t.Errorf("the job that was taken up: %s %v", body, err)
	}
}

// compare compares the samples that are listed with those that must be, and
// takes over those that were added or deleted without an answer.
func (b *book) compare(t *testing.T, listed map[uint64]string) {
	t.Helper()
	strays := 0
	for id, l := range listed {
		seed, known := b.samples[id]
		switch {
		case b.deleted[id]:
			t.Errorf("sample %d is back", id)
		case known && l != label(seed):
			t.Errorf("sample %d has the label %q", id, l)
		case !known && !b.strays[id]:
			strays++
			b.strays[id] = true
		}
	}
	if strays > teachers {
		t.Errorf("%d samples more than %d clients can have sent without an answer", strays, teachers)
	}
	for id := range maps.Clone(b.samples) {
		if _, ok := listed[id]; ok {
			continue
		}
		if !b.deleting[id] {
			t.Errorf("acknowledged sample %d is lost", id)
		}
		delete(b.samples, id)
		b.deleted[id] = true
	}
	clear(b.deleting)
}

// checkAll reads every sample that is left.
func (b *book) checkAll(t *testing.T, dir string) {
	t.Helper()
	s, err := store.Open(vfs.OS, dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Recovered(); len(r.Damaged) > 0 {
		t.Errorf("damaged files: %q", r.Damaged)
	}
	for id, seed := range b.samples {
		got, err := s.Get(id)
		if err != nil || !bytes.Equal(got.Data, pixels(seed)) || got.Label != label(seed) {
			t.Errorf("sample %d: %v", id, err)
		}
	}
	vs, _ := s.Versions("fashion")
	for _, v := range vs {
		if _, _, err := s.Delta("fashion", v.Version); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
